// Followers: what the decoders of all vocabularies are built on: chords, hands and limits.

import { keys, longestNote, longestRest, withinReach } from "./limits.js";

/** @typedef {import("./layout.js").Layout} Layout */
/** @typedef {import("./limits.js").Limits} Limits */
/** @typedef {number[]} Ids the ids of one event */
/**
 * Something that is heard.
 * @typedef {object} Heard
 * @property {number} step grid steps since the beginning
 * @property {"note_on" | "note_off" | "pedal"} kind
 * @property {number} pitch 0 for the pedal
 * @property {number} velocity 127 for the pedal down, 0 for up
 */

const CHORD_GAP_S = 0.035;

/** @param {number} step @param {Heard["kind"]} kind @param {number} pitch @param {number} velocity @returns {Heard} */
export const heard = (step, kind, pitch, velocity) => ({ step, kind, pitch, velocity });

export class Followers {
  now = 0; // grid steps since the beginning
  begin = 0; // at which what follows a primer begins
  /** @type {number | null} */ onset = null; // of the latest note
  /** @type {Set<number>} */ held = new Set(); // pitches of keys that a person holds
  /** @type {number[]} */ #chord = []; // pitches of the latest, ascending
  /** @type {Limits} */ #limits;

  /** @param {Layout} layout @param {Limits} limits */
  constructor(layout, limits) {
    this.layout = layout;
    this.inRange = keys(limits, layout);
    this.longestNote = longestNote(limits, layout);
    this.longestRest = longestRest(limits, layout);
    this.#limits = limits;
  }

  get limits() {
    return this.#limits;
  }

  set limits(limits) {
    this.inRange = keys(limits, this.layout); // may refuse them, so it comes first
    this.longestNote = longestNote(limits, this.layout);
    this.longestRest = longestRest(limits, this.layout);
    this.#limits = limits;
  }

  /** Leave a key to a person who holds it: no id strikes or ends it until `letGo`. */
  hold(/** @type {number} */ pitch) {
    this.held.add(pitch);
  }

  letGo(/** @type {number} */ pitch) {
    this.held.delete(pitch);
  }

  /** Take note of what is struck now, in the latest chord or as the first of a new one. */
  strike(/** @type {number} */ pitch) {
    this.#chord = [...new Set([...this.chord, pitch])].sort((a, b) => a - b);
    this.onset = this.now;
  }

  /** Pitches of the chord to which a note struck now would belong, ascending. */
  get chord() {
    return this.#chordLeft ? this.#chord : [];
  }

  /** Grid steps, this one included, in which a note still belongs to the latest chord. */
  get #chordLeft() {
    const gap = Math.floor(CHORD_GAP_S * this.layout.rate);
    return this.onset === null ? 0 : Math.max(0, this.onset + gap + 1 - this.now);
  }

  /** Grid steps, this one included, in which hands are bound by the latest chord. */
  get boundFor() {
    return this.#limits.twoHands && this.#chord.length > 1 ? this.#chordLeft : 0;
  }

  /** Leave out of some keys those that no two hands could take with the latest chord. */
  inReach(/** @type {Uint8Array} */ found) {
    if (this.chord.length < 2 || !this.boundFor) return found;
    const reach = withinReach(this.chord.filter((pitch) => !this.held.has(pitch)));
    return found.map((key, n) => key & reach[this.layout.lowest + n]);
  }

  /**
   * Make it like another one, which goes its own way from here.
   * @param {Followers} other
   */
  follow(other) {
    this.now = other.now;
    this.begin = other.begin;
    this.onset = other.onset;
    this.held = new Set(other.held);
    this.#chord = other.#chord; // never written to
  }
}
