// LoopDetector: notices when the pitches struck go in circles; a port of `espressivo.play.loops`.

const LONGEST = 32, TIMES = 4, SHORTEST = 32, WINDOW = 64, FEW = 4;

export class LoopDetector {
  /** @type {number[]} */ #recent = []; // pitches, the newest first
  /** @type {Set<number> | null} */ #forbidden = new Set(); // null until it is asked for

  feed(/** @type {number} */ pitch) {
    this.#recent.unshift(pitch);
    this.#recent.length = Math.min(this.#recent.length, TIMES * LONGEST);
    this.#forbidden = null;
  }

  /** Pitches that would go on with what has been repeated too often; mostly none. */
  get forbidden() {
    return (this.#forbidden ??= continuations(this.#recent));
  }
}

function continuations(/** @type {number[]} */ recent) {
  /** @type {Set<number>} */
  const found = new Set();
  for (let length = 1; length <= Math.min(LONGEST, recent.length - 1); length += 1) {
    const whole = Math.max(TIMES * length, SHORTEST);
    if (recent[0] !== recent[length] || recent.length < whole) continue;
    if (recent.slice(length, whole).every((pitch, n) => pitch === recent[n])) found.add(recent[length - 1]);
  }
  const few = new Set(recent.slice(0, WINDOW));
  if (recent.length >= WINDOW && few.size <= FEW) for (const pitch of few) found.add(pitch);
  return found;
}
