import assert from "node:assert/strict";
import test from "node:test";

import { History } from "../../src/espressivo/server/web/history.js";
import { Store } from "../../src/espressivo/server/web/store.js";

test("only those who watch what changes are told, once now and once for each change", () => {
  const store = new Store({ seed: 1 }), told = [];
  store.watch(["seed", "mark"], ({ seed, mark }) => told.push([seed, mark]));
  store.change({ seed: 2, mark: 3 });
  store.change({ near: true });
  store.change({ seed: 2 });
  assert.deepEqual(told, [[1, null], [2, 3]]);
  assert.throws(() => (store.state.seed = 5), TypeError);
});

test("edits are undone in turn and done again, until another is made", () => {
  const names = [], done = [];
  const history = new History((undo, redo) => names.push([undo, redo]), () => 0);
  const edit = (name) => ({ name, undo: () => done.push(`-${name}`), redo: () => done.push(`+${name}`) });
  history.add(edit("a"));
  history.add(edit("b"));
  history.undo();
  history.undo();
  history.undo();
  history.redo();
  assert.deepEqual(done, ["-b", "-a", "+a"]);
  assert.deepEqual(names.at(-1), ["a", "b"]);
  history.add(edit("c"));
  assert.deepEqual(names.at(-1), ["c", null]);
});

test("a knob that is turned is undone as a whole", () => {
  let now = 0, value = 0;
  const history = new History(() => {}, () => now);
  const turn = (to) => {
    const from = value;
    value = to;
    history.add({ name: "knob", undo: () => (value = from), redo: () => (value = to) }, "knob");
  };
  turn(1);
  now = 1000;
  turn(2);
  now = 2400;
  turn(3);
  now = 9000;
  turn(4);
  history.undo();
  assert.equal(value, 3);
  history.undo();
  assert.equal(value, 0);
  history.redo();
  assert.equal(value, 3);
});
