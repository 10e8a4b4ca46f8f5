// The decoder of note-wise vocabularies, in which a note is one event of several ids; a port of
// `espressivo.codes.note_decoder`.

import { Followers, heard } from "./followers.js";
import { DURATION, END, FINE_DURATION, NOTE_ON, SUSTAIN, TIME_SHIFT, VELOCITY } from "./layout.js";

/** @typedef {import("./followers.js").Heard} Heard */
/** @typedef {import("./followers.js").Ids} Ids */

const [TIME, WHAT, LOUDNESS, LENGTH, FINE] = [0, 1, 2, 3, 4]; // which id of an event comes next

export class NoteDecoder extends Followers {
  #expected = TIME;
  /** @type {{ end: number, pitch: number }[]} */ #notes = []; // that sound, the oldest first
  /** @type {Set<number>} */ #queued = new Set(); // pitches of those whose note-off is still to come
  #class = 0; // of the latest note's duration
  #silentFrom = 0; // the step, if nothing sounds
  #pedalDown = false;
  #struck = this.layout.lowest; // pitches below were struck in this step of the grid
  #pedalPressed = false; // in this step of the grid
  ended = false;

  get sounding() {
    return this.#notes.map(({ pitch }) => pitch);
  }

  get due() {
    const ends = this.#notes.filter(({ pitch }) => this.#queued.has(pitch)).map(({ end }) => end);
    return ends.length ? Math.min(...ends) : null;
  }

  restsTooLong(gap = 0) {
    return this.longestRest !== null && this.now + gap >= this.#silentFrom + this.longestRest;
  }

  /** @returns {Heard[]} */
  feed(/** @type {number} */ id) {
    const { layout, now } = this, kind = layout.kinds[id], value = layout.values[id];
    this.#expected = TIME;
    this.ended = kind === END;
    if (kind === TIME_SHIFT) {
      if (!layout.completing[id]) this.#expected = WHAT;
      return this.#pass(value);
    }
    if (kind === NOTE_ON) {
      this.#notes = [...this.#notes.filter(({ pitch }) => pitch !== value), { end: now, pitch: value }];
      this.#endLatest(now + layout.longestNote); // as the codec plays it
      this.strike(value);
      this.#struck = value + 1;
      this.#expected = LOUDNESS;
      return this.#queued.delete(value) ? [heard(now, "note_off", value, 0)] : [];
    }
    if (kind === VELOCITY) {
      this.#expected = LENGTH;
      const latest = this.#notes.at(-1);
      if (!latest) return [];
      this.#queued.add(latest.pitch);
      return [heard(now, "note_on", latest.pitch, value)];
    }
    if (kind === DURATION) {
      this.#class = id - layout.first[DURATION];
      this.#endLatest(now + value);
      if (!layout.completing[id]) this.#expected = FINE;
    } else if (kind === FINE_DURATION) {
      this.#endLatest(now + layout.shortest[this.#class] + value);
    } else if (kind === SUSTAIN) {
      this.#pedalDown = this.#pedalPressed = value === 1;
      return [heard(now, "pedal", 0, 127 * value)];
    }
    return [];
  }

  #pass(/** @type {number} */ steps) {
    this.now += steps;
    if (!steps) return [];
    this.#struck = this.layout.lowest;
    this.#pedalPressed = false;
    const messages = this.release(this.now);
    this.#notes = this.#notes.filter(({ end }) => end > this.now);
    return messages;
  }

  #endLatest(/** @type {number} */ end) {
    if (!this.#notes.length) return;
    this.#notes[this.#notes.length - 1] = { end, pitch: this.#notes[this.#notes.length - 1].pitch };
    this.#silentFrom = Math.max(...this.#notes.map((note) => note.end));
  }

  gap(/** @type {Ids} */ event) {
    const { kinds, values } = this.layout;
    return event.reduce((steps, id) => steps + (kinds[id] === TIME_SHIFT ? values[id] : 0), 0);
  }

  /** @returns {Heard[]} */
  release(/** @type {number} */ until) {
    const over = this.#notes.filter(({ end, pitch }) => end <= until && this.#queued.has(pitch));
    for (const { pitch } of over) this.#queued.delete(pitch);
    return over.sort((a, b) => a.end - b.end || a.pitch - b.pitch).map(({ end, pitch }) => heard(end, "note_off", pitch, 0));
  }

  /** @returns {Ids[]} */
  struck(/** @type {number} */ pitch, /** @type {number} */ velocity, /** @type {number} */ steps) {
    const { layout } = this, shift = steps % layout.longestShift;
    const note = [
      layout.id(TIME_SHIFT, shift), layout.id(NOTE_ON, pitch - layout.lowest), layout.id(VELOCITY, layout.bins[velocity]),
    ];
    return [...this.passing(steps - shift), note];
  }

  /** @returns {Ids[]} */
  lifted() {
    return []; // how long the note was expected to last stays as it is
  }

  hold(/** @type {number} */ pitch) {
    super.hold(pitch);
    this.#queued.delete(pitch);
  }

  /** @returns {Ids[]} */
  silence() {
    this.#notes = [];
    this.#silentFrom = this.now;
    this.#queued.clear();
    if (!this.#pedalDown) return [];
    const up = this.layout.id(SUSTAIN, 0);
    return [this.#expected === WHAT ? [up] : [this.layout.id(TIME_SHIFT, 0), up]];
  }

  beginHere() {
    this.begin = Math.max(this.now, ...this.#notes.map(({ end }) => end));
  }

  allowed() {
    const mask = new Uint8Array(this.layout.size);
    if (this.ended) return mask;
    if (this.#expected === TIME) this.#time(mask);
    else if (this.#expected === WHAT) this.#what(mask);
    else if (this.#expected === LOUDNESS) mask.fill(1, ...this.layout.span(VELOCITY));
    else if (this.#expected === LENGTH) this.#lengths(mask);
    else this.#fine(mask);
    return mask;
  }

  #time(/** @type {Uint8Array} */ mask) {
    const [begin, end] = this.layout.span(TIME_SHIFT);
    const least = Math.max(this.#nextChance(), this.begin) - this.now;
    if (least <= 0 && this.restsTooLong()) mask[begin] = 1;
    else mask.fill(1, begin + Math.min(Math.max(least, 0), end - begin - 1), end);
  }

  #what(/** @type {Uint8Array} */ mask) {
    const { layout } = this, keys = this.#keys(this.#struck);
    mask.set(keys, layout.first[NOTE_ON]);
    if (keys.includes(1) && this.restsTooLong()) return;
    const first = this.#struck === layout.lowest; // no note precedes the pedal
    if (first && layout.pedal && !(this.#pedalDown && this.#pedalPressed)) mask[layout.id(SUSTAIN, Number(!this.#pedalDown))] = 1;
    if (!mask.includes(1)) this.#time(mask); // the rules have changed since it was decided when
    if (!this.#notes.length) mask.fill(1, ...layout.span(END));
  }

  #lengths(/** @type {Uint8Array} */ mask) {
    const fit = this.layout.shortest.filter((steps) => steps <= this.longestNote).length;
    mask.fill(1, this.layout.first[DURATION], this.layout.first[DURATION] + fit);
  }

  #fine(/** @type {Uint8Array} */ mask) {
    const { shortest, inClass, first } = this.layout;
    const fit = Math.min(inClass[this.#class], Math.max(this.longestNote - shortest[this.#class], 0) + 1);
    mask.fill(1, first[FINE_DURATION], first[FINE_DURATION] + fit);
  }

  /** Which keys can be struck now, from a pitch on. */
  #keys(/** @type {number} */ from) {
    const keys = this.inRange.slice(), low = this.layout.lowest, { polyphony } = this.limits;
    if (polyphony !== null && this.#notes.length >= polyphony) return keys.fill(0);
    keys.fill(0, 0, from - low);
    for (const { pitch } of this.#notes) keys[pitch - low] = 0;
    for (const pitch of this.held) keys[pitch - low] = 0;
    return this.inReach(keys);
  }

  /** The first step at which a key can be struck. */
  #nextChance() {
    if (this.#keys(this.#struck).includes(1)) return this.now;
    const low = this.layout.lowest, { polyphony } = this.limits;
    let chance = this.now + 1;
    if (this.#keys(low).includes(1)) return chance;
    const ends = this.#notes.map(({ end }) => end).sort((a, b) => a - b);
    if (polyphony !== null && ends.length >= polyphony) chance = Math.max(chance, ends[ends.length - polyphony]);
    const inside = this.#notes.filter(({ pitch }) => this.inRange[pitch - low]).map(({ end }) => end);
    if (inside.length === this.inRange.filter((key) => key).length) chance = Math.max(chance, Math.min(...inside));
    return Math.max(chance, this.now + this.boundFor);
  }

  /** @returns {number | null} */
  overdue() {
    return null; // each note ends by itself
  }

  cut(/** @type {number} */ id, /** @type {number | null} */ end = null) {
    const { layout } = this;
    if (layout.kinds[id] !== TIME_SHIFT) return id;
    const limits = [layout.values[id]];
    if (end !== null) limits.push(end - this.now);
    if (this.longestRest !== null) {
      const left = this.#silentFrom + this.longestRest - this.now;
      if (left > 0) limits.push(left);
    }
    return layout.id(TIME_SHIFT, Math.min(...limits));
  }

  /** @returns {Ids[]} */
  passing(/** @type {number} */ steps) {
    const { layout } = this, longest = layout.longestShift, rest = steps % longest;
    const whole = Array.from({ length: Math.floor(steps / longest) }, () => [layout.id(TIME_SHIFT, longest)]);
    return rest > 0 ? [...whole, [layout.id(TIME_SHIFT, rest)]] : whole;
  }

  copy() {
    const other = new NoteDecoder(this.layout, this.limits);
    other.follow(this);
    other.#expected = this.#expected;
    other.#notes = [...this.#notes];
    other.#queued = new Set(this.#queued);
    other.#class = this.#class;
    other.#silentFrom = this.#silentFrom;
    other.#pedalDown = this.#pedalDown;
    other.#struck = this.#struck;
    other.#pedalPressed = this.#pedalPressed;
    other.ended = this.ended;
    return other;
  }
}
