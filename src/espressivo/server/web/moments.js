// Moments: the roll on the page, the moment of it from which the model can go on, and the passage
// between two moments that it can play anew.

import { clock } from "./music.js";
import { $ } from "./page.js";
import { passage, passages } from "./passages.js";
import { Roll } from "./roll.js";
import { t } from "./words.js";

/** @typedef {import("./music.js").Music} Music */

const LINE_S = 1, PAGE_S = 5; // what the arrows and the page keys move the mark by

/**
 * @param {import("./page.js").Page} page
 * @param {(text: string) => void} say
 */
export function moments(page, say) {
  const { store, player, replay } = page, filling = passages(page, say);
  const canvas = $("roll", HTMLCanvasElement), mark = (/** @type {number | null} */ time) => {
    if (store.state.filling) return;
    const last = store.state.anchor === null ? null : roll.now; // a passage can reach up to now
    const chosen = time === null || time >= roll.now ? last : Math.max(0, time);
    if (chosen !== null) roll.reveal(chosen);
    store.change({ mark: chosen });
  };
  const extend = () => {
    const { offers, mark, anchor } = store.state;
    if (offers.includes("fill")) store.change({ anchor: anchor ?? mark });
  };
  const unmark = () => {
    if (store.state.filling && store.state.replaying) replay.close();
    filling.leave();
    store.change({ mark: null, anchor: null });
  };
  const roll = new Roll(canvas, {
    strike: (pitch, velocity) => player.strike(pitch, velocity),
    release: (pitch) => player.release(pitch),
    marked: (time, further) => {
      if (further) extend();
      mark(time);
    },
  });
  const goOn = () => {
    const { mark, replaying } = store.state;
    if (mark !== null) player.goOn(mark, replaying ? replay.music : player.music);
  };
  $("resume").onclick = goOn;
  $("unmark").onclick = unmark;
  $("from").onclick = extend;
  canvas.addEventListener("keydown", (event) => {
    const at = store.state.mark ?? roll.now;
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowUp: () => mark(at - LINE_S), ArrowDown: () => mark(at + LINE_S), PageUp: () => mark(at - PAGE_S),
      PageDown: () => mark(at + PAGE_S), Home: () => mark(0), End: () => mark(null),
      Enter: () => (passage(store.state) ? filling.begin(1) : goOn()),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.preventDefault();
    if (event.shiftKey && event.key !== "Enter") extend();
    actions[event.key]();
  });
  store.watch(["near"], ({ near }) => {
    roll.near = near;
    roll.measure();
  });
  store.watch(["mark", "anchor", "filling", "mode", "language"], (state) => {
    const { from, to } = state.filling ?? passage(state) ?? { from: null, to: null };
    roll.mark = state.mark;
    roll.passage = from === null ? null : [from, to];
    if (state.mark === null) roll.back = 0;
    else $("resume").textContent = t("Go on from {time}", { time: clock(state.mark) });
    $("marker").hidden = state.mark === null && state.filling === null;
    $("moment").hidden = state.filling !== null || from !== null;
    $("from").setAttribute("aria-pressed", String(state.anchor !== null));
    $("passage").hidden = state.filling !== null || from === null;
    if (from !== null) $("span").textContent = `${clock(from)}–${clock(to)}`;
    canvas.setAttribute("aria-valuemax", String(Math.round(roll.now)));
    canvas.setAttribute("aria-valuenow", String(Math.round(state.mark ?? roll.now)));
    const marked = from === null ? state.mark : null;
    const spoken = marked === null ? t("now") : clock(marked);
    canvas.setAttribute("aria-valuetext", from === null ? spoken : t("passage {from} to {to}", { from: clock(from), to: clock(to) }));
  });
  return {
    draw: (/** @type {Music} */ music, /** @type {number} */ now) => roll.draw(music, now),
    stamp: () => [roll.stamp, roll.back, roll.passage].join(),
    filling,
  };
}
