import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { round } from "../../src/espressivo/server/web/engine/numbers.js";
import { Philox } from "../../src/espressivo/server/web/engine/philox.js";
import { described } from "../../src/espressivo/server/web/engine/model_file.js";

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
