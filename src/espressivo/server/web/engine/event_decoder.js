// The decoder of event-wise vocabularies, in which each id is an event; a port of
// `espressivo.codes.event_decoder`.

import { Followers, heard } from "./followers.js";
import { DEFAULT_VELOCITY, END, NOTE_OFF, NOTE_ON, START, SUSTAIN, TIME_SHIFT, VELOCITY } from "./layout.js";

/** @typedef {import("./followers.js").Heard} Heard */
/** @typedef {import("./followers.js").Ids} Ids */

const [PEDAL, OFFS, ONS] = [0, 1, 2]; // the order of events within a step

export class EventDecoder extends Followers {
  /** @type {number | null} */ #last = null; // the event before
  /** @type {{ begin: number, pitch: number }[]} */ #notes = []; // that sound, the oldest first
  #silentSince = 0; // the step, if nothing sounds
  /** @type {number | null} */ #velocity = null; // the event in force
  #pedalDown = false;
  #part = PEDAL; // how far the events of this step have come
  #released = 0; // sounding notes older than the last to end in this step
  #struck = this.layout.lowest; // pitches below were struck in this step
  #pedalPressed = false; // in this step

  get sounding() {
    return this.#notes.map(({ pitch }) => pitch);
  }

  get ended() {
    return this.#last !== null && this.layout.kinds[this.#last] === END;
  }

  /** @returns {number | null} */
  get due() {
    return null; // the end of a note is not known beforehand
  }

  restsTooLong(gap = 0) {
    const left = this.#restLeft();
    return left !== null && left <= gap;
  }

  #restLeft() {
    if (this.longestRest === null || this.#notes.length) return null;
    return this.#silentSince + this.longestRest - this.now;
  }

  /** @returns {Heard[]} */
  feed(/** @type {number} */ id) {
    const { layout } = this, kind = layout.kinds[id], value = layout.values[id];
    this.#last = id;
    if (kind === NOTE_ON) {
      this.#part = ONS;
      this.#notes.push({ begin: this.now, pitch: value });
      this.strike(value);
      this.#velocity ??= layout.id(VELOCITY, layout.bins[DEFAULT_VELOCITY]); // as the codec plays it
      if (layout.order === "pitch") this.#struck = value + 1;
      return [heard(this.now, "note_on", value, layout.values[this.#velocity])];
    }
    if (kind === NOTE_OFF) {
      this.#part = Math.max(this.#part, OFFS);
      const number = this.#notes.findIndex(({ pitch }) => pitch === value);
      if (number < 0) return [];
      this.#notes.splice(number, 1);
      this.#released = number;
      this.#silentSince = this.now;
      return [heard(this.now, "note_off", value, 0)];
    }
    if (kind === SUSTAIN) {
      this.#pedalDown = this.#pedalPressed = value === 1;
      return [heard(this.now, "pedal", 0, 127 * value)];
    }
    if (kind === VELOCITY) this.#velocity = id;
    if (kind === TIME_SHIFT) {
      this.now += value;
      this.#part = PEDAL;
      this.#released = 0;
      this.#struck = layout.lowest;
      this.#pedalPressed = false;
    }
    return [];
  }

  beginHere() {
    this.begin = this.now;
  }

  allowed() {
    const { layout } = this, { lowest, boundaries } = layout, mask = new Uint8Array(layout.size);
    if (this.ended) return mask;
    const before = this.#last === null ? null : layout.kinds[this.#last];
    if (before === null && boundaries) return mask.fill(1, ...layout.span(START));

    const { polyphony } = this.limits;
    if (polyphony === null || this.#notes.length < polyphony) {
      const keys = this.inRange.slice().fill(0, 0, this.#struck - lowest);
      for (const { pitch } of this.#notes) keys[pitch - lowest] = 0;
      mask.set(this.inReach(keys), layout.first[NOTE_ON]);
    }
    const canStrike = mask.includes(1);
    if (before === VELOCITY && canStrike) return mask; // a primer may have left none
    if (canStrike) mask.fill(1, ...layout.span(VELOCITY));
    if (this.#velocity === null) mask.fill(0, ...layout.span(NOTE_ON));
    else mask[this.#velocity] = 0;

    if (this.#part < ONS) {
      for (const { pitch } of this.#notes.slice(this.#released)) mask[layout.id(NOTE_OFF, pitch - lowest)] = Number(!this.held.has(pitch));
    }
    if (this.#part === PEDAL && layout.pedal) {
      mask[layout.id(SUSTAIN, 0)] = Number(this.#pedalDown && !this.#pedalPressed);
      mask[layout.id(SUSTAIN, 1)] = Number(!this.#pedalDown);
    }
    const shifts = layout.span(TIME_SHIFT), rested = before === TIME_SHIFT && this.#last !== shifts[1] - 1;
    if (!(rested || (canStrike && this.restsTooLong()))) mask.fill(1, ...shifts);
    if (!this.#notes.length && before !== TIME_SHIFT) mask.fill(1, ...layout.span(END));
    if (!mask.includes(1)) mask.fill(1, ...shifts); // all that could come is held by a person
    return mask;
  }

  gap(/** @type {Ids} */ [id]) {
    return this.layout.kinds[id] === TIME_SHIFT ? this.layout.values[id] : 0;
  }

  /** @returns {Heard[]} */
  release() {
    return [];
  }

  /** @returns {Ids[]} */
  struck(/** @type {number} */ pitch, /** @type {number} */ velocity, /** @type {number} */ steps) {
    const { layout } = this, events = this.passing(steps), key = pitch - layout.lowest;
    if (this.sounding.includes(pitch)) events.push([layout.id(NOTE_OFF, key)]);
    const loudness = layout.id(VELOCITY, layout.bins[velocity]);
    if (loudness !== this.#velocity) events.push([loudness]);
    return [...events, [layout.id(NOTE_ON, key)]];
  }

  /** @returns {Ids[]} */
  lifted(/** @type {number} */ pitch, /** @type {number} */ steps) {
    if (!this.sounding.includes(pitch)) return [];
    return [...this.passing(steps), [this.layout.id(NOTE_OFF, pitch - this.layout.lowest)]];
  }

  /** @returns {Ids[]} */
  passing(/** @type {number} */ steps) {
    const { layout } = this, longest = layout.longestShift, rest = steps % longest;
    const whole = Array.from({ length: Math.floor(steps / longest) }, () => [layout.id(TIME_SHIFT, longest - 1)]);
    return rest > 0 ? [...whole, [layout.id(TIME_SHIFT, rest - 1)]] : whole;
  }

  /** The note-off of the oldest note if it has sounded for the longest time. */
  overdue() {
    const [oldest] = this.#notes;
    if (!oldest || this.now < oldest.begin + this.longestNote) return null;
    return this.layout.id(NOTE_OFF, oldest.pitch - this.layout.lowest);
  }

  cut(/** @type {number} */ id, /** @type {number | null} */ end = null) {
    const { layout } = this;
    if (layout.kinds[id] !== TIME_SHIFT) return id;
    const limits = [layout.values[id]];
    if (end !== null) limits.push(end - this.now);
    if (this.#notes.length) limits.push(this.#notes[0].begin + this.longestNote - this.now);
    const left = this.#restLeft();
    if (left !== null && left > 0) limits.push(left);
    return layout.id(TIME_SHIFT, Math.min(...limits) - 1);
  }

  /** @returns {Ids[]} */
  silence() {
    const offs = this.sounding.map((pitch) => [this.layout.id(NOTE_OFF, pitch - this.layout.lowest)]);
    return this.#pedalDown ? [[this.layout.id(SUSTAIN, 0)], ...offs] : offs;
  }

  copy() {
    const other = new EventDecoder(this.layout, this.limits);
    other.follow(this);
    other.#last = this.#last;
    other.#notes = [...this.#notes];
    other.#silentSince = this.#silentSince;
    other.#velocity = this.#velocity;
    other.#pedalDown = this.#pedalDown;
    other.#part = this.#part;
    other.#released = this.#released;
    other.#struck = this.#struck;
    other.#pedalPressed = this.#pedalPressed;
    return other;
  }
}
