// Limits: what must never be exceeded, whatever a model would like to play, as `espressivo.codes`
// has them, and what two hands can take.

import { round } from "./numbers.js";

/** @typedef {import("./layout.js").Layout} Layout */
/**
 * @typedef {object} Limits
 * @property {number} lowestPitch in which notes begin, inclusive
 * @property {number} highestPitch
 * @property {boolean[]} pitchClasses in which of the 12 notes may begin
 * @property {number | null} polyphony
 * @property {number | null} longestNoteS
 * @property {number | null} longestRestS
 * @property {boolean} twoHands
 */

const LONGEST_NOTE_S = 10, LONGEST_KEY_S = 5; // the latter where the pedal has events of its own
const SPAN = 16, FINGERS = 5; // semitones that a hand can take, and in how many notes

/** Grid steps after which a note is ended. */
export function longestNote(/** @type {Limits} */ limits, /** @type {Layout} */ { rate, pedal }) {
  return Math.max(1, round((limits.longestNoteS ?? (pedal ? LONGEST_KEY_S : LONGEST_NOTE_S)) * rate));
}

/** Grid steps of silence after which a note is struck, or null. */
export function longestRest(/** @type {Limits} */ { longestRestS }, /** @type {Layout} */ { rate }) {
  return longestRestS === null ? null : Math.max(1, round(longestRestS * rate));
}

/** 1 for each pitch of the vocabulary in which a note may begin. */
export function keys(/** @type {Limits} */ limits, /** @type {Layout} */ { lowest, highest, name }) {
  const { lowestPitch: low, highestPitch: high, pitchClasses } = limits;
  const found = new Uint8Array(highest - lowest + 1);
  found.forEach((_, n) => {
    const pitch = lowest + n;
    found[n] = Number(low <= pitch && pitch <= high && pitchClasses[pitch % 12]);
  });
  if (found.includes(1)) return found;
  throw new Error(`no pitch within ${low}..${high} is in vocabulary '${name}' and has a weight above 0: allowed are ${lowest}..${highest}`);
}

/**
 * 1 for each MIDI pitch that two hands can take together with a chord. A hand takes five notes
 * within 16 semitones.
 * @param {number[]} chord ascending, each once
 */
export function withinReach(chord) {
  const reach = new Uint8Array(128);
  for (let split = 0; split <= chord.length; split += 1) {
    const hands = [chord.slice(0, split), chord.slice(split)];
    if (hands.some((hand) => hand.length > FINGERS || (hand.at(-1) ?? 0) - (hand[0] ?? 0) > SPAN)) continue;
    for (const hand of hands) {
      if (hand.length === FINGERS) continue;
      const [low, high] = hand.length ? [hand[hand.length - 1] - SPAN, hand[0] + SPAN] : [0, 127];
      reach.fill(1, Math.max(low, 0), Math.min(high, 127) + 1);
    }
  }
  return reach;
}
