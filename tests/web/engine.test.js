import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Layout } from "../../src/espressivo/server/web/engine/layout.js";
import { described } from "../../src/espressivo/server/web/engine/model_file.js";
import { round } from "../../src/espressivo/server/web/engine/numbers.js";
import { Philox } from "../../src/espressivo/server/web/engine/philox.js";
import { Session } from "../../src/espressivo/server/web/engine/session.js";

test("random numbers are those of numpy's Philox", () => {
  const eleven = new Philox(11), large = new Philox(2 ** 32);
  assert.deepEqual([...Array(5)].map(() => eleven.random()), [0.12701753267435878, 0.6846286134593053, 0.6379812715564803, 0.6236476320256881, 0.5808291945867193]);
  assert.equal(large.random(), 0.4802130821168077);
  assert.notEqual(new Philox(null).random(), new Philox(null).random());
});

test("halves are rounded to even numbers", () => {
  assert.deepEqual([0.5, 1.5, 2.5, 2.4, 2.6, 3].map(round), [0, 2, 2, 2, 3, 3]);
});

test("a model file is read, and refused if it has changed", async () => {
  const content = new Uint8Array(readFileSync(new URL("../../src/espressivo/models/seed.onnx", import.meta.url)));
  assert.equal((await described(content, "seed")).vocabulary.name, "seed");
  content[content.length >> 1] ^= 1;
  await assert.rejects(described(content, "seed"), /^Error: seed: has changed since it was written/);
  await assert.rejects(described(content.slice(0, 1 << 20), "seed"), /is not a whole model file/);
  await assert.rejects(described(new Uint8Array(), "empty"), /^Error: empty: is an ONNX file without a description/);
});

const CONTROL = { name: "temperature", label: "", hint: "", lowest: 0.1, highest: 2, step: 0.05, default: 0.9, unit: "", count: 1 };
const CONTROLS = [
  CONTROL, { ...CONTROL, name: "polyphony", lowest: 1, highest: 24, step: 1, default: null }, { ...CONTROL, name: "density" },
  { ...CONTROL, name: "pitch_weights", lowest: 0, highest: 1, default: 1, count: 12 }, { name: "composer", label: "", hint: "", choices: ["Bach"] },
];
const BEGIN = { type: "begin", run: 7, time_s: 2, events: [], settings: {}, seed: 1 };

// A session whose model strikes the same keys for ever, and fails after so many ids.
async function session(lasts = Infinity) {
  const content = new Uint8Array(readFileSync(new URL("../../src/espressivo/models/seed.onnx", import.meta.url)));
  const layout = new Layout((await described(content, "seed")).vocabulary), told = [];
  const feed = async () => {
    lasts -= 1;
    if (lasts < 0) throw new Error("out of memory");
  };
  const state = async () => ({ controls: null, logits: new Float32Array(layout.size), feed, copy: state });
  const network = { layout, controls: 0, card: { name: "Seed" }, sha256: "0", unsupported: ["density", "composer", "guidance"], state };
  const models = { names: ["seed"], get: async (name) => (name === "seed" ? network : assert.fail()), add: async () => network };
  const made = new Session(models, CONTROLS, (message) => told.push(message));
  await made.greet("1.0");
  return { made, told, until: async (type) => {
    while (!told.some((message) => message.type === type)) await new Promise((resolve) => setTimeout(resolve, 5));
  } };
}

test("a session greets with its models and with what the first can be steered by", async () => {
  const { made, told } = await session();
  assert.deepEqual([told[0].type, told[0].version, told[0].models], ["hello", "1.0", ["seed"]]);
  assert.deepEqual([told[1].type, told[1].title, told[1].licence], ["model", "Seed", "unspecified"]);
  assert.deepEqual(told[1].controls.map(({ name }) => name), ["temperature", "polyphony", "pitch_weights"]);
  await made.handle({ type: "load_model", name: "own.onnx", data: new ArrayBuffer(0) });
  assert.equal(told[2].name, "own.onnx");
});

test("a run begins, is steered and stops, and what comes of it carries its number", async () => {
  const { made, told, until } = await session();
  await made.handle(BEGIN);
  await until("events");
  await made.handle({ type: "hear", pitch: 60, velocity: 90 });
  await made.handle({ type: "steer", settings: { polyphony: 2, pitch_weights: Array(12).fill(0.5) } });
  await made.handle({ type: "stop" });
  const count = told.length;
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(told.length, count);
  assert.deepEqual(told[2], { type: "begun", run: 7 });
  const [time, status] = told[3].events[0];
  assert.ok(told[3].run === 7 && time >= 2 && time <= 2.1 && status === 0x90);
});

test("a wrong setting is refused in a line, and changes nothing", async () => {
  const { made, told } = await session();
  const refused = async (settings) => {
    for (const message of [{ ...BEGIN, settings }, { type: "steer", settings }]) await made.handle(message);
    const [first, { type, run, message }] = told.slice(-2);
    assert.deepEqual([type, run, message], ["error", null, first.message]);
    return message;
  };
  assert.match(await refused({ density: 3 }), /^this model does not support the setting 'density': it supports temperature/);
  assert.equal(await refused({ temperature: 3 }), "temperature must be within 0.1..2, not 3");
  assert.equal(await refused({ polyphony: 1.5 }), "polyphony must be within 1..24, not 1.5");
  assert.equal(await refused({ pitch_weights: [1] }), "pitch_weights must be a list of 12 numbers");
  assert.match(await refused({ pitch_weights: Array(12).fill(0).with(0, NaN) }), /^pitch_weights must be within 0..1/);
});

test("a model that fails is told, and its run ends", async () => {
  const { made, told, until } = await session(200);
  await made.handle(BEGIN);
  await until("ended");
  assert.deepEqual(told.at(-2), { type: "error", run: 7, message: "the model failed: out of memory" });
  const sounding = new Set();
  for (const [, status, pitch] of told.filter(({ type }) => type === "events").map(({ events }) => events[0])) {
    if (status === 0x90) sounding.add(pitch);
    else sounding.delete(pitch);
  }
  assert.equal(sounding.size, 0);
});
