// Pointers: where the music has been before, and what came next there; a port of
// `espressivo.codes.pointers`, whose docstrings say what each number means.

import { DURATION, NOTE_ON, TIME_SHIFT, VELOCITY } from "./layout.js";
import { atMost, round } from "./numbers.js";
import { LATE_S, Passage } from "./passages.js";
import { REACH, View } from "./view.js";

/** @typedef {import("./view.js").Note} Note */
/** @typedef {import("./view.js").Found} Found */

const FIELDS = 9, VIEWS = 3;
/** How many numbers all views say. */
export const POINTER_NUMBERS = VIEWS * FIELDS;
const LENGTHS = [4, 5, 6, 8, 12, 16, 24, 32, 64];
const LAGS_S = [1, 2, 4, 8, 16, 32, 64, 128];
const PERIODS = [0.5, 1, 1.5, 2, 3, 4, 6, 8];
const LATENESS = [-15, -7, -3, -1, 0, 1, 2, 4, 8, 16]; // grid steps
const GROUP_S = 0.04; // notes that begin within so long are a chord
const [TIME, PITCH, ON_TIME, SAME] = [0, 1, 7, 8]; // of what a view says
const COLUMNS = new Map([[TIME_SHIFT, TIME], [NOTE_ON, PITCH], [VELOCITY, 2], [DURATION, 3]]);
const NO_EVENT = [-1, -1, -1, -1];
const SIGNS = [0, 1, -1]; // of each view: a chord's best note is the highest, or the lowest
const BESIDE = [0.8, 0.9, 1, 0.9, 0.8]; // of a time that is expected, those 2 steps around it
const NOTHING = Array(FIELDS).fill(0);

export class Pointers {
  #now = 0;
  #event = NO_EVENT; // its time-shift, pitch, velocity and duration so far
  /** @type {Line[]} */ #lines;
  /** @type {Passage[] | null} */ #passages = null; // of each line, while it is led through one
  /** @type {number[]} */ said = Array(POINTER_NUMBERS).fill(0);

  /** @param {import("./layout.js").Layout} layout a note-wise one @param {Line[]} [lines] */
  constructor(layout, lines) {
    this.layout = layout;
    this.#lines = lines ?? SIGNS.map((sign) => new Line(new View(), sign));
  }

  /** Take note of an id. */
  feed(/** @type {number} */ id) {
    const { kinds, first, completing } = this.layout, column = COLUMNS.get(kinds[id]);
    if (column !== undefined) this.#read(column, id - first[kinds[id]]);
    if (completing[id]) this.#complete();
  }

  /** What is said, and how strongly it counts, as a model reads it. */
  numbers(strength = 1) {
    return Float32Array.from([...this.said, strength]);
  }

  /** Point at a passage that began so many steps ago, as if it came again from now on. */
  lead(/** @type {number} */ back, /** @type {number} */ length) {
    const begin = this.#now - back, within = (/** @type {Note} */ note) => note.step >= begin && note.step < begin + length;
    const passages = this.#lines.map((line) => {
      const every = line.notes();
      return new Passage(every.filter(within), every.length, back);
    });
    this.#passages = passages[0].notes.length ? passages : null;
    this.#say();
  }

  /** Point at what each view finds, and no longer at a passage. */
  letGo() {
    this.#passages = null;
    this.#say();
  }

  /** Whether it points at a passage. */
  get leading() {
    return this.#passages !== null;
  }

  /** Scores in which ids are raised by so much that pointers lead to, if they lead. */
  lifted(/** @type {Float32Array} */ logits, /** @type {number} */ lift) {
    if (!lift || !this.leading) return logits;
    const { first, longestShift } = this.layout, [time, pitch] = this.said, raised = logits.slice();
    if (pitch) raised[first[NOTE_ON] + pitch - 1] += lift;
    BESIDE.forEach((part, n) => {
      const at = time - 3 + n;
      if (time && at >= 0 && at <= longestShift) raised[first[TIME_SHIFT] + at] += Math.fround(Math.fround(lift) * Math.fround(part));
    });
    return raised;
  }

  copy() {
    const other = new Pointers(this.layout, this.#lines); // nothing in it is ever written to
    other.#passages = this.#passages;
    other.#now = this.#now;
    other.#event = this.#event;
    other.said = this.said;
    return other;
  }

  #complete() {
    const [, pitch, velocity, duration] = this.#event, group = round(GROUP_S * this.layout.rate);
    if (pitch >= 0) {
      const note = { step: this.#now, pitch, velocity, duration }, late = round(LATE_S * this.layout.rate);
      this.#lines = this.#lines.map((line) => line.after(note, group));
      this.#passages = this.#passages?.map((passage) => passage.after(note, late)) ?? null;
      if (!this.#passages?.[0].notes.length) this.#passages = null;
    }
    this.#event = NO_EVENT;
    this.#say();
  }

  #say() {
    this.said = (this.#passages ?? this.#lines).flatMap((each) => this.#says(each.pointed()));
  }

  #read(/** @type {number} */ column, /** @type {number} */ number) {
    this.#event = this.#event.with(column, number);
    if (column === TIME) this.#now += number;
    if (column !== TIME && column !== PITCH) return;
    this.said = [...this.said];
    for (let view = 0; view < POINTER_NUMBERS; view += FIELDS) {
      const said = this.said[view + column], later = number + 1 - said;
      if (said && column === TIME) this.said[view + ON_TIME] = 1 + atMost(LATENESS, later);
      else if (said) this.said[view + SAME] = 1 + Number(later === 0);
    }
  }

  /** What a view says. */
  #says(/** @type {ReturnType<Line["pointed"]>} */ at) {
    const { counts, longestShift, rate } = this.layout;
    if (at === null || at.note.pitch < 0 || at.note.pitch >= counts[NOTE_ON]) return NOTHING;
    const { note, backSteps, backNotes, length } = at;
    return [
      1 + Math.min(Math.max(note.step - this.#now, 0), longestShift), 1 + note.pitch, 1 + note.velocity, 1 + note.duration,
      1 + atMost(LENGTHS, length), 1 + atMost(LAGS_S, backSteps / rate), 1 + atMost(PERIODS, length / backNotes), 0, 0,
    ];
  }
}

/**
 * A view as one of the pointers that share it has come to know it. The latest note is not in the
 * view yet, as a chord may still bring a better one.
 */
class Line {
  /**
   * @param {View} view
   * @param {number} sign
   * @param {number} length notes of the view, of which others may have added more
   * @param {Note | null} open the best of the latest chord, at the time of its first note
   * @param {Found | null} now where the line was as it is with that note
   * @param {Found | null} before and as it was before it
   */
  constructor(view, sign, length = 0, open = null, now = null, before = null) {
    this.view = view;
    this.sign = sign;
    this.length = length;
    this.open = open;
    this.now = now;
    this.before = before;
  }

  /** The line after a note; notes within `group` steps are one chord. */
  after(/** @type {Note} */ note, /** @type {number} */ group) {
    const { sign, length, open } = this;
    let { view, before } = this, passed = open;
    if (open !== null && sign && note.step - open.step <= group) {
      if ((note.pitch - open.pitch) * sign <= 0) return this;
      note = { ...note, step: open.step };
      passed = null;
    }
    if (view.length !== length) view = view.copy(length);
    if (passed !== null) {
      view.append(passed);
      before = this.now;
    }
    return new Line(view, sign, view.length, note, view.find(note.pitch, before), before);
  }

  /** All that are known of, in order. */
  notes() {
    const first = Math.max(this.length - REACH, 0);
    const every = Array.from({ length: this.length - first }, (_, n) => this.view.note(first + n));
    return this.open === null ? every : [...every, this.open];
  }

  /**
   * What is expected next; null if the line has not been so before. Until the chord has a note as
   * high (or low) as was expected of it, that is still expected, unless with the best that it has
   * the line goes on as it did for longer elsewhere.
   */
  pointed() {
    const { open, now, before, sign } = this;
    if (open === null) return null;
    if (before !== null && sign && (now === null || now.length < before.length)) {
      const expected = this.#moved(before, this.view.note(this.length - 1), this.length - 1);
      if ((open.pitch - expected.note.pitch) * sign < 0) return expected;
    }
    return now === null ? null : this.#moved(now, open, this.length);
  }

  /** What followed a place, moved as far as a note, at another place, is from it. */
  #moved(/** @type {Found} */ found, /** @type {Note} */ note, /** @type {number} */ at) {
    const like = this.view.note(found.place), place = found.place + 1;
    const next = place === this.length && this.open !== null ? this.open : this.view.note(place);
    const moved = { ...next, step: note.step + next.step - like.step, pitch: note.pitch + next.pitch - like.pitch };
    return { note: moved, backSteps: note.step - like.step, backNotes: at - found.place, length: found.length };
  }
}
