// Settings: how a model plays, of what a page steers, as `espressivo.play.settings` has it; and what
// they request of it, as numbers that it reads (`espressivo.codes.controls`).

import { DURATION, FINE_DURATION, NOTE_OFF, NOTE_ON, TIME_SHIFT, VELOCITY } from "./layout.js";
import { Sampling } from "./sampling.js";

/** @typedef {import("./layout.js").Layout} Layout */
/**
 * @typedef {object} Settings
 * @property {number} temperature
 * @property {number | null} top_p
 * @property {number | null} min_p
 * @property {number} lowest_pitch
 * @property {number} highest_pitch
 * @property {number | null} polyphony
 * @property {number | null} density
 * @property {number | null} loudness
 * @property {number[] | null} pitch_weights
 * @property {number | null} onset_rate
 * @property {string | null} composer
 * @property {number | null} guidance
 * @property {number} returns
 */

/** How a stream plays if nothing else is said. @type {Settings} */
export const USUAL = {
  temperature: 0.95, top_p: null, min_p: null, lowest_pitch: 0, highest_pitch: 127, polyphony: null,
  density: null, loudness: null, pitch_weights: null, onset_rate: null, composer: null, guidance: null,
  returns: 1,
};
const CHORD_TEMPERATURE = 0.8; // at most, of pitches that join a chord
const LONGEST_REST_S = 3; // a stream is never silent for longer
const DENSITIES = [0, 2, 4, 6, 9, 13, 18, 25]; // notes begun per second
const LOUDNESSES = [20, 32, 42, 52, 62, 72, 82, 95]; // MIDI velocity
const ONSET_RATES = [0, 1, 2, 3, 4.5, 6.5, 9, 13]; // onsets per second
const COMPOSERS = [
  "Bach", "Haydn", "Mozart", "Beethoven", "Schubert", "Mendelssohn", "Chopin", "Schumann", "Liszt",
  "Brahms", "Debussy", "Scriabin", "Rachmaninoff", "Ravel",
];
/** The controls that a network learns, in the order of their numbers, and how many each has. */
const PARTS = /** @type {const} */ ([["density", 8], ["loudness", 8], ["pitch_weights", 12], ["onset_rate", 8], ["composer", 14]]);

/** Guidance after a change of what is requested, and for how many seconds. */
export const FOLLOW_GUIDANCE = 3, FOLLOW_S = 4;

/** The names of all controls that a network can learn. */
export const LEARNED = PARTS.map(([name]) => name);

/** The names of the controls that a network reads that reads so many numbers. */
export function controlsWithin(/** @type {number} */ size) {
  let end = 0;
  return PARTS.filter(([, count]) => (end += count) <= size).map(([name]) => name);
}

/**
 * Settings with some of them changed; an error if they cannot be.
 * @param {Settings} settings
 * @param {Partial<Settings>} part
 * @returns {Settings}
 */
export function changed(settings, part) {
  const after = { ...settings, ...part };
  const { lowest_pitch: low, highest_pitch: high, pitch_weights: weights } = after;
  if (low > high) throw new Error(`lowest_pitch must not be above highest_pitch: ${low} is above ${high}`);
  if (weights && !weights.some((weight) => weight > 0)) {
    throw new Error("pitch_weights must be 12 numbers from C upwards, at least 0 and not all 0");
  }
  return after;
}

/** @returns {import("./limits.js").Limits} */
export function limits(/** @type {Settings} */ settings) {
  const weights = settings.pitch_weights ?? Array(12).fill(1);
  return {
    lowestPitch: settings.lowest_pitch, highestPitch: settings.highest_pitch,
    pitchClasses: weights.map((weight) => weight > 0), polyphony: settings.polyphony,
    longestNoteS: null, longestRestS: LONGEST_REST_S, twoHands: true,
  };
}

/**
 * How ids of a vocabulary are drawn: pitches as the settings say, time and touch as the model
 * expects them.
 * @param {Settings} settings
 * @param {Layout} layout
 * @param {boolean} chord whether a note would join one
 */
export function sampling(settings, layout, chord) {
  const rest = { temperature: settings.temperature === 0 ? 0 : 1 };
  const temperature = chord ? Math.min(settings.temperature, CHORD_TEMPERATURE) : settings.temperature;
  const pitches = { temperature, topP: settings.top_p, minP: settings.min_p };
  const ways = new Map([
    [NOTE_ON, pitches], ...[TIME_SHIFT, VELOCITY, NOTE_OFF, DURATION, FINE_DURATION].map((kind) => /** @type {const} */ ([kind, rest])),
  ]);
  const kinds = layout.counts.map((count, kind) => ({ count, way: ways.get(kind) ?? null }));
  return new Sampling(rest.temperature, kinds.filter(({ count }) => count));
}

/**
 * What settings request of a model that reads so many numbers; null if they request nothing.
 * @param {Settings} settings
 * @param {number} size
 */
export function requested(settings, size) {
  if (LEARNED.every((name) => settings[name] === null)) return null;
  const { density, loudness, pitch_weights: weights, onset_rate: rate, composer } = settings;
  const total = (weights ?? []).reduce((sum, weight) => sum + weight, 0);
  const parts = [
    shares(density, DENSITIES), shares(loudness, LOUDNESSES), weights ? weights.map((weight) => weight / total) : Array(12).fill(0),
    shares(rate, ONSET_RATES), COMPOSERS.map((name) => Number(name === composer)),
  ];
  return Float32Array.from(parts.flat().slice(0, size));
}

/** Share a value between the two knots around it. */
function shares(/** @type {number | null} */ value, /** @type {number[]} */ knots) {
  if (value === null) return knots.map(() => 0);
  const within = Math.min(Math.max(value, knots[0]), knots[knots.length - 1]);
  const after = Math.max(1, knots.findIndex((knot) => knot >= within)), before = knots[after - 1];
  const place = after - 1 + (within - before) / (knots[after] - before);
  return knots.map((_, n) => Math.max(0, 1 - Math.abs(place - n)));
}
