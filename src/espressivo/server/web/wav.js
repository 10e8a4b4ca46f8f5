// WAV: renders a take to the bytes of a file, faster than it sounds.

import { Piano } from "./piano.js";

const TAIL_S = 3;
export const LONGEST_S = 600;

// `events` as `Take.events` gives them, `rate` in samples a second; a promise of a Blob.
export async function render(events, bank, rate) {
  const begin = events.length ? events[0][0] : 0;
  const seconds = Math.min(LONGEST_S, (events.at(-1)?.[0] ?? 0) - begin) + TAIL_S;
  const context = new OfflineAudioContext(2, Math.ceil(seconds * rate), rate);
  const piano = new Piano(context);
  piano.bank = bank;
  const struck = events.filter(([, status]) => status === 0x90);
  await Promise.all(struck.flatMap(([, , pitch, velocity]) => bank.find(pitch, velocity).map((zone) => bank.buffer(zone, context))));
  for (const [time, ...message] of events) piano.send(message, time - begin);
  await Promise.resolve(); // voices begin once their samples are at hand, which they are
  return new Blob([encode(await context.startRendering())], { type: "audio/wav" });
}

// Sixteen bits a sample.
function encode(buffer) {
  const sides = [0, 1].map((side) => buffer.getChannelData(side));
  const bytes = 4 * buffer.length;
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const text = (at, word) => [...word].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, buffer.sampleRate, true);
  view.setUint32(28, 4 * buffer.sampleRate, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, bytes, true);
  for (let n = 0, at = 44; n < buffer.length; n++) {
    for (const side of sides) {
      view.setInt16(at, Math.max(-1, Math.min(1, side[n])) * 32767, true);
      at += 2;
    }
  }
  return view.buffer;
}
