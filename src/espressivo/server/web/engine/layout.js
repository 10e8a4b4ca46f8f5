// Layout: which id means what, in any of the vocabularies, as `espressivo.codes.layout` has it.

import { atMost, range } from "./numbers.js";

export const [NOTE_ON, NOTE_OFF, TIME_SHIFT, VELOCITY, SUSTAIN, START, END, DURATION, FINE_DURATION] = range(0, 9);
export const DEFAULT_VELOCITY = 64; // of notes before the first velocity of a list

/**
 * A vocabulary as a model file describes it.
 * @typedef {object} Described
 * @property {string} name
 * @property {number} lowest_pitch
 * @property {number} highest_pitch
 * @property {number} steps_per_second
 * @property {number} max_shift_steps
 * @property {number[]} velocity_floors
 * @property {number[]} velocity_values
 * @property {"fold" | "events"} sustain
 * @property {"played" | "pitch"} order
 * @property {boolean} boundaries
 * @property {number} longest_note_steps
 */

export class Layout {
  /** @param {Described} described */
  constructor(described) {
    this.name = described.name;
    this.lowest = described.lowest_pitch;
    this.highest = described.highest_pitch;
    this.rate = described.steps_per_second;
    this.longestShift = described.max_shift_steps;
    this.order = described.order;
    this.boundaries = described.boundaries;
    this.pedal = described.sustain === "events";
    this.longestNote = described.longest_note_steps;
    this.notewise = this.longestNote > 0;
    const octaves = 32 - Math.clz32(this.longestNote >> 4);
    const parts = [[], range(0, 16), ...range(1, octaves).map((n) => range(8, 16).map((part) => part << n))];
    /** The least duration of each class, in steps, ascending. */
    this.shortest = parts.slice(0, 1 + octaves).flat().map((steps) => steps + 1);
    /** How many durations are in each class. */
    this.inClass = this.shortest.map((steps, n) => (this.shortest[n + 1] ?? this.longestNote + 1) - steps);
    const pitches = range(this.lowest, this.highest + 1), edge = described.boundaries ? [0] : [];
    /** @type {number[][]} the values of the ids of each kind */
    const values = [
      pitches, this.notewise ? [] : pitches, range(this.notewise ? 0 : 1, this.longestShift + 1),
      described.velocity_values, this.pedal ? [0, 1] : [], this.notewise ? [] : edge, edge,
      this.shortest, range(0, this.notewise ? this.longestNote >> 4 : 0),
    ];
    this.counts = values.map(({ length }) => length);
    this.first = this.counts.map((_, kind) => this.counts.slice(0, kind).reduce((total, count) => total + count, 0));
    this.kinds = values.flatMap((ids, kind) => ids.map(() => kind));
    this.values = values.flat();
    this.size = this.kinds.length;
    /** The bin of each MIDI velocity. */
    this.bins = range(0, 128).map((velocity) => Math.max(0, atMost(described.velocity_floors, velocity) - 1));
    /** Whether an event ends with each id. */
    this.completing = this.kinds.map((_, id) => !this.notewise || this.#completes(id));
  }

  /** The id of a kind, by its number among those. */
  id(/** @type {number} */ kind, /** @type {number} */ number) {
    return this.first[kind] + number;
  }

  /** The ids of a kind: the first, and one after the last. */
  span(/** @type {number} */ kind) {
    return [this.first[kind], this.first[kind] + this.counts[kind]];
  }

  #completes(/** @type {number} */ id) {
    const kind = this.kinds[id], rest = this.id(TIME_SHIFT, this.longestShift);
    if (kind === DURATION) return this.inClass[id - this.first[DURATION]] === 1;
    return id === rest || ![TIME_SHIFT, NOTE_ON, VELOCITY].includes(kind);
  }
}
