// Steering: the knobs, and the address of the page, which holds how they are set.

import { read, written } from "./address.js";
import { build } from "./knobs.js";
import { $ } from "./page.js";
import { fitted } from "./settings.js";

const TOGETHER_MS = 1500; // changes within this time make one entry of the browser's history

/**
 * @param {import("./page.js").Page} page
 * @param {(text: string) => void} say
 */
export function steering({ store, player }, say) {
  /** @type {(settings: import("./settings.js").Settings) => void} */
  let showValues = () => {};
  store.watch(["model", "language"], ({ model, settings }) => {
    showValues = build($("knobs"), model?.controls ?? [], settings, (name, value) => player.steer({ [name]: value }));
  });
  store.watch(["settings"], ({ settings }) => showValues(settings));

  let changedMs = -Infinity;
  store.watch(["model", "seed", "settings"], ({ model, seed, settings }) => {
    const address = written({ model: model?.name ?? null, seed, settings });
    if (!model || address === location.hash) return;
    const now = performance.now(), first = changedMs === -Infinity;
    history[first || now - changedMs < TOGETHER_MS ? "replaceState" : "pushState"](null, "", address);
    changedMs = now;
  });
  // Back and forward, or an address that somebody has written.
  addEventListener("popstate", () => {
    const { model } = store.state, held = read(location.hash);
    if (!model) return;
    const { settings, said } = fitted(model.controls, held.settings);
    store.change({ seed: held.seed ?? store.state.seed });
    player.apply(settings);
    if (said.length) say(said.join(". "));
    if (held.model !== null && held.model !== model.name && store.state.models.includes(held.model)) player.chooseModel(held.model);
  });
}
