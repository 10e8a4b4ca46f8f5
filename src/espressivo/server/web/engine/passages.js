// Passages: how pointers are led through a passage that is to come back; a port of
// `espressivo.codes.passages`.

/** @typedef {import("./view.js").Note} Note */

export const LATE_S = 0.4; // so late, a note of a passage is no longer expected
const AHEAD = 8; // notes of a passage that may be left out at once
const AS_LONG_AS = 32; // intervals: a passage that is led through is said to be as long a match

/** What is left of a passage, in the order of its notes. */
export class Passage {
  /** @param {Note[]} notes @param {number} backNotes @param {number} later steps by which it comes later than it was */
  constructor(notes, backNotes, later) {
    this.notes = notes;
    this.backNotes = backNotes;
    this.later = later;
  }

  /** What is left after a note: what comes after its like, and is not overdue by `late` steps. */
  after(/** @type {Note} */ note, /** @type {number} */ late) {
    let { notes, later } = this;
    const near = (/** @type {Note} */ one) => one.pitch === note.pitch && Math.abs(note.step - one.step - later) <= 2 * late;
    const at = notes.slice(0, AHEAD).findIndex(near);
    if (at >= 0) {
      later = note.step - notes[at].step;
      notes = notes.slice(at + 1);
    }
    const expected = notes.findIndex((one) => one.step + later + late >= note.step);
    return new Passage(expected < 0 ? [] : notes.slice(expected), this.backNotes, later);
  }

  /** What is expected next, or null. */
  pointed() {
    const [next] = this.notes;
    if (next === undefined) return null;
    return { note: { ...next, step: next.step + this.later }, backSteps: this.later, backNotes: this.backNotes, length: AS_LONG_AS };
  }
}
