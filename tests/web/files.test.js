import assert from "node:assert/strict";
import test from "node:test";

import { isSound, lines } from "../../src/espressivo/server/web/hearing.js";
import { midiFile, provenanceText } from "../../src/espressivo/server/web/midi_file.js";
import { wavFile } from "../../src/espressivo/server/web/wav.js";

const MADE = { command: "page", licence: "free – für alle", model: "m", model_sha256: "ab".repeat(32), primer_sha256: null, seed: 7, settings: { temperature: 0.9 }, version: "1" };

test("a MIDI file begins with its first event, and a tick is a millisecond", () => {
  const bytes = midiFile([[2, 0xb0, 64, 127], [2, 0x90, 60, 80], [2.0001, 0x80, 60, 0], [2.3, 0xb0, 64, 0]]);
  const text = Buffer.from(bytes).toString("hex");
  assert.equal(text.slice(0, 28), "4d546864000000060001000201e0");
  assert.ok(text.endsWith("00b0407f00903c5001803c40822bb0400000ff2f00"), text);
});

test("how it was made is ASCII, also where names are not", () => {
  const text = provenanceText(MADE);
  assert.match(text, /^[\x20-\x7e]+$/);
  assert.deepEqual(JSON.parse(text), MADE);
  assert.ok(Buffer.from(midiFile([[0, 0x90, 60, 80]], MADE)).includes(`espressivo:${text}`));
});

test("a WAV file holds samples of two sides and texts", () => {
  const sides = [Float32Array.of(0, 0.5, -2), Float32Array.of(1, 0, 0)];
  const bytes = Buffer.from(wavFile({ length: 3, sampleRate: 8000, getChannelData: (n) => sides[n] }, { ISFT: "espressivo", ICMT: "odd" }));
  assert.equal(bytes.toString("latin1", 0, 4), "RIFF");
  assert.equal(bytes.readUInt32LE(4), bytes.length - 8);
  assert.equal(bytes.readUInt32LE(40), 12);
  assert.deepEqual([44, 46, 48, 50, 52].map((at) => bytes.readInt16LE(at)), [0, 32767, 16383, 0, -32767]);
  const info = bytes.subarray(56);
  assert.equal(info.toString("latin1", 0, 12).replace(/[^\w]/g, "."), "LIST" + "(...".replace(/[^\w]/g, ".") + "INFO");
  assert.ok(info.includes("ISFT") && info.includes("espressivo\0") && info.includes("ICMT") && info.includes("odd\0"));
  assert.equal(info.readUInt32LE(4), info.length - 8);
});

test("lines are taken when they are whole, however they come, and letters stay whole", async () => {
  const bytes = new TextEncoder().encode('{"done":1,"of":4}\n{"error":"Für Elise"}\n{"cut');
  for (const size of [1, 7, bytes.length]) {
    const cuts = [];
    for (let at = 0; at < bytes.length; at += size) cuts.push(bytes.subarray(at, at + size));
    const found = [];
    for await (const line of lines(ReadableStream.from(cuts))) found.push(line);
    assert.deepEqual(found, [{ done: 1, of: 4 }, { error: "Für Elise" }]);
  }
});

test("recordings are known by their names", () => {
  assert.deepEqual(["a.MP3", "b.tar.wav", "c.mid", "wav", "d.onnx"].map(isSound), [true, true, false, false, false]);
});
