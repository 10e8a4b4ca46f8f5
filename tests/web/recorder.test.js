import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { History } from "../../src/espressivo/server/web/history.js";
import { Music } from "../../src/espressivo/server/web/music.js";
import { Recorder } from "../../src/espressivo/server/web/recorder.js";
import { Store } from "../../src/espressivo/server/web/store.js";
import { Takes } from "../../src/espressivo/server/web/takes.js";

const ON = 0x90, OFF = 0x80, PEDAL = 0xb0;

mock.timers.enable({ apis: ["setInterval"] });

async function made() {
  const world = { now: 100 };
  const store = new Store({ seed: 5, model: { name: "/m.onnx", title: "m", licence: "free", trained_on: "", sha256: "ab", controls: [] }, settings: { temperature: 0.9 } });
  const history = new History((undo, redo) => store.change({ undo, redo }), () => 0);
  const takes = new Takes(store, history);
  await takes.open(); // node has no database: they last as long as the page
  const recorder = new Recorder(store, takes, () => world.now);
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { world, store, history, takes, recorder, settled };
}

test("a take holds what is heard while it is recorded, and how it was made", async () => {
  const { world, store, takes, recorder, settled } = await made();
  recorder.run(100);
  recorder.send([PEDAL, 64, 127], 100, 0);
  recorder.send([ON, 50, 80], 100.2, 0);
  recorder.send([ON, 60, 80], 101.5, 0);
  world.now = 101;
  recorder.start();
  recorder.send([OFF, 60, 0], 102, 0);
  recorder.send([ON, 62, 80], 103, 0);
  world.now = 102.5;
  mock.timers.tick(250);
  await settled();
  assert.equal(store.state.takes[0].seconds, 1.5); // it is kept while it is recorded
  store.change({ settings: { temperature: 1.2 } });
  world.now = 103.5;
  await recorder.stop();
  const [row] = store.state.takes;
  assert.deepEqual(await takes.events(row), [
    [0, PEDAL, 64, 127, 0], [0.5, ON, 60, 80, 0], [1, OFF, 60, 0, 0], [2, ON, 62, 80, 0], [2.5, PEDAL, 64, 0, 0],
    [2.5, OFF, 50, 0, 0], [2.5, OFF, 62, 0, 0], // the first began before
  ]);
  assert.deepEqual([row.seconds, row.notes, row.seed, row.name], [2.5, 2, 5, "Take 1"]);
  assert.deepEqual(row.model, { name: "m", sha256: "ab", licence: "free" });
  assert.deepEqual([row.settings, row.changes], [{ temperature: 0.9 }, [[1.5, { temperature: 1.2 }]]]);
  assert.equal(store.state.recording, null);
});

test("a take goes on after time has stood, and over two hours another begins", async () => {
  const { world, store, takes, recorder, settled } = await made();
  recorder.start();
  recorder.run(100);
  recorder.send([ON, 60, 80], 101, 0);
  world.now = 102;
  recorder.stand(102);
  world.now = 500;
  recorder.run(500);
  recorder.send([ON, 62, 80], 501, 0);
  world.now = 501;
  mock.timers.tick(250);
  await settled();
  assert.deepEqual((await takes.events(store.state.takes[0])).map(([time, status]) => [time, status]), [[1, ON], [2, OFF], [3, ON]]);
  world.now = 500 + 2 * 3600;
  recorder.send([ON, 64, 80], world.now + 1, 0);
  mock.timers.tick(250);
  world.now += 2;
  await recorder.stop();
  await settled();
  assert.equal(store.state.takes.length, 2);
  const rows = store.state.takes.toSorted((a, b) => a.seconds - b.seconds);
  assert.ok(rows[1].seconds >= 2 * 3600 && rows[0].seconds < 10);
  assert.deepEqual(Music.of(await takes.events(rows[0])).notes.map(({ pitch, end }) => [pitch, end !== null]), [[64, true]]);
});

test("what was played is kept as a take afterwards", async () => {
  const { store, takes, recorder } = await made();
  await recorder.keep(Music.of([[5, ON, 60, 80, 1], [6, OFF, 60, 0, 1]]));
  assert.deepEqual(await takes.events(store.state.takes[0]), [[0, ON, 60, 80, 1], [1, OFF, 60, 0, 1]]);
  assert.equal(store.state.takes[0].seconds, 1);
});

test("takes are named and deleted, and both are undone", async () => {
  const { store, takes, recorder, history, settled } = await made();
  await recorder.keep(Music.of([[0, ON, 60, 80], [1, OFF, 60, 0]]));
  const [row] = store.state.takes;
  takes.rename(row, "Rain");
  await settled();
  assert.equal(store.state.takes[0].name, "Rain");
  takes.remove(store.state.takes[0]);
  await settled();
  assert.deepEqual(store.state.takes, []);
  history.undo();
  await settled();
  assert.equal(store.state.takes[0].name, "Rain");
  assert.equal((await takes.events(store.state.takes[0])).length, 2);
  history.undo();
  await settled();
  assert.equal(store.state.takes[0].name, "Take 1");
});
