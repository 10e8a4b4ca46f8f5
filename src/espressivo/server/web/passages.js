// Passages: lets the model play a passage of the music anew, and several times if wanted; each is
// heard at once, until one of them is used.

import { clock, Music } from "./music.js";
import { $ } from "./page.js";
import { anySeed } from "./player.js";
import { t } from "./words.js";

/**
 * A passage that is being played anew.
 * @typedef {object} Filling
 * @property {number} from seconds of the music
 * @property {number} to
 * @property {string | null} keep what of it stays
 * @property {number} amount the part of its notes that go, 0..1
 * @property {Music} base the music as it was
 * @property {Music[]} found the music with each new passage
 * @property {number} at which of them is heard
 * @property {boolean} waiting whether another is on its way
 */

const BEFORE_S = 40, AFTER_S = 20; // of the music around a passage, what the model is given
const HEARD_S = 2; // of what comes before a passage that is heard
const LITTLE = 0.3; // the part of its notes that go when it is varied
const UNLED = ["guidance", "returns"]; // what a filling cannot be told

/** The passage between a moment and another, or null. @param {Readonly<import("./store.js").State>} state */
export function passage({ mark, anchor }) {
  return mark === null || anchor === null || mark === anchor ? null : { from: Math.min(mark, anchor), to: Math.max(mark, anchor) };
}

/**
 * @param {import("./page.js").Page} page
 * @param {(text: string) => void} say
 */
export function passages({ store, player, replay, backEnd }, say) {
  let run = 0;
  const change = (/** @type {Partial<Filling>} */ part) => {
    if (store.state.filling) store.change({ filling: { ...store.state.filling, ...part } });
  };
  const leave = () => {
    if (!store.state.filling) return;
    run += 1;
    backEnd.send({ type: "stop" });
    store.change({ filling: null });
  };
  const ask = () => {
    const { filling, settings } = store.state;
    if (!filling || filling.waiting) return;
    const { from, to, keep, amount, base } = filling;
    const events = base.events(Math.max(0, from - BEFORE_S), to + AFTER_S);
    const told = Object.fromEntries(Object.entries(settings).filter(([name]) => !UNLED.includes(name)));
    run += 1;
    if (!backEnd.send({ type: "fill", run, events, from_s: from, to_s: to, keep, amount, settings: told, seed: anySeed() })) {
      leave();
      say(t("The server cannot be reached."));
    } else change({ waiting: true });
  };
  const begin = (/** @type {number} */ amount) => {
    const span = passage(store.state);
    if (!span) return;
    if (store.state.replaying) replay.pause();
    else player.stop();
    const base = (store.state.replaying ? replay.music : player.music).copy();
    const keep = amount === 1 ? $("keeping", HTMLSelectElement).value || null : null;
    store.change({ mark: null, anchor: null, filling: { ...span, keep, amount, base, found: [], at: 0, waiting: false } });
    ask();
  };
  const hear = (/** @type {number} */ at) => {
    const { filling } = store.state;
    if (!filling || !filling.found[at]) return;
    change({ at });
    const name = t("Passage {number}", { number: String(at + 1) });
    void replay.hear(filling.found[at], { id: "", name, seconds: filling.found[at].end }, filling.from - HEARD_S);
  };
  const use = () => {
    const { filling } = store.state;
    if (!filling) return;
    store.change({ filling: null });
    player.use(t("A passage anew"), filling.found[filling.at]);
  };

  $("fill").onclick = () => begin(1);
  $("vary").onclick = () => begin(LITTLE);
  $("earlier").onclick = () => hear((store.state.filling?.at ?? 0) - 1);
  $("later").onclick = () => hear((store.state.filling?.at ?? 0) + 1);
  $("another").onclick = ask;
  $("use").onclick = use;
  store.watch(["filling", "language"], ({ filling }) => {
    $("candidates").hidden = filling === null;
    if (!filling) return;
    const { found, at, waiting, from, to } = filling;
    const span = `${clock(from)}–${clock(to)}`, number = String(at + 1), count = String(found.length);
    $("which").textContent = found.length ? t("{span}: {number} of {count}", { span, number, count }) : span;
    $("another").textContent = t(waiting ? "Playing…" : "Another");
    for (const [id, off] of /** @type {[string, boolean][]} */ ([
      ["earlier", at === 0], ["later", at + 1 >= found.length], ["another", waiting], ["use", !found.length],
    ])) $(id, HTMLButtonElement).disabled = off;
  });
  // Whoever plays on, or goes back to the piano, wants none of them.
  store.watch(["mode", "replaying", "link", "model"], ({ mode, replaying, filling, link }) => {
    if (filling && (mode !== "stopped" || link !== "connected" || (filling.found.length && !replaying))) leave();
  });

  return {
    begin,
    leave,
    filled(/** @type {{ run: number, events: import("./music.js").Event[] }} */ { run: asked, events }) {
      const { filling } = store.state;
      if (asked !== run || !filling) return;
      const found = [...filling.found, filling.base.with(filling.from, filling.to, Music.of(events))];
      change({ found, waiting: false });
      hear(found.length - 1);
    },
    unfilled(/** @type {{ run: number, message: string }} */ { run: asked, message }) {
      if (asked !== run) return;
      change({ waiting: false });
      if (!store.state.filling?.found.length) leave();
      say(message);
    },
  };
}
