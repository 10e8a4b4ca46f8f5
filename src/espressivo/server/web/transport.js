// Transport: the buttons, the clock, and what they and the keys do.

import { clock } from "./music.js";
import { t } from "./words.js";
import { $ } from "./page.js";

/** @param {import("./page.js").Page} page */
export function transport({ store, player, replay, recorder, history }) {
  const shown = () => store.state.replaying !== null;
  const stopped = () => (shown() ? !store.state.running : store.state.mode === "stopped");
  const play = () => {
    if (shown()) void (stopped() ? replay.play() : replay.pause());
    else void (stopped() ? player.play() : player.stop());
  };
  const panic = () => {
    if (store.state.mark !== null) store.change({ mark: null });
    if (shown()) replay.close();
    player.panic();
  };
  const back = () => (shown() ? replay.seek(replay.now() - 5) : player.back());
  const record = () => void (store.state.recording ? recorder.stop() : recorder.start());
  const mute = () => store.change({ muted: !store.state.muted });

  $("play").onclick = play;
  $("panic").onclick = panic;
  $("back").onclick = back;
  $("record").onclick = record;
  $("mute").onclick = mute;
  $("new").onclick = () => player.fresh();
  $("undo").onclick = () => history.undo();
  $("redo").onclick = () => history.redo();
  $("answer").onclick = () => store.change({ answer: !store.state.answer });
  $("near").onclick = () => store.change({ near: !store.state.near });
  $("loop").onclick = () => store.change({ loop: !store.state.loop });
  $("leave").onclick = () => replay.close();
  const volume = $("volume", HTMLInputElement), cursor = $("cursor", HTMLInputElement);
  volume.oninput = () => store.change({ volume: Number(volume.value), muted: false });
  cursor.oninput = () => replay.seek(Number(cursor.value));

  addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (event.altKey || event.repeat || target.closest("input[type=text]")) return;
    if (event.ctrlKey || event.metaKey) {
      const key = event.key.toLowerCase();
      if (key === "z" && event.shiftKey || key === "y") history.redo();
      else if (key === "z") history.undo();
      else return;
      event.preventDefault();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    /** @type {Record<string, () => void>} */
    const actions = { Escape: panic, Backspace: back, KeyR: record, KeyM: mute };
    if (!target.closest("button, select")) actions.Space = play;
    if (!actions[event.code]) return;
    event.preventDefault();
    actions[event.code]();
  });

  store.watch(["mode", "running", "replaying", "language"], ({ mode, replaying }) => {
    document.body.classList.toggle("playing", !stopped());
    document.body.classList.toggle("replaying", replaying !== null);
    $("play").setAttribute("aria-label", t(stopped() ? "Play" : "Stop"));
    if (mode !== "stopped" || replaying) $("hint").classList.add("gone");
    $("playback").hidden = replaying === null;
    if (!replaying) return;
    $("playing").textContent = replaying.name;
    $("length").textContent = clock(replaying.seconds);
    cursor.max = String(replay.music.end);
  });
  for (const name of /** @type {const} */ (["answer", "near", "loop"])) {
    store.watch([name], (state) => $(name).setAttribute("aria-pressed", String(state[name])));
  }
  store.watch(["recording"], ({ recording }) => $("record").setAttribute("aria-pressed", String(recording !== null)));
  store.watch(["muted", "volume"], (state) => {
    $("mute").setAttribute("aria-pressed", String(state.muted));
    volume.value = String(state.volume);
  });
  store.watch(["undo", "redo", "language"], ({ undo, redo }) => {
    for (const [id, label, name] of [["undo", "Undo: {name} (Ctrl+Z)", undo], ["redo", "Redo: {name} (Ctrl+Shift+Z)", redo]]) {
      const button = $(String(id), HTMLButtonElement);
      button.disabled = name === null;
      button.title = name === null ? "" : t(String(label), { name });
    }
  });

  const canvas = $("level", HTMLCanvasElement), level = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  let written = "";

  /** Show the time, the cursor and how loud it is. */
  return (/** @type {number} */ time, /** @type {number} */ strength) => {
    const text = clock(time);
    if (text !== written) $("time").textContent = written = text;
    if (store.state.replaying && document.activeElement !== cursor) cursor.value = String(time);
    cursor.setAttribute("aria-valuetext", text);
    const { width, height } = canvas;
    level.clearRect(0, 0, width, height);
    level.fillStyle = getComputedStyle(canvas).color;
    level.fillRect(0, 0, width * Math.max(0, 1 + (20 * Math.log10(strength + 1e-6)) / 54), height);
  };
}
