import assert from "node:assert/strict";
import test from "node:test";

import { labels, read, written } from "../../src/espressivo/server/web/address.js";
import { fitted, linked } from "../../src/espressivo/server/web/settings.js";

const number = { unit: "", count: 1, default: null, hint: "" };
const CONTROLS = [
  { ...number, name: "temperature", label: "Boldness", lowest: 0.1, highest: 2, step: 0.05, default: 1 },
  { ...number, name: "lowest_pitch", label: "Lowest", lowest: 21, highest: 96, step: 1, default: 21 },
  { ...number, name: "highest_pitch", label: "Highest", lowest: 33, highest: 108, step: 1, default: 108 },
  { ...number, name: "pitch_weights", label: "Pitches", lowest: 0, highest: 1, step: 0.25, default: 1, count: 12 },
  { name: "composer", label: "Manner of", hint: "", choices: ["Bach", "Ravel"] },
];

test("the address holds model, seed and settings, and gives them back", () => {
  const held = { model: "a/b.onnx", seed: 11, settings: { temperature: 0.9, pitch_weights: [0, 1, 0.5], composer: "Bach" } };
  assert.deepEqual(read(written(held)), held);
  assert.deepEqual(read(written({ model: null, seed: null, settings: { density: null } })), { model: null, seed: null, settings: {} });
  for (const seed of ["-1", "1.5", "x", "", "4294967297"]) assert.equal(read(`#seed=${seed}`).seed, null);
});

test("values out of range are brought into it, and that is said", () => {
  const { settings, said } = fitted(CONTROLS, { temperature: 9, lowest_pitch: 30.4, composer: "Elvis", density: 3, pitch_weights: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] });
  assert.deepEqual(settings, { temperature: 2, lowest_pitch: 30 });
  assert.deepEqual(said, [
    "Boldness 9 is out of range: it is 2", "Lowest 30.4 is out of range: it is 30", "Manner of cannot be Elvis",
    "Pitches cannot be 0,0,0,0,0,0,0,0,0,0,0,0",
  ]);
  assert.deepEqual(fitted(CONTROLS, { temperature: "hot" }).settings, {});
  assert.deepEqual(fitted(CONTROLS, { temperature: 0.9, composer: "Bach" }).said, []);
});

test("the lowest pitch stays an octave below the highest", () => {
  assert.deepEqual(linked({ lowest_pitch: 40, highest_pitch: 60 }, { lowest_pitch: 70 }), { lowest_pitch: 70, highest_pitch: 81 });
  assert.deepEqual(linked({ lowest_pitch: 40, highest_pitch: 60 }, { highest_pitch: 33 }), { highest_pitch: 33, lowest_pitch: 22 });
  assert.deepEqual(linked({ lowest_pitch: 40, highest_pitch: 60 }, { temperature: 1 }), { temperature: 1 });
  assert.deepEqual(fitted(CONTROLS, { lowest_pitch: 80, highest_pitch: 50 }).settings, { lowest_pitch: 80, highest_pitch: 91 });
  assert.deepEqual(fitted(CONTROLS, { highest_pitch: 33 }).settings, { highest_pitch: 33 });
});

test("models are told apart by as much of their paths as it takes", () => {
  assert.deepEqual(labels(["seed", "/a/x.onnx", "/b/x.onnx", "C:\\m\\y.onnx", "/c/b/x.onnx"]), ["seed", "a/x", "/b/x", "y", "c/b/x"]);
});
