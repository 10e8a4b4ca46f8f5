// Music: notes and pedals, played by the model (hand 0) and by a person (hand 1). Times are seconds.

export const NOTE_OFF = 0x80, NOTE_ON = 0x90, CONTROL = 0xb0, SUSTAIN = 64;
const KEPT_S = 30 * 60; // older notes are forgotten

/** Minutes and seconds, as people read them. */
export const clock = (/** @type {number} */ seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** @typedef {[number, number, number]} Message status, data1, data2 */
/** @typedef {[number, number, number, number]} Event seconds, status, data1, data2 */
/** @typedef {[number, number, number, number, number]} HandEvent an event, and the hand that plays it */
/** @typedef {{ start: number, end: number | null, pitch: number, velocity: number, hand: number }} Note */
/** @typedef {{ start: number, end: number | null, hand: number }} Pedal */
/** @typedef {{ start: number, end: number, letter: string }} Passage one that comes back, or has come back */

export class Music {
  /** @type {Note[]} */ notes = []; // `end` is null while it sounds
  /** @type {Pedal[]} */ pedals = [];
  /** @type {Passage[]} */ passages = []; // in the order in which that was decided
  end = 0; // nothing happens later
  /** @type {Map<number, Note>[]} */ #open = [new Map(), new Map()];
  /** @type {(Pedal | null)[]} */ #down = [null, null];

  /**
   * @param {Iterable<HandEvent | Event>} events
   * @param {number} end of the music, if it ends after the last event
   */
  static of(events, end = 0) {
    const music = new Music();
    for (const [time, status, one, two, hand = 0] of events) music.#keep([time, status, one, two], hand);
    music.#close(Math.max(end, music.end));
    return music;
  }

  /** The same music, which goes its own way. */
  copy() {
    const music = new Music();
    music.notes = this.notes.map((note) => ({ ...note }));
    music.pedals = this.pedals.map((pedal) => ({ ...pedal }));
    music.passages = [...this.passages];
    music.#close(this.end);
    return music;
  }

  /**
   * Take note that a passage comes back. What has come back before keeps its letter.
   * @param {number} at
   * @param {number} from when it was played
   * @param {number} seconds how long it is
   */
  returned(at, from, seconds) {
    let letter = this.passages.find(({ start, end }) => start <= from && from < end)?.letter;
    if (letter === undefined) {
      letter = lettered(new Set(this.passages.map((passage) => passage.letter)).size);
      this.passages.push({ start: from, end: from + seconds, letter });
    }
    this.passages.push({ start: at, end: at + seconds, letter });
  }

  /**
   * Keep an event; of what goes on for ever, the latest half hour.
   * @param {Event} event
   */
  add(event, hand = 0) {
    this.#keep(event, hand);
    if (this.notes.length && this.notes[0].start < event[0] - KEPT_S - 60) this.#forget(event[0] - KEPT_S);
  }

  /**
   * Make it end at a time: what comes later has not been played, what sounds then ends.
   * @param {number} time
   */
  cut(time) {
    this.notes = this.notes.filter((note) => note.start < time);
    this.pedals = this.pedals.filter((pedal) => pedal.start < time);
    this.passages = this.passages.filter((passage) => passage.start < time);
    this.#close(time);
  }

  /**
   * The same music with another passage: what begins in it is as in other music, pedals too.
   * @param {number} from
   * @param {number} to
   * @param {Music} other
   */
  with(from, to, other) {
    const inside = (/** @type {Note} */ { start }) => start >= from && start < to;
    const same = (/** @type {Note} */ a, /** @type {Note} */ b) => a.pitch === b.pitch && Math.abs(a.start - b.start) < 0.001;
    const old = this.notes.filter(inside), music = new Music();
    const made = other.notes.filter(inside).map((note) => ({ ...note, hand: old.find((one) => same(one, note))?.hand ?? 0 }));
    music.notes = [...this.notes.filter((note) => !inside(note)).map((note) => ({ ...note })), ...made].sort((a, b) => a.start - b.start);
    const within = (/** @type {Music} */ { pedals, end }, /** @type {number} */ first, /** @type {number} */ last) => pedals
      .map((pedal) => ({ ...pedal, start: Math.max(pedal.start, first), end: Math.min(pedal.end ?? end, last) }))
      .filter((pedal) => pedal.start < pedal.end);
    music.pedals = [...within(this, 0, from), ...within(other, from, to), ...within(this, to, Infinity)].sort((a, b) => a.start - b.start);
    music.passages = [...this.passages];
    music.#close(this.end);
    return music;
  }

  #close(/** @type {number} */ time) {
    for (const each of [...this.notes, ...this.pedals]) if (each.end === null || each.end > time) each.end = time;
    this.#open.forEach((open) => open.clear());
    this.#down = [null, null];
    this.end = time;
  }

  /**
   * Events that begin within a span, in order of time; what sounds at its end ends there. Pedals of
   * both hands are one.
   * @returns {Event[]}
   */
  events(from = 0, to = Infinity) {
    const last = Math.min(to, this.end);
    /** @type {Event[]} */
    const found = [];
    for (const { start, end, pitch, velocity } of this.notes) {
      if (start < from || start >= to) continue;
      found.push([start, NOTE_ON, pitch, velocity], [Math.min(end ?? last, last), NOTE_OFF, pitch, 0]);
    }
    let until = -Infinity;
    const spans = this.pedals.map(({ start, end }) => [Math.max(start, from), Math.min(end ?? last, last)]);
    for (const [start, end] of spans.filter(([start, end]) => start < end).sort((a, b) => a[0] - b[0])) {
      if (start > until) found.push([start, CONTROL, SUSTAIN, 127], [end, CONTROL, SUSTAIN, 0]);
      else if (end > until) found[found.length - 1] = [end, CONTROL, SUSTAIN, 0];
      until = Math.max(until, end);
    }
    // A note that ends comes before one of its pitch that begins.
    const begins = (/** @type {Event} */ event) => Number(event[1] === NOTE_ON);
    return found.sort((a, b) => a[0] - b[0] || begins(a) - begins(b));
  }

  /**
   * All events with their hands, in order of time.
   * @returns {HandEvent[]}
   */
  handEvents() {
    const ofHand = (/** @type {number} */ hand) => {
      const music = new Music();
      music.notes = this.notes.filter((note) => note.hand === hand);
      music.pedals = this.pedals.filter((pedal) => pedal.hand === hand);
      music.end = this.end;
      return music.events().map((event) => /** @type {HandEvent} */ ([...event, hand]));
    };
    return [0, 1].flatMap(ofHand).sort((a, b) => a[0] - b[0]);
  }

  /** @param {Event} event */
  #keep([time, status, one, two], /** @type {number} */ hand) {
    this.end = Math.max(this.end, time);
    if (status === CONTROL) {
      this.#press(two >= 64, time, hand);
      return;
    }
    const sounding = this.#open[hand].get(one);
    if (sounding) sounding.end = Math.max(time, sounding.start);
    this.#open[hand].delete(one);
    if (status === NOTE_ON && two > 0) {
      const note = { start: time, end: null, pitch: one, velocity: two, hand };
      this.notes.push(note);
      this.#open[hand].set(one, note);
    }
  }

  #press(/** @type {boolean} */ down, /** @type {number} */ time, /** @type {number} */ hand) {
    const pressed = this.#down[hand];
    if (down === (pressed !== null)) return;
    if (pressed) {
      pressed.end = time;
      this.#down[hand] = null;
    } else {
      const pedal = (this.#down[hand] = { start: time, end: null, hand });
      this.pedals.push(pedal);
    }
  }

  #forget(/** @type {number} */ before) {
    this.notes = this.notes.filter((note) => note.start >= before || note.end === null);
    this.pedals = this.pedals.filter((pedal) => pedal.start >= before || pedal.end === null);
    this.passages = this.passages.filter((passage) => passage.start >= before);
  }
}

// A, B, and so on; after Z comes A1.
const lettered = (/** @type {number} */ number) => String.fromCharCode(65 + (number % 26)) + (Math.floor(number / 26) || "");
