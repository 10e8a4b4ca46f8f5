// Primer: the music that a page gives to go on from, as `espressivo.server.messages` reads it.

/** @typedef {import("../music.js").Event} Event */
/** @typedef {{ onset: number, offset: number, pitch: number, velocity: number }} Note times in seconds */
/** @typedef {{ notes: Note[], pedal: { time: number, down: boolean }[] }} Performance both in order of time */

const NOTE_ON = 0x90, CONTROL = 0xb0;

/** The events from so many notes before the last on, with the pedal as it then was. */
export function latest(/** @type {Event[]} */ events, /** @type {number} */ notes) {
  const struck = events.filter(([, status, , value]) => status === NOTE_ON && value).map(([time]) => time).sort((a, b) => a - b);
  const begin = struck.length > notes ? struck[struck.length - notes] : 0;
  const pedal = events.filter(([time, status]) => status === CONTROL && time < begin).slice(-1);
  const moved = pedal.map(([, ...message]) => /** @type {Event} */ ([begin, ...message]));
  return [...moved, ...events.filter(([time]) => time >= begin)];
}

/**
 * Events as a performance that begins with the first of them. A note-off ends the oldest note of
 * its pitch; what still sounds at the end ends there.
 * @param {Event[]} events
 * @returns {Performance}
 */
export function performance(events) {
  const ordered = events.toSorted((a, b) => a[0] - b[0]);
  const begin = ordered[0]?.[0] ?? 0, end = ordered.at(-1)?.[0] ?? 0;
  /** @type {[number, number, number, number][]} */
  const found = [];
  /** @type {Performance["pedal"]} */
  const pedal = [];
  /** @type {Map<number, [number, number][]>} */
  const sounding = new Map();
  for (const [time, status, one, value] of ordered) {
    const struck = sounding.get(one) ?? [];
    if (status === CONTROL) pedal.push({ time: time - begin, down: value >= 64 });
    else if (status === NOTE_ON && value) sounding.set(one, [...struck, [time, value]]);
    else if (struck.length) {
      const [[onset, velocity], ...rest] = struck;
      sounding.set(one, rest);
      found.push([onset, time, one, velocity]);
    }
  }
  for (const [pitch, struck] of sounding) for (const [onset, velocity] of struck) found.push([onset, end, pitch, velocity]);
  const notes = found.filter(([onset, offset]) => offset > onset)
    .map(([onset, offset, pitch, velocity]) => ({ onset: onset - begin, offset: offset - begin, pitch, velocity }));
  return { notes: notes.sort((a, b) => a.onset - b.onset || a.pitch - b.pitch), pedal };
}
