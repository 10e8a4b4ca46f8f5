// Slots: two passages, and a slider between them, by which the model plays while it plays.

import { clock } from "./music.js";
import { $, say } from "./page.js";
import { passage } from "./passages.js";
import { t } from "./words.js";

/**
 * A passage in a slot.
 * @typedef {object} Slot
 * @property {string} name
 * @property {import("./music.js").Event[]} events
 */

const LATEST_S = 10, LONGEST_S = 60;

/** @param {import("./page.js").Page} page */
export function slots({ store, player, replay, backEnd }) {
  const slider = $("share", HTMLInputElement), group = $("between");
  let told = false;
  const tell = () => {
    const { slots: [a, b], share, offers, model } = store.state;
    if (!offers.includes("between") || !model?.space || !(a || b || told)) return;
    const [first, last] = [a ?? b, b ?? a];
    backEnd.send({ type: "between", passages: first && last ? [first.events, last.events] : [], share });
    told = a !== null || b !== null;
  };
  // The passage that is marked, or else the latest of what is shown, goes into a slot.
  const put = (/** @type {0 | 1} */ at) => {
    const { replaying } = store.state;
    const music = replaying ? replay.music : player.music, now = replaying ? replay.now() : player.now();
    const { from, to } = passage(store.state) ?? { from: Math.max(0, now - LATEST_S), to: now };
    if (to - from > LONGEST_S) return say(t("A slot takes at most a minute."));
    const events = music.events(from, to);
    if (!events.some(([, status, , value]) => status === 0x90 && value > 0)) return say(t("Nothing is played there."));
    const name = `${replaying ? `${replaying.name} ` : ""}${clock(from)}–${clock(to)}`;
    set(at, { name, events });
  };
  const set = (/** @type {0 | 1} */ at, /** @type {Slot | null} */ slot) => {
    const [a, b] = store.state.slots;
    store.change({ slots: at === 0 ? [slot, b] : [a, slot] });
  };
  $("slot-a").onclick = () => put(0);
  $("slot-b").onclick = () => put(1);
  $("free").onclick = () => store.change({ slots: [null, null] });
  slider.oninput = () => store.change({ share: slider.valueAsNumber });
  store.watch(["slots", "share"], tell);
  store.watch(["model", "link"], ({ link }) => link === "connected" && tell()); // who does not know of them
  store.watch(["model", "offers"], ({ model, offers }) => {
    group.hidden = !offers.includes("between") || !model?.space;
  });
  store.watch(["slots", "share", "language"], ({ slots, share }) => {
    for (const [at, slot] of slots.entries()) {
      const letter = "AB"[at], button = $(at ? "slot-b" : "slot-a");
      button.textContent = slot ? `${letter}: ${slot.name}` : letter;
      button.setAttribute("aria-label", slot ? t("Slot {letter}: {name}", { letter, name: slot.name }) : t("Slot {letter}: empty", { letter }));
      button.classList.toggle("on", slot !== null);
    }
    const several = slots.every((slot) => slot !== null);
    slider.disabled = !several;
    slider.value = String(share);
    slider.setAttribute("aria-valuetext", t("{percent} % of the way from A to B", { percent: String(Math.round(100 * share)) }));
    $("free", HTMLButtonElement).disabled = slots.every((slot) => slot === null);
  });
}
