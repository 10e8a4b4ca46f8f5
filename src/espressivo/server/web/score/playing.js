// Playing: a rendered score in time. Another rendering of the same score may come at any moment: it
// is taken up where the old one was, and no note is heard twice.

/** @typedef {import("../music.js").Message} Message */
/**
 * What the server renders; seconds, but where it says quarters.
 * @typedef {object} Rendered
 * @property {[number, number, number, number, number, number][]} notes quarter, onset, end, pitch, velocity, and as written
 * @property {[number, number][]} pedal second and value
 * @property {[number, number, number][]} beats quarter, second, and second as written
 * @property {number[]} measures quarters
 * @property {number} seconds
 * @property {string} model
 * @property {string} licence
 */
/**
 * A score as somebody played it.
 * @typedef {object} Take
 * @property {(number | null)[]} beats seconds
 * @property {number[]} velocity of each note, 0 where it was not found
 * @property {number} found the part of the notes that were
 */

const AHEAD_S = 0.2, BEGIN_S = 0.1;
const NOTE_OFF = 0x80, NOTE_ON = 0x90, CONTROL = 0xb0, SUSTAIN = 64;

export class Playing {
  /** @type {Rendered | null} */ rendered = null;
  running = false;
  #zero = 0; // when, by the clock, second 0 of the rendering is
  #stands = 0; // the quarter at which it stands
  #until = 0; // by the clock: all before has been sent
  /** @type {Set<number>} */ #sent = new Set(); // notes, by their number in the score
  /** @type {[number, number][]} */ #ends = []; // moments and pitches of notes that will end
  /** @type {number[]} */ #order = []; // notes in order of time
  #pedal = 0; // the next movement

  /**
   * @param {() => number} clock seconds
   * @param {(message: Message, at: number) => void} send in order of time
   * @param {() => void} silence
   */
  constructor(clock, send, silence) {
    this.clock = clock;
    this.send = send;
    this.silence = silence;
  }

  get quarters() {
    return this.rendered?.beats.at(-1)?.[0] ?? 0;
  }

  forget() {
    this.stop();
    this.rendered = null;
    this.#stands = 0;
  }

  /** @param {Rendered} rendered */
  take(rendered) {
    const before = this.rendered, at = Math.max(this.#until, this.clock());
    const quarter = before && this.running ? between(before.beats, at - this.#zero, 1, 0) : this.#stands;
    this.rendered = rendered;
    this.#order = rendered.notes.map((_, number) => number).sort((a, b) => rendered.notes[a][1] - rendered.notes[b][1]);
    this.#stands = Math.min(quarter, this.quarters);
    if (this.running) this.#join(at, quarter);
  }

  start() {
    if (!this.rendered || this.running) return;
    if (this.over()) this.#stands = 0;
    this.#from(this.#stands);
  }

  stop() {
    if (!this.running) return;
    this.#stands = this.quarter();
    this.running = false;
    this.#ends = [];
    this.silence();
  }

  /** @param {number} quarter */
  seek(quarter) {
    const { running } = this;
    this.stop();
    this.#stands = quarter;
    if (running) this.#from(quarter);
  }

  /** The quarter that sounds now. */
  quarter() {
    if (!this.rendered || !this.running) return this.#stands;
    return between(this.rendered.beats, this.clock() - this.#zero, 1, 0);
  }

  second() {
    if (!this.rendered) return 0;
    return this.running ? Math.max(0, this.clock() - this.#zero) : between(this.rendered.beats, this.#stands, 0, 1);
  }

  over() {
    if (!this.rendered) return true;
    return this.running ? this.clock() - this.#zero > this.rendered.seconds + 1 : this.#stands >= this.quarters - 1e-6;
  }

  /** Send what is due soon. */
  feed() {
    const { rendered } = this;
    if (!rendered || !this.running) return;
    const until = this.clock() + AHEAD_S;
    /** @type {[number, Message][]} */
    const due = [];
    for (const number of this.#order) {
      const [, onset, end, pitch, velocity] = rendered.notes[number];
      if (this.#zero + onset > until) break;
      if (this.#sent.has(number)) continue;
      this.#sent.add(number);
      const at = Math.max(this.#zero + onset, this.#until);
      due.push([at, [NOTE_ON, pitch, velocity]]);
      this.#ends.push([at + end - onset, pitch]);
    }
    for (; this.#pedal < rendered.pedal.length; this.#pedal += 1) {
      const [second, value] = rendered.pedal[this.#pedal];
      if (this.#zero + second > until) break;
      due.push([Math.max(this.#zero + second, this.#until), [CONTROL, SUSTAIN, value]]);
    }
    for (const [at, pitch] of this.#ends) if (at <= until) due.push([Math.max(at, this.#until), [NOTE_OFF, pitch, 0]]);
    this.#ends = this.#ends.filter(([at]) => at > until);
    this.#until = Math.max(this.#until, until);
    // Of one moment: what ends, the pedal, what begins.
    due.sort(([a, [one]], [b, [other]]) => a - b || RANK[one] - RANK[other]);
    for (const [at, message] of due) this.send(message, at);
  }

  /** @param {number} quarter */
  #from(quarter) {
    const at = this.clock() + BEGIN_S;
    this.running = true;
    this.#sent.clear();
    this.#ends = [];
    this.#until = at;
    this.#join(at, quarter);
  }

  // What begins before a quarter has been; the rest comes from a moment of the clock on.
  #join(/** @type {number} */ at, /** @type {number} */ quarter) {
    if (!this.rendered) return;
    const { notes, beats, pedal } = this.rendered;
    this.#zero = at - between(beats, quarter, 0, 1);
    notes.forEach(([begin], number) => {
      if (begin < quarter - 1e-6) this.#sent.add(number);
    });
    const next = pedal.findIndex(([second]) => second > at - this.#zero);
    this.#pedal = next < 0 ? pedal.length : next;
    this.send([CONTROL, SUSTAIN, this.#pedal ? pedal[this.#pedal - 1][1] : 0], at);
  }
}

/** @type {Record<number, number>} */
const RANK = { [NOTE_OFF]: 0, [CONTROL]: 1, [NOTE_ON]: 2 };

/**
 * Where a value of one column of rows stands in another: between rows it is interpolated, and
 * outside it goes on like the first or the last.
 * @param {number[][]} rows
 * @param {number} value
 * @param {number} from
 * @param {number} to
 */
export function between(rows, value, from, to) {
  let low = 0, high = rows.length - 2;
  if (high < 0) return 0;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows[middle][from] <= value) low = middle;
    else high = middle - 1;
  }
  const [a, b] = [rows[low], rows[low + 1]], width = b[from] - a[from];
  return width > 0 ? a[to] + ((value - a[from]) / width) * (b[to] - a[to]) : a[to];
}
