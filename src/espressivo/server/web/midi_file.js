// MIDI file: music as the bytes that `espressivo.midi.to_bytes` would write, a tick a millisecond.

import { CONTROL, NOTE_ON } from "./music.js";

/** @typedef {import("./music.js").Event} Event */
/**
 * How music was made, as `espressivo.midi.Provenance` reads it.
 * @typedef {object} Provenance
 * @property {string} command
 * @property {string} licence
 * @property {string} model
 * @property {string} model_sha256
 * @property {null} primer_sha256
 * @property {number} seed
 * @property {Record<string, unknown>} settings
 * @property {string} version
 */

const TICKS_PER_QUARTER = 480, TICKS_PER_SECOND = 1000;
const TEMPO = [0xff, 0x51, 3, 0x07, 0x53, 0x00]; // 480,000 microseconds a quarter note
const FOUR_FOUR = [0xff, 0x58, 4, 4, 2, 24, 8];
const END = [0xff, 0x2f, 0];
const COPYRIGHT = 2, TEXT = 1, TRACK_NAME = 3;

/**
 * @param {Event[]} events in order of time; the file begins with the first
 * @param {Provenance | null} made
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function midiFile(events, made = null) {
  const conductor = [...(made ? texts(made).map(([kind, text]) => meta(kind, text)) : []), TEMPO, FOUR_FOUR];
  const first = [meta(TRACK_NAME, "Piano"), [0xc0, 0]];
  const tracks = [conductor.map(at0), [...first.map(at0), ...messages(events)]].map(track);
  return new Uint8Array([...letters("MThd"), ...int(6, 4), ...int(1, 2), ...int(2, 2), ...int(TICKS_PER_QUARTER, 2), ...tracks.flat()]);
}

/**
 * What a file says of how it was made: kinds of texts, and texts.
 * @param {Provenance} made
 * @returns {[number, string][]}
 */
function texts(made) {
  const line = `Made with espressivo ${made.version}; model ${made.model}; seed ${made.seed}; licence ${made.licence}`;
  return [[COPYRIGHT, made.licence], [TEXT, line], [TEXT, `espressivo:${provenanceText(made)}`]];
}

/**
 * @param {Provenance} made
 * @returns {string} JSON in ASCII
 */
export function provenanceText(made) {
  return JSON.stringify(made).replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// Within a tick pedals come first, then what ends, then what begins; a note lasts at least a tick.
/** @param {Event[]} events @returns {[number, number[]][]} */
function messages(events) {
  const begin = events[0]?.[0] ?? 0;
  /** @type {{ tick: number, order: number, bytes: number[] }[]} */
  const found = [];
  /** @type {Map<number, number>} */
  const struck = new Map(); // pitch to tick
  for (const [time, status, one, two] of events) {
    let tick = Math.round((time - begin) * TICKS_PER_SECOND);
    if (status === CONTROL) found.push({ tick, order: 0, bytes: [CONTROL, one, two] });
    else if (status === NOTE_ON && two > 0) {
      found.push({ tick, order: 2, bytes: [NOTE_ON, one, two] });
      struck.set(one, tick);
    } else {
      tick = Math.max(tick, (struck.get(one) ?? -1) + 1);
      found.push({ tick, order: 1, bytes: [0x80, one, 64] });
    }
  }
  found.sort((a, b) => a.tick - b.tick || a.order - b.order);
  return found.map(({ tick, bytes }, n) => [tick - (found[n - 1]?.tick ?? 0), bytes]);
}

/** @param {number[]} bytes @returns {[number, number[]]} */
const at0 = (bytes) => [0, bytes];

/** @param {[number, number[]][]} events @returns {number[]} */
function track(events) {
  const body = [...events, at0(END)].flatMap(([gap, bytes]) => [...variable(gap), ...bytes]);
  return [...letters("MTrk"), ...int(body.length, 4), ...body];
}

const meta = (/** @type {number} */ kind, /** @type {string} */ text) => {
  const bytes = [...new TextEncoder().encode(text)];
  return [0xff, kind, ...variable(bytes.length), ...bytes];
};
const letters = (/** @type {string} */ word) => [...word].map((letter) => letter.charCodeAt(0));
const int = (/** @type {number} */ number, /** @type {number} */ bytes) =>
  Array.from({ length: bytes }, (_, n) => (number >>> (8 * (bytes - 1 - n))) & 255);

// A number in seven bits a byte, the highest first.
/** @param {number} number @returns {number[]} */
function variable(number) {
  const bytes = [number & 127];
  while ((number >>= 7)) bytes.unshift((number & 127) | 128);
  return bytes;
}
