// WAV: renders music to the bytes of a file, faster than it sounds.

import { NOTE_ON } from "./music.js";
import { Piano } from "./piano.js";

/** @typedef {import("./music.js").Event} Event */

const TAIL_S = 3;
export const LONGEST_S = 600;

/**
 * @param {Event[]} events in order of time; the sound begins with the first
 * @param {import("./bank.js").Bank} bank
 * @param {number} rate samples a second
 * @param {Record<string, string>} about texts of the file by kind, as `INFO` of RIFF has them
 * @returns {Promise<Blob>}
 */
export async function render(events, bank, rate, about = {}) {
  const begin = events.length ? events[0][0] : 0;
  const seconds = Math.min(LONGEST_S, (events.at(-1)?.[0] ?? 0) - begin) + TAIL_S;
  const context = new OfflineAudioContext(2, Math.ceil(seconds * rate), rate);
  const piano = new Piano(context);
  piano.bank = bank;
  const struck = events.filter(([, status]) => status === NOTE_ON);
  await Promise.all(struck.flatMap(([, , pitch, velocity]) => bank.find(pitch, velocity).map((zone) => bank.buffer(zone, context))));
  for (const [time, ...message] of events) piano.send(message, time - begin);
  await Promise.resolve(); // voices begin once their samples are at hand, which they are
  return new Blob([wavFile(await context.startRendering(), about)], { type: "audio/wav" });
}

/**
 * Sixteen bits a sample.
 * @param {{ length: number, sampleRate: number, getChannelData: (side: number) => Float32Array }} sound of two sides
 * @param {Record<string, string>} about
 * @returns {ArrayBuffer}
 */
export function wavFile(sound, about = {}) {
  const sides = [0, 1].map((side) => sound.getChannelData(side));
  const bytes = 4 * sound.length, rate = sound.sampleRate;
  const texts = Object.entries(about).map(([kind, text]) => chunk(kind, new TextEncoder().encode(`${text}\0`)));
  const info = texts.length ? chunk("LIST", joined([letters("INFO"), ...texts])) : new Uint8Array();
  const view = new DataView(new ArrayBuffer(44 + bytes + info.length));
  const put = (/** @type {number} */ at, /** @type {string} */ word) => letters(word).forEach((letter, n) => view.setUint8(at + n, letter));
  put(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  put(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * rate, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 16, true);
  put(36, "data");
  view.setUint32(40, bytes, true);
  for (let n = 0, at = 44; n < sound.length; n++) {
    for (const side of sides) {
      view.setInt16(at, Math.max(-1, Math.min(1, side[n])) * 32767, true);
      at += 2;
    }
  }
  new Uint8Array(view.buffer).set(info, 44 + bytes);
  return view.buffer;
}

const letters = (/** @type {string} */ word) => new TextEncoder().encode(word);

/** @param {string} name @param {Uint8Array} data @returns {Uint8Array} */
function chunk(name, data) {
  const head = new DataView(new ArrayBuffer(8));
  letters(name).forEach((letter, n) => head.setUint8(n, letter));
  head.setUint32(4, data.length, true);
  return joined([new Uint8Array(head.buffer), data, new Uint8Array(data.length % 2)]);
}

/** @param {Uint8Array[]} parts @returns {Uint8Array} */
function joined(parts) {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
