// Recorder: writes what is heard to a take, as it is heard.

import { Tape } from "./tape.js";
import { t } from "./words.js";

/** @typedef {import("./music.js").HandEvent} HandEvent */
/** @typedef {import("./music.js").Message} Message */
/** @typedef {import("./takes.js").Row} Row */

const EVERY_MS = 250; // no more than this can be lost
const LONGEST_S = 2 * 3600; // then the next take begins

export class Recorder {
  #tape = new Tape();
  #from = 0; // where the take begins on the tape
  /** @type {HandEvent[]} */ #unwritten = [];
  #writing = Promise.resolve();
  #writtenS = 0;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./takes.js").Takes} takes
   * @param {() => number} clock seconds, by which sound is timed
   */
  constructor(store, takes, clock) {
    this.store = store;
    this.takes = takes;
    this.clock = clock;
    setInterval(() => this.write(), EVERY_MS);
    store.watch(["settings"], ({ settings, recording }) => {
      if (recording) recording.changes.push([this.seconds(), settings]);
    });
  }

  /** How long the take is. */
  seconds() {
    return this.#tape.seconds(this.clock()) - this.#from;
  }

  start() {
    this.#follow();
    this.#from = this.#tape.seconds(this.clock());
    this.#unwritten = this.#tape.pressed().map(([, ...rest]) => [0, ...rest]);
    this.#writtenS = -1;
    this.store.change({ recording: this.#row() });
    this.write();
  }

  /**
   * Make a take of music that has been played, from its first note on.
   * @param {import("./music.js").Music} music
   */
  async keep(music) {
    const begin = music.notes[0].start;
    const events = music.handEvents().map(([time, ...rest]) => /** @type {HandEvent} */ ([Math.max(0, time - begin), ...rest]));
    await this.takes.append({ ...this.#row(), seconds: music.end - begin }, events);
  }

  /** @returns {Row} */
  #row() {
    const { model, seed, settings, takes } = this.store.state;
    const began = Date.now(), id = crypto.getRandomValues(new Uint32Array(2)).join("-");
    const numbers = takes.map(({ name }) => Number(name.match(/\d+$/)?.[0] ?? 0));
    const name = t("Take {number}", { number: String(Math.max(0, ...numbers) + 1) });
    const by = model && { name: model.title, sha256: model.sha256, licence: model.licence };
    return { id, name, began, seconds: 0, notes: 0, parts: 0, model: by, seed, settings, changes: [], deleted: null };
  }

  /** End the take; resolves when it is kept. */
  async stop() {
    if (!this.store.state.recording) return;
    this.#follow();
    const ends = this.#tape.ends(this.clock());
    this.#unwritten.push(...ends.map((event) => this.#placed(event)));
    this.#append();
    this.store.change({ recording: null });
    await this.#writing;
  }

  /** Write what has been heard; called often. */
  write() {
    this.#follow();
    this.#append();
    if (!this.store.state.recording || this.seconds() < LONGEST_S) return;
    void this.stop();
    this.start();
  }

  #append() {
    const { recording } = this.store.state;
    if (!recording) return;
    const seconds = this.seconds();
    if (seconds === this.#writtenS && !this.#unwritten.length) return; // time stands
    this.#writtenS = seconds;
    const events = this.#unwritten.splice(0);
    // Parts are written in turn, and each makes the row longer.
    this.#writing = this.#writing.then(async () => {
      Object.assign(recording, await this.takes.append({ ...recording, seconds: Math.max(seconds, recording.seconds) }, events));
    });
  }

  // ---- What is heard

  /** @param {number} at */
  run(at) {
    this.#tape.run(at);
  }

  /** @param {Message} message @param {number} at @param {number} hand */
  send(message, at, hand) {
    this.#tape.add(message, at, hand);
  }

  /** @param {number} at */
  stand(at) {
    this.#keep(this.#tape.stand(at));
    this.write();
  }

  #follow() {
    this.#keep(this.#tape.heard(this.clock()));
  }

  #keep(/** @type {HandEvent[]} */ events) {
    if (this.store.state.recording) this.#unwritten.push(...events.map((event) => this.#placed(event)));
  }

  #placed(/** @type {HandEvent} */ [time, ...rest]) {
    return /** @type {HandEvent} */ ([Math.round(10_000 * Math.max(0, time - this.#from)) / 10_000, ...rest]);
  }
}
