// View: the notes of a line in the order in which they came, and where its turns were last. A part
// of `espressivo.codes.pointers`.

/** @typedef {{ step: number, pitch: number, velocity: number, duration: number }} Note numbers of ids among those of their kinds */
/** @typedef {{ place: number, length: number }} Found of the note that is like the latest; intervals before it that are the same */

const ORDERS = [3, 4, 5, 6, 8, 12]; // intervals that are looked up
export const REACH = 1 << 15; // notes back: an hour at nine a second
const SIZE = 2 * REACH; // of a ring, so that the latest notes can be taken back
const SLOTS = 1 << 18;
const LONGEST = 64; // intervals that are compared at once

export class View {
  length = 0; // notes so far, of which the latest are kept
  #step = new Int32Array(SIZE);
  #pitch = new Int32Array(SIZE);
  #velocity = new Int32Array(SIZE);
  #duration = new Int32Array(SIZE);
  #latest = new Int32Array(SLOTS); // place + 1 of the turn with each hash
  #replaced = new Int32Array(SIZE * ORDERS.length); // what each note has replaced in it

  /** A view of its own, as it was after so many notes. */
  copy(/** @type {number} */ length) {
    const other = new View();
    other.#step.set(this.#step);
    other.#pitch.set(this.#pitch);
    other.#velocity.set(this.#velocity);
    other.#duration.set(this.#duration);
    other.#latest.set(this.#latest);
    other.#replaced.set(this.#replaced);
    other.length = this.length;
    while (other.length > length) {
      other.length -= 1;
      const place = other.length % SIZE, slots = other.#slots(other.#pitch[place]);
      for (let n = slots.length - 1; n >= 0; n -= 1) other.#latest[slots[n]] = other.#replaced[place * ORDERS.length + n];
    }
    return other;
  }

  append(/** @type {Note} */ { step, pitch, velocity, duration }) {
    const place = this.length % SIZE;
    this.#slots(pitch).forEach((slot, n) => {
      this.#replaced[place * ORDERS.length + n] = this.#latest[slot];
      this.#latest[slot] = this.length + 1;
    });
    this.#step[place] = step;
    this.#pitch[place] = pitch;
    this.#velocity[place] = velocity;
    this.#duration[place] = duration;
    this.length += 1;
  }

  /** @returns {Note} */
  note(/** @type {number} */ place) {
    const at = place % SIZE;
    return { step: this.#step[at], pitch: this.#pitch[at], velocity: this.#velocity[at], duration: this.#duration[at] };
  }

  /**
   * Where the line was before as it is with one note more, of a pitch.
   * @param {number} pitch
   * @param {Found | null} before what has been found for the note before that one
   * @returns {Found | null}
   */
  find(pitch, before) {
    const slots = this.#slots(pitch);
    for (let n = slots.length - 1; n >= 0; n -= 1) {
      const place = this.#latest[slots[n]] - 1;
      if (place < 0 || this.length - place >= REACH) continue;
      const length = this.#alike(pitch, place, before);
      if (length >= ORDERS[n]) return { place, length };
    }
    return null;
  }

  /** How many intervals are the same up to a place and up to a new note of a pitch. */
  #alike(/** @type {number} */ pitch, /** @type {number} */ place, /** @type {Found | null} */ before) {
    const pitches = this.#pitch, { length } = this, moved = pitch - pitches[place % SIZE];
    if (before !== null && before.place === place - 1) {
      return pitches[(length - 1) % SIZE] - pitches[before.place % SIZE] === moved ? before.length + 1 : 0;
    }
    const behind = length - place, least = Math.max(place - LONGEST, length - REACH, 0);
    let at = place - 1;
    while (at >= least && pitches[(at + behind) % SIZE] - pitches[at % SIZE] === moved) at -= 1;
    return place - 1 - at;
  }

  /** Where the table has the turns that end with one note more, of a pitch; by FNV-1a. */
  #slots(/** @type {number} */ pitch) {
    const slots = [];
    let hash = 2166136261, later = pitch;
    for (let back = 1; back <= Math.min(this.length, ORDERS[ORDERS.length - 1]); back += 1) {
      const earlier = this.#pitch[(this.length - back) % SIZE];
      hash = Math.imul(hash ^ ((later - earlier) & 255), 16777619) >>> 0;
      later = earlier;
      if (ORDERS.includes(back)) slots.push(((hash ^ (hash >>> 15)) >>> 0) % SLOTS);
    }
    return slots;
  }
}
