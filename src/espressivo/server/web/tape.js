// Tape: what is heard while a take is recorded. It runs while music plays and stands while it does
// not, whatever becomes of the music: of going back, it holds what was heard before and after.

import { CONTROL, NOTE_OFF, NOTE_ON, SUSTAIN } from "./music.js";

/** @typedef {import("./music.js").HandEvent} HandEvent */
/** @typedef {import("./music.js").Message} Message */

export class Tape {
  /** @type {number | null} */ #zero = null; // when its second 0 was, by the clock; null while it stands
  #seconds = 0; // where it stands
  /** @type {HandEvent[]} */ #coming = []; // by the clock, in order
  /** @type {Map<string, HandEvent>} */ #sounding = new Map(); // what ends each thing that sounds

  /**
   * How much there is at a moment of the clock.
   * @param {number} at
   */
  seconds(at) {
    return this.#zero === null ? this.#seconds : Math.max(this.#seconds, at - this.#zero);
  }

  /** @param {number} at */
  run(at) {
    if (this.#zero === null) this.#zero = at - this.#seconds;
  }

  /**
   * A message that is heard at a moment of the clock, now or later.
   * @param {Message} message
   * @param {number} at
   * @param {number} hand
   */
  add([status, one, two], at, hand) {
    let place = this.#coming.length;
    while (place && this.#coming[place - 1][0] > at) place -= 1;
    this.#coming.splice(place, 0, [at, status, one, two, hand]);
  }

  /**
   * Take what has been heard until a moment since the last time, in seconds of the tape.
   * @param {number} at
   * @returns {HandEvent[]}
   */
  heard(at) {
    if (this.#zero === null) return [];
    const last = this.#coming.findIndex(([time]) => time > at);
    const found = this.#coming.splice(0, last < 0 ? this.#coming.length : last);
    for (const event of found) {
      event[0] = Math.max(0, event[0] - this.#zero);
      this.#follow(event);
    }
    return found;
  }

  /**
   * Stand from a moment on: what sounds ends, what was to come is not heard.
   * @param {number} at
   * @returns {HandEvent[]}
   */
  stand(at) {
    const found = [...this.heard(at), ...this.ends(at)];
    this.#seconds = this.seconds(at);
    this.#zero = null;
    this.#coming = [];
    this.#sounding.clear();
    return found;
  }

  /**
   * What would end now all that sounds.
   * @param {number} at
   * @returns {HandEvent[]}
   */
  ends(at) {
    return [...this.#sounding.values()].map(([, ...rest]) => [this.seconds(at), ...rest]);
  }

  /**
   * The pedals that are down.
   * @returns {HandEvent[]}
   */
  pressed() {
    const ups = [...this.#sounding.values()].filter(([, status]) => status === CONTROL);
    return ups.map(([, , , , hand]) => [0, CONTROL, SUSTAIN, 127, hand]);
  }

  #follow(/** @type {HandEvent} */ [, status, one, two, hand]) {
    const key = `${hand} ${status === CONTROL ? "pedal" : one}`;
    if (status === CONTROL && two >= 64) this.#sounding.set(key, [0, CONTROL, SUSTAIN, 0, hand]);
    else if (status === NOTE_ON && two > 0) this.#sounding.set(key, [0, NOTE_OFF, one, 0, hand]);
    else this.#sounding.delete(key);
  }
}
