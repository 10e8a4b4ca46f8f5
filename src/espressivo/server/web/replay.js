// Replay: plays a take back, from any moment and again and again if wanted.

import { Music } from "./music.js";

/** @typedef {import("./takes.js").Row} Row */

const AHEAD_S = 1.2; // a page that is not seen looks at the clock but once a second
const EVERY_MS = 100;
const SOON_S = 0.05;

export class Replay {
  music = new Music();
  #at = 0; // the moment of the take where it stands
  #zero = 0; // when its second 0 is heard, while it runs
  /** @type {import("./music.js").Event[]} */ #events = []; // still to be sent

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./takes.js").Takes} takes
   * @param {import("./player.js").Ear} ear
   * @param {{ clock: () => number, wake: () => Promise<unknown> }} time
   */
  constructor(store, takes, ear, { clock, wake }) {
    this.store = store;
    this.takes = takes;
    this.ear = ear;
    this.clock = clock;
    this.wake = wake;
    let sounding = false;
    store.watch(["running"], ({ running }) => {
      if (sounding && !running) this.ear.stand(this.clock(), true);
      sounding = running;
    });
    setInterval(() => this.#tick(), EVERY_MS);
  }

  /** Where it is, in seconds of the take. */
  now() {
    return this.store.state.running ? Math.min(Math.max(this.#at, this.clock() - this.#zero), this.music.end) : this.#at;
  }

  /**
   * Show a take and play it.
   * @param {Row} row
   */
  async show(row) {
    await this.hear(Music.of(await this.takes.events(row), row.seconds), row);
  }

  /**
   * Show some music and play it from a moment on.
   * @param {Music} music
   * @param {import("./store.js").Shown} shown
   */
  async hear(music, shown, from = 0) {
    this.music = music;
    this.#at = Math.max(0, from);
    this.store.change({ replaying: shown, running: false, mark: null, anchor: null });
    await this.play();
  }

  async play() {
    await this.wake();
    if (!this.store.state.replaying) return;
    this.#from(this.#at < this.music.end ? this.#at : 0);
    this.store.change({ running: true });
  }

  pause() {
    this.#at = this.now();
    this.store.change({ running: false });
  }

  /** @param {number} time */
  seek(time) {
    const { running } = this.store.state;
    if (running) this.ear.stand(this.clock(), true);
    this.#at = Math.max(0, Math.min(time, this.music.end));
    if (running) this.#from(this.#at);
  }

  close() {
    this.store.change({ replaying: null, running: false });
  }

  #from(/** @type {number} */ time) {
    this.#at = time;
    this.#zero = this.clock() + SOON_S - time;
    this.#events = this.music.events(time);
  }

  #tick() {
    const { running, loop } = this.store.state;
    if (!running) return;
    const until = this.clock() + AHEAD_S - this.#zero;
    while (this.#events.length && this.#events[0][0] < until) {
      const [time, ...message] = /** @type {import("./music.js").Event} */ (this.#events.shift());
      this.ear.send(message, this.#zero + time, 0);
    }
    if (this.clock() - this.#zero < this.music.end) return;
    this.#at = this.music.end;
    if (loop) this.seek(0);
    else this.store.change({ running: false });
  }
}
