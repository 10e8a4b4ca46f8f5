// Moments: the roll on the page, and the moment of it from which the model can go on.

import { clock } from "./music.js";
import { $ } from "./page.js";
import { Roll } from "./roll.js";
import { t } from "./words.js";

/** @typedef {import("./music.js").Music} Music */

const LINE_S = 1, PAGE_S = 5; // what the arrows and the page keys move the mark by

/** @param {import("./page.js").Page} page */
export function moments({ store, player, replay }) {
  const canvas = $("roll", HTMLCanvasElement), mark = (/** @type {number | null} */ time) => {
    const chosen = time === null || time >= roll.now ? null : Math.max(0, time);
    if (chosen !== null) roll.reveal(chosen);
    store.change({ mark: chosen });
  };
  const roll = new Roll(canvas, {
    strike: (pitch, velocity) => player.strike(pitch, velocity),
    release: (pitch) => player.release(pitch),
    marked: mark,
  });
  const goOn = () => {
    const { mark, replaying } = store.state;
    if (mark !== null) player.goOn(mark, replaying ? replay.music : player.music);
  };
  $("resume").onclick = goOn;
  $("unmark").onclick = () => mark(null);
  canvas.addEventListener("keydown", (event) => {
    const at = store.state.mark ?? roll.now;
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowUp: () => mark(at - LINE_S), ArrowDown: () => mark(at + LINE_S), PageUp: () => mark(at - PAGE_S),
      PageDown: () => mark(at + PAGE_S), Home: () => mark(0), End: () => mark(null), Enter: goOn,
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
  store.watch(["near"], ({ near }) => {
    roll.near = near;
    roll.measure();
  });
  store.watch(["mark", "mode", "language"], (state) => {
    roll.mark = state.mark;
    if (state.mark === null) roll.back = 0;
    else $("resume").textContent = t("Go on from {time}", { time: clock(state.mark) });
    $("marker").hidden = state.mark === null;
    canvas.setAttribute("aria-valuemax", String(Math.round(roll.now)));
    canvas.setAttribute("aria-valuenow", String(Math.round(state.mark ?? roll.now)));
    canvas.setAttribute("aria-valuetext", state.mark === null ? t("now") : clock(state.mark));
  });
  return {
    draw: (/** @type {Music} */ music, /** @type {number} */ now) => roll.draw(music, now),
    stamp: () => [roll.stamp, roll.back].join(),
  };
}
