// Codec: a performance as ids, in any vocabulary, as `espressivo.codes.codec` writes it.

import { DURATION, FINE_DURATION, NOTE_OFF, NOTE_ON, START, SUSTAIN, TIME_SHIFT, VELOCITY } from "./layout.js";
import { atMost, groups } from "./numbers.js";

/** @typedef {import("./layout.js").Layout} Layout */
/** @typedef {import("./primer.js").Note} Note */
/** @typedef {import("./primer.js").Performance} Performance */
/** @typedef {{ begin: number, end: number, pitch: number, velocity: number }} Placed times in grid steps */

/**
 * The ids of a performance as far as music can follow: whole events, and no end.
 * @param {Performance} performance
 * @param {Layout} layout
 */
export function primerIds(performance, layout) {
  const notes = placed(performance, layout), moves = pedalMoves(performance, layout);
  const ids = layout.notewise ? notewise(notes, moves, layout) : eventwise(notes, moves, layout);
  return layout.boundaries && !layout.notewise ? [layout.first[START], ...ids] : ids;
}

/** The notes that a vocabulary can write, in the order of their events. @returns {Placed[]} */
function placed(/** @type {Performance} */ performance, /** @type {Layout} */ layout) {
  const notes = layout.pedal ? performance.notes : sustained(performance);
  const kept = notes.filter(({ pitch }) => pitch >= layout.lowest && pitch <= layout.highest).map((note) => {
    const begin = toStep(note.onset, layout), end = Math.max(toStep(note.offset, layout), begin + 1);
    return { begin, end: layout.notewise ? Math.min(end, begin + layout.longestNote) : end, pitch: note.pitch, velocity: note.velocity };
  });
  return layout.order === "pitch" ? kept.sort((a, b) => a.begin - b.begin || a.pitch - b.pitch) : kept;
}

const toStep = (/** @type {number} */ seconds, /** @type {Layout} */ { rate }) => Math.floor(seconds * rate + 0.5);

/**
 * The ids of notes and movements of the pedal, which come first in a step; and of the whole rests
 * until all is over.
 */
function notewise(/** @type {Placed[]} */ notes, /** @type {{ step: number, down: number }[]} */ moves, /** @type {Layout} */ layout) {
  const ended = inTurn(notes), over = Math.max(0, ...moves.map(({ step }) => step), ...ended.map(({ end }) => end));
  const moved = moves.map(({ step, down }) => ({ step, ids: [layout.id(SUSTAIN, down)] }));
  const played = ended.map(({ begin, end, pitch, velocity }) => ({
    step: begin,
    ids: [layout.id(NOTE_ON, pitch - layout.lowest), layout.id(VELOCITY, layout.bins[velocity]), ...lengthIds(end - begin, layout)],
  }));
  const longest = layout.longestShift, rests = (/** @type {number} */ steps) => Array(Math.floor(steps / longest)).fill(layout.id(TIME_SHIFT, longest));
  let now = 0;
  const ids = [...moved, ...played].sort((a, b) => a.step - b.step).flatMap(({ step, ids }) => {
    const gap = step - now;
    now = step;
    return [...rests(gap), layout.id(TIME_SHIFT, gap % longest), ...ids];
  });
  return [...ids, ...rests(over - now)];
}

/** The first note of a pitch to begin is the first to end. */
function inTurn(/** @type {Placed[]} */ notes) {
  const ends = groups(notes.toSorted((a, b) => a.end - b.end), ({ pitch }) => pitch);
  const left = new Map([...ends].map(([pitch, notes]) => [pitch, notes.map(({ end }) => end)]));
  return notes.map((note) => ({ ...note, end: left.get(note.pitch)?.shift() ?? note.end }));
}

/** The ids of a length in steps: a class, and a place if it has several. */
function lengthIds(/** @type {number} */ length, /** @type {Layout} */ layout) {
  const number = atMost(layout.shortest, length) - 1, alone = layout.inClass[number] === 1;
  return alone ? [layout.id(DURATION, number)] : [layout.id(DURATION, number), layout.id(FINE_DURATION, length - layout.shortest[number])];
}

function eventwise(/** @type {Placed[]} */ notes, /** @type {{ step: number, down: number }[]} */ moves, /** @type {Layout} */ layout) {
  const events = moves.map(({ step, down }) => ({ step, place: down, id: layout.id(SUSTAIN, down) }));
  let before = -1;
  notes.forEach(({ begin, end, pitch, velocity }, n) => {
    const place = 2 + 3 * n, key = pitch - layout.lowest, bin = layout.bins[velocity];
    if (bin !== before) events.push({ step: begin, place, id: layout.id(VELOCITY, bin) });
    before = bin;
    events.push({ step: begin, place: place + 1, id: layout.id(NOTE_ON, key) }, { step: end, place: place + 2, id: layout.id(NOTE_OFF, key) });
  });
  let now = 0;
  return events.sort((a, b) => a.step - b.step || a.place - b.place || a.id - b.id).flatMap(({ step, id }) => {
    const gap = step - now, whole = Math.floor(gap / layout.longestShift), rest = gap % layout.longestShift;
    now = step;
    const full = Array(whole).fill(layout.id(TIME_SHIFT, layout.longestShift - 1));
    return [...full, ...(rest ? [layout.id(TIME_SHIFT, rest - 1)] : []), id];
  });
}

/**
 * The sustain pedal's movements that are written. Of many within one step the state after the last
 * counts, and that a pedal which is down before and after went up in between.
 */
function pedalMoves(/** @type {Performance} */ { pedal }, /** @type {Layout} */ layout) {
  if (!layout.pedal) return [];
  const moves = pedal.filter(({ down }, n) => down !== (n > 0 && pedal[n - 1].down)).map(({ time, down }) => ({ step: toStep(time, layout), down: Number(down) }));
  return [...groups(moves, ({ step }) => step).values()].flatMap((within) => {
    const last = within[within.length - 1];
    return within.length % 2 ? [last] : last.down ? within.slice(-2) : [];
  });
}

/**
 * The notes with the pedal folded in: one that is released while it is down ends when it goes up,
 * or where its pitch is struck again. As `espressivo.music.sustained_notes`.
 * @returns {Note[]}
 */
function sustained(/** @type {Performance} */ { notes, pedal }) {
  if (!notes.length || !pedal.length) return notes;
  const endOfAll = Math.max(...notes.map(({ offset }) => offset), pedal[pedal.length - 1].time);
  const ordered = pedal.toSorted((a, b) => a.time - b.time || Number(b.down) - Number(a.down)); // down before up
  const moves = ordered.filter(({ down }, n) => down !== (n > 0 && ordered[n - 1].down)).map(({ time }) => time); // down, up, down
  const isDown = (/** @type {number} */ time) => atMost(moves, time) % 2 === 1;
  return notes.flatMap((note, n) => {
    const offset = isDown(note.offset) ? moves[atMost(moves, note.offset)] ?? endOfAll : note.offset;
    const again = notes.find(({ pitch, onset }, later) => later > n && pitch === note.pitch && isDown(onset))?.onset ?? Infinity;
    if (again > offset) return [{ ...note, offset }];
    return again > note.onset ? [{ ...note, offset: again }] : [];
  });
}
