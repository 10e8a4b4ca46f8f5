import assert from "node:assert/strict";
import test from "node:test";

import { between, Playing } from "../../src/espressivo/server/web/score/playing.js";

const [ON, OFF, PEDAL] = [0x90, 0x80, 0xb0];

// A score of a note a quarter, each played so many seconds long.
function rendered(quarters, quarterS) {
  const beats = Array.from({ length: quarters + 1 }, (_, n) => [n, n * quarterS, n]);
  const notes = Array.from({ length: quarters }, (_, n) => [n, n * quarterS, (n + 0.9) * quarterS, 60 + n, 64, 0]);
  return { notes, beats, pedal: beats.map(([, second], n) => [second, n % 2 ? 127 : 0]), measures: [0], seconds: quarters * quarterS, model: "", licence: "" };
}

function player() {
  const heard = [], time = { now: 10 };
  const playing = new Playing(() => time.now, (message, at) => heard.push([at, ...message]), () => heard.push(["silence"]));
  const run = (seconds) => {
    for (const end = time.now + seconds; time.now < end; time.now += 0.05) playing.feed();
  };
  return { playing, heard, time, run, of: (status) => heard.filter(([, one]) => one === status) };
}

test("a rendering is heard in time, each note once, in order", () => {
  const { playing, heard, run, of } = player();
  playing.take(rendered(8, 0.5));
  playing.start();
  run(6);
  assert.deepEqual(of(ON).map(([, , pitch]) => pitch), [60, 61, 62, 63, 64, 65, 66, 67]);
  for (const [n, [at]] of of(ON).entries()) assert.ok(Math.abs(at - (10.1 + n * 0.5)) < 1e-9);
  assert.equal(of(OFF).length, 8);
  const times = heard.map(([at]) => at);
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
  assert.ok(playing.over());
});

test("another rendering is taken up where the first one was, and no note is heard twice or lost", () => {
  const { playing, run, of } = player();
  playing.take(rendered(8, 0.5));
  playing.start();
  run(1.72);
  const before = playing.quarter();
  playing.take(rendered(8, 1));
  assert.ok(Math.abs(playing.quarter() - before) < 0.5);
  run(9);
  assert.deepEqual(of(ON).map(([, , pitch]) => pitch), [60, 61, 62, 63, 64, 65, 66, 67]);
  assert.equal(of(OFF).length, 8);
  const [fifth, sixth] = of(ON).slice(5).map(([at]) => at);
  assert.ok(Math.abs(sixth - fifth - 1) < 1e-9);
});

test("it goes on from a moment that is chosen, with the pedal as it is there", () => {
  const { playing, run, of, heard } = player();
  playing.take(rendered(8, 0.5));
  playing.seek(5.5);
  playing.start();
  assert.deepEqual(heard[0].slice(1), [PEDAL, 64, 127]);
  run(2);
  assert.deepEqual(of(ON).map(([, , pitch]) => pitch), [66, 67]);
  playing.stop();
  assert.deepEqual(heard.at(-1), ["silence"]);
});

test("values between rows are interpolated, and go on outside", () => {
  const rows = [[0, 10], [1, 12], [3, 13]];
  assert.deepEqual([-1, 0, 0.5, 2, 5].map((value) => between(rows, value, 0, 1)), [8, 10, 11, 12.5, 14]);
});
