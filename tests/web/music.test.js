import assert from "node:assert/strict";
import test from "node:test";

import { clock, Music } from "../../src/espressivo/server/web/music.js";
import { Tape } from "../../src/espressivo/server/web/tape.js";

const ON = 0x90, OFF = 0x80, PEDAL = 0xb0;

test("events make notes, and notes make the events again", () => {
  const events = [[0, PEDAL, 64, 127], [0, ON, 60, 80], [0.5, ON, 64, 70], [1, OFF, 60, 0], [1, ON, 60, 50], [2, OFF, 60, 0], [2, OFF, 64, 0], [3, PEDAL, 64, 0]];
  const music = Music.of(events);
  assert.deepEqual(music.notes.map(({ start, end, pitch }) => [start, end, pitch]), [[0, 1, 60], [0.5, 2, 64], [1, 2, 60]]);
  assert.deepEqual(music.events().toSorted(), events.toSorted());
  assert.equal(music.end, 3);
});

test("what sounds at a cut ends there, and what would come later has not been", () => {
  const music = Music.of([[0, ON, 60, 80], [2, ON, 62, 80], [3, OFF, 62, 0]], 4);
  assert.equal(music.notes[0].end, 4);
  const copy = music.copy();
  music.cut(1);
  assert.deepEqual(music.notes.map(({ pitch, end }) => [pitch, end]), [[60, 1]]);
  assert.equal(copy.notes.length, 2);
});

test("another passage takes the place of what begins in it, and nothing else changes", () => {
  const music = Music.of([[0, ON, 60, 80], [1, ON, 62, 80, 1], [2, ON, 64, 80, 1], [3, OFF, 60, 0], [3, OFF, 62, 0, 1], [4, ON, 65, 80, 1], [5, OFF, 64, 0, 1], [6, OFF, 65, 0, 1]]);
  const pressed = Music.of([[0, PEDAL, 64, 127], [3, PEDAL, 64, 0]]).pedals;
  music.pedals = pressed;
  const other = Music.of([[0, ON, 61, 1], [0.5, OFF, 61, 0], [1, ON, 62, 80], [1.5, ON, 70, 90], [2, PEDAL, 64, 127], [2.5, PEDAL, 64, 0], [2.5, OFF, 62, 0], [2.6, OFF, 70, 0], [4, ON, 99, 9], [5, OFF, 99, 0]]);
  const made = music.with(1, 3, other);
  assert.deepEqual(made.notes.map(({ start, end, pitch, hand }) => [start, end, pitch, hand]), [[0, 3, 60, 0], [1, 2.5, 62, 1], [1.5, 2.6, 70, 0], [4, 6, 65, 1]]);
  assert.deepEqual(made.pedals.map(({ start, end }) => [start, end]), [[0, 1], [2, 2.5]]);
  assert.equal(made.end, 6);
  assert.equal(music.notes.length, 4);
});

test("pedals of two hands are one", () => {
  const music = Music.of([[0, PEDAL, 64, 127, 0], [1, PEDAL, 64, 127, 1], [2, PEDAL, 64, 0, 0], [3, PEDAL, 64, 0, 1], [4, PEDAL, 64, 127, 0], [5, PEDAL, 64, 0, 0]]);
  assert.deepEqual(music.events().map(([time, , , two]) => [time, two]), [[0, 127], [3, 0], [4, 127], [5, 0]]);
  assert.deepEqual(music.handEvents().map(([time, , , , hand]) => [time, hand]), [[0, 0], [1, 1], [2, 0], [3, 1], [4, 0], [5, 0]]);
});

test("passages that come back have letters, each its own", () => {
  const music = new Music();
  music.add([60, ON, 60, 80]);
  music.returned(20, 5, 4);
  music.returned(30, 21, 2); // what had come back comes back
  music.returned(40, 12, 3);
  music.returned(50, 6, 1);
  assert.deepEqual(music.passages.map(({ start, end, letter }) => [letter, start, end]), [
    ["A", 5, 9], ["A", 20, 24], ["A", 30, 32], ["B", 12, 15], ["B", 40, 43], ["A", 50, 51]]);
  const before = music.copy();
  music.cut(40);
  assert.deepEqual(music.passages.map(({ letter }) => letter), ["A", "A", "A", "B"]);
  assert.equal(before.passages.length, 6);
  for (let n = 0; n < 30; n++) music.returned(100 + n, 200 + 10 * n, 1);
  assert.equal(music.passages.at(-1)?.letter, "F1");
  for (let n = 0; n < 40; n++) music.add([60 * n, ON, 60, 80]);
  assert.ok(music.passages.every(({ start }) => start > 300));
});

test("of music without end the latest half hour is kept, of a take all", () => {
  const music = new Music();
  const events = Array.from({ length: 4000 }, (_, n) => [n, ON, 60, 80]);
  for (const event of events) music.add(event);
  assert.ok(music.notes.length < 1900 && music.notes.length > 1790);
  assert.equal(Music.of(events).notes.length, 4000);
});

test("a tape holds what is heard, before and after time has stood", () => {
  const tape = new Tape();
  tape.add([ON, 60, 80], 99, 1);
  assert.deepEqual(tape.stand(100), []);
  tape.run(100);
  tape.add([ON, 60, 80], 101, 0);
  tape.add([PEDAL, 64, 127], 101.5, 0);
  tape.add([OFF, 60, 0], 105, 0);
  tape.add([ON, 62, 80], 100.5, 1); // a person's comes at once, the model's ahead
  assert.deepEqual(tape.heard(101), [[0.5, ON, 62, 80, 1], [1, ON, 60, 80, 0]]);
  const ends = tape.stand(103);
  assert.deepEqual(ends[0], [1.5, PEDAL, 64, 127, 0]);
  assert.deepEqual(ends.slice(1).toSorted(), [[3, OFF, 60, 0, 0], [3, OFF, 62, 0, 1], [3, PEDAL, 64, 0, 0]].toSorted());
  assert.equal(tape.seconds(200), 3);
  tape.run(200);
  tape.add([ON, 64, 80], 201, 0);
  assert.deepEqual(tape.heard(202), [[4, ON, 64, 80, 0]]);
  assert.equal(tape.seconds(202), 5);
});

test("times are read as minutes and seconds", () => {
  assert.deepEqual([0, 59.9, 61, 3600].map(clock), ["0:00", "0:59", "1:01", "60:00"]);
});
