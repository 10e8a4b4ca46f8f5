import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { History } from "../../src/espressivo/server/web/history.js";
import { Player } from "../../src/espressivo/server/web/player.js";
import { Store } from "../../src/espressivo/server/web/store.js";

const ON = 0x90, OFF = 0x80, PEDAL = 0xb0;
const LOW = { name: "lowest_pitch", label: "Lowest", hint: "", lowest: 21, highest: 96, step: 1, default: 21, unit: "note", count: 1 };
const CONTROLS = [LOW, { ...LOW, name: "highest_pitch", label: "Highest", lowest: 33, highest: 108, default: 108 }];
const MODELS = ["one", "two"];

mock.timers.enable({ apis: ["setTimeout"] });

// A player whose clock stands still, with a back end that keeps what it is told.
function made(known = {}) {
  const world = { now: 10, told: [], said: [], heard: [], reachable: true };
  const store = new Store({ seed: 5, ...known });
  const history = new History((undo, redo) => store.change({ undo, redo }), () => world.now * 1000);
  const player = new Player({ store, history, clock: () => world.now, wake: async () => {}, say: (text) => world.said.push(text) });
  player.backEnd = { send: (message) => world.reachable && Boolean(world.told.push(message)), sendBytes: () => world.reachable };
  player.ears.push({ send: (message, at, hand) => world.heard.push([at, ...message, hand]), stand: () => {} });
  const calls = player.calls(() => known.wanted ?? null);
  const begins = () => world.told.filter(({ type }) => type === "begin");
  return { ...world, world, store, history, player, calls, begins, mode: () => store.state.mode };
}

function connect(calls, model = "one") {
  calls.hello({ version: "1", models: MODELS, offers: ["begin"] });
  calls.model({ name: "one", title: "One", licence: "free", trained_on: "", sha256: "0", controls: CONTROLS });
  if (model !== "one") calls.model({ name: model, title: model, licence: "free", trained_on: "", sha256: "1", controls: CONTROLS });
}

async function playing(known) {
  const all = made(known);
  connect(all.calls);
  await all.player.play();
  const { run } = all.begins().at(-1);
  all.calls.begun({ run });
  return { ...all, run };
}

test("the model's events are heard at their time, and what comes of an earlier run is not", async () => {
  const { player, calls, world, begins, mode } = await playing();
  const { run, seed, time_s, events } = begins()[0];
  assert.deepEqual([seed, time_s, events], [5, 0, []]);
  assert.equal(mode(), "playing");
  calls.events({ run, events: [[0.5, ON, 60, 80]] });
  calls.events({ run: run - 1, events: [[0.5, ON, 62, 80]] });
  assert.deepEqual(world.heard, [[10.62, ON, 60, 80, 0]]);
  world.now = 12.12;
  player.stop();
  assert.deepEqual(player.music.notes, [{ start: 0.5, end: 2, pitch: 60, velocity: 80, hand: 0 }]);
  assert.equal(world.told.at(-1).type, "stop");
});

test("events that come too late are heard later, and so is all that follows", async () => {
  const { player, calls, world, run } = await playing();
  world.now = 13;
  calls.events({ run, events: [[1, ON, 60, 80], [1.5, OFF, 60, 0]] });
  assert.equal(player.underruns, 1);
  assert.deepEqual(world.heard.map(([at]) => at.toFixed(2)), ["13.12", "13.62"]);
});

test("without a back end nothing waits for it", async () => {
  const { player, world, mode } = made();
  world.reachable = false;
  await player.play();
  assert.equal(mode(), "stopped");
  assert.match(world.said.at(-1), /cannot be reached/);
});

test("after a reconnect it goes on, by the model that was chosen, once that is there", async () => {
  const { player, calls, begins, mode, world } = made({ wanted: "two" });
  connect(calls, "two");
  await player.play();
  assert.equal(mode(), "waiting");
  calls.lost(false);
  assert.equal(mode(), "stopped");
  const before = begins().length;
  calls.hello({ version: "1", models: MODELS, offers: ["begin"] });
  calls.model({ name: "one", title: "One", licence: "free", trained_on: "", sha256: "0", controls: CONTROLS });
  await Promise.resolve();
  assert.equal(begins().length, before);
  assert.deepEqual(world.told.at(-1), { type: "choose_model", name: "two" });
  calls.model({ name: "two", title: "Two", licence: "free", trained_on: "", sha256: "1", controls: CONTROLS });
  await Promise.resolve();
  assert.equal(begins().length, before + 1);
  calls.begun({ run: begins().at(-1).run });
  assert.equal(mode(), "playing");
});

test("who stops while the connection is lost does not hear it again by itself", async () => {
  const { player, calls, begins } = await playing();
  calls.lost(false);
  player.stop();
  connect(calls);
  await Promise.resolve();
  assert.equal(begins().length, 1);
});

test("a model that cannot be loaded leaves the first one", () => {
  const { calls, world, store } = made({ wanted: "two" });
  calls.hello({ version: "1", models: MODELS, offers: [] });
  calls.error({ run: null, message: "two: no such file" });
  assert.deepEqual(world.told.at(-1), { type: "choose_model", name: "one" });
  calls.model({ name: "one", title: "One", licence: "free", trained_on: "", sha256: "0", controls: CONTROLS });
  assert.equal(store.state.model.name, "one");
});

test("a page too many is told so", () => {
  const { calls, store } = made();
  calls.lost(true);
  assert.equal(store.state.link, "full");
});

test("a pedal that is pressed before the first note holds it", () => {
  const { player, world } = made();
  player.pedal(127);
  player.strike(60, 70);
  world.now = 11;
  player.release(60);
  player.pedal(0);
  assert.deepEqual(world.heard, [[10, PEDAL, 64, 127, 1], [10, ON, 60, 70, 1], [11, OFF, 60, 0, 1], [11, PEDAL, 64, 0, 1]]);
  assert.deepEqual(player.music.pedals, [{ start: 0, end: 1, hand: 1 }]);
});

test("the model goes on when a person pauses, unless it is not to answer", async () => {
  const { player, calls, store, mode, begins, world } = made();
  connect(calls);
  player.strike(60, 70);
  world.now += 1;
  player.release(60);
  mock.timers.tick(1400);
  await Promise.resolve();
  assert.equal(mode(), "waiting");
  assert.equal(begins().at(-1).events.length, 2);
  player.stop();
  store.change({ answer: false });
  player.strike(60, 70);
  player.release(60);
  mock.timers.tick(1400);
  assert.equal(mode(), "stopped");
});

test("every edit of the music is undone and done again", async () => {
  const { player, calls, history, store, run, world } = await playing();
  calls.events({ run, events: [[0, ON, 60, 80], [1, OFF, 60, 0], [8, ON, 62, 80], [9, OFF, 62, 0]] });
  world.now += 9.12;
  player.stop();
  const music = () => [player.music.notes.map(({ pitch }) => pitch), Number(player.music.end.toFixed(2))];
  const { seed } = store.state, states = [music()];
  player.back();
  states.push(music());
  player.goOn(0.5);
  await Promise.resolve();
  states.push(music());
  player.fresh();
  states.push(music());
  assert.notEqual(store.state.seed, seed);
  calls.file({ events: [[0, ON, 70, 80], [1, OFF, 70, 0]] });
  states.push(music());
  assert.equal(store.state.undo, "Open a file");
  assert.deepEqual(states, [[[60, 62], 9], [[60], 4], [[60], 0.5], [[], 0], [[70], 1]]);
  for (const state of states.slice(0, -1).reverse()) {
    history.undo();
    assert.deepEqual(music(), state);
  }
  assert.equal(store.state.seed, seed);
  for (const state of states.slice(1)) {
    history.redo();
    assert.deepEqual(music(), state);
  }
});

test("knobs that depend on each other are steered together, and undone", () => {
  const { player, calls, world, store, history } = made({ settings: { highest_pitch: 50 } });
  connect(calls);
  player.steer({ lowest_pitch: 60 });
  assert.deepEqual(world.told.at(-1), { type: "steer", settings: { lowest_pitch: 60, highest_pitch: 71 } });
  history.undo();
  assert.deepEqual(world.told.at(-1), { type: "steer", settings: { lowest_pitch: 21, highest_pitch: 50 } });
  assert.deepEqual(store.state.settings, { highest_pitch: 50 });
});

test("settings that the address has wrong are put right when the model is there", () => {
  const { calls, store, world } = made({ settings: { lowest_pitch: 500, density: 3 } });
  connect(calls);
  assert.deepEqual(store.state.settings, { lowest_pitch: 96 });
  assert.match(world.said.at(-1), /Lowest 500 is out of range: it is 96/);
});

test("a refused begin and a failing model end the waiting", async () => {
  const { player, calls, world, mode, begins } = made();
  connect(calls);
  await player.play();
  calls.error({ run: null, message: "no" });
  assert.equal(mode(), "stopped");
  await player.play();
  const { run } = begins().at(-1);
  calls.begun({ run });
  calls.error({ run, message: "out of memory" });
  calls.ended({ run });
  mock.timers.tick(1000);
  assert.equal(mode(), "stopped");
  assert.deepEqual(world.said, ["no", "out of memory"]);
});

test("models of one's own have names of their own, and stand among the others", () => {
  const { player, calls, store, world } = made();
  connect(calls);
  player.loadModel("two", new ArrayBuffer(1));
  assert.equal(world.told.at(-1).name, "two 2");
  player.loadModel("mine.onnx", new ArrayBuffer(1));
  assert.equal(world.told.at(-1).name, "mine.onnx");
  calls.model({ name: "mine.onnx", title: "Mine", licence: "", trained_on: "", sha256: "2", controls: CONTROLS });
  assert.deepEqual(store.state.models, ["one", "two", "mine.onnx"]);
  player.loadModel("mine.onnx", new ArrayBuffer(1));
  assert.equal(world.told.at(-1).name, "mine 2.onnx");
});
