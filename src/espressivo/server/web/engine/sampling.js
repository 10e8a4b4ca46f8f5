// Sampling: from the scores of all ids to one id, as `espressivo.engine.Sampling` draws it.

/**
 * How ids are drawn; `espressivo.engine.Sampling` says what each field means.
 * @typedef {object} Way
 * @property {number} temperature
 * @property {number | null} [topK]
 * @property {number | null} [topP]
 * @property {number | null} [minP]
 */

const LEAST = 1e-290; // less than this may be the remains of an underflow

export class Sampling {
  #temperature;
  /** @type {{ begin: number, end: number, way: Way | null }[]} */ #kinds = [];
  #singular;

  /**
   * @param {number} temperature decides how likely each kind of ids is
   * @param {{ count: number, way: Way | null }[]} kinds how many ids each has, and how one of them
   *   is drawn, where it has a way of its own
   */
  constructor(temperature, kinds) {
    this.#temperature = temperature;
    let begin = 0;
    for (const { count, way } of kinds) this.#kinds.push({ begin, end: (begin += count), way });
    this.#singular = temperature === 0 || kinds.some(({ way }) => way?.temperature === 0);
  }

  /**
   * The id that a random number stands for.
   * @param {Float32Array} logits
   * @param {number} share within 0 (included) and 1 (excluded)
   * @param {Uint8Array} allowed 1 for each id that can be drawn
   */
  choose(logits, share, allowed) {
    const p = (this.#singular ? null : this.#quick(logits, allowed)) ?? this.#careful(logits, allowed);
    for (const { begin, end, way } of this.#kinds) if (way && cuts(way)) cutWithin(p.subarray(begin, end), way);
    for (let id = 1; id < p.length; id += 1) p[id] += p[id - 1];
    // From (0, 1], so the first bound at or above it always belongs to a possible id.
    const reached = (1 - share) * p[p.length - 1];
    return p.findIndex((bound) => bound >= reached);
  }

  /**
   * Weights where exponentials serve, and null where they would underflow.
   * @param {Float32Array} x
   * @param {Uint8Array} allowed
   */
  #quick(x, allowed) {
    const largest = greatest(x);
    if (!Number.isFinite(largest)) return null;
    const p = new Float64Array(x.length);
    let some = false;
    for (const { begin, end, way } of this.#kinds) {
      let whole = 0, rest = 0, drawable = false;
      for (let id = begin; id < end; id += 1) whole += p[id] = power(x[id] - largest, this.#temperature);
      const own = way?.temperature ?? this.#temperature;
      for (let id = begin; id < end; id += 1) {
        if (own !== this.#temperature && whole > LEAST) p[id] = power(x[id] - largest, own);
        p[id] *= allowed[id];
        rest += p[id];
        drawable ||= allowed[id] === 1;
      }
      if (whole > LEAST && rest <= LEAST && drawable) return null;
      const scale = whole > LEAST && rest > LEAST ? whole / rest : 0;
      for (let id = begin; id < end; id += 1) p[id] *= scale;
      some ||= scale > 0;
    }
    return some ? p : null;
  }

  /**
   * Weights at any temperature, 0 included.
   * @param {Float32Array} x
   * @param {Uint8Array} allowed
   */
  #careful(x, allowed) {
    const left = Float64Array.from(x, (logit, id) => (allowed[id] ? logit : -Infinity));
    const kinds = this.#kinds.map(({ begin, end }) => [greatest(x.subarray(begin, end)), greatest(left.subarray(begin, end))]);
    if (!kinds.some(([, best]) => best > -Infinity) || !kinds.every(([highest]) => highest < Infinity)) { // nor NaN
      throw new Error("no id can be drawn: none is allowed, or the model gave no numbers");
    }
    const shares = kinds.map(([highest, best]) => (best > -Infinity ? highest : -Infinity));
    const most = Math.max(...shares), first = shares.indexOf(most);
    this.#kinds.forEach(({ begin, end, way }, kind) => {
      const [highest, best] = kinds[kind];
      let share = Number(kind === first);
      if (this.#temperature !== 0) {
        let each = 0;
        for (let id = begin; id < end; id += 1) each += power(x[id] - highest, this.#temperature) || 0;
        share = power(shares[kind] - most, this.#temperature) * each;
      }
      const within = left.subarray(begin, end), own = way?.temperature ?? this.#temperature;
      const likeliest = within.indexOf(best);
      let total = 0;
      for (let n = 0; n < within.length; n += 1) {
        if (best === -Infinity) within[n] = 0;
        else within[n] = own === 0 ? Number(n === likeliest) : power(within[n] - best, own);
        total += within[n];
      }
      const scale = best > -Infinity ? share / (total > 0 ? total : 1) : 0;
      for (let n = 0; n < within.length; n += 1) within[n] *= scale;
    });
    return left;
  }
}

const power = (/** @type {number} */ x, /** @type {number} */ temperature) => Math.exp(x / temperature);

const cuts = (/** @type {Way} */ { topK, topP, minP }) => [topK, topP, minP].some((cut) => cut !== null && cut !== undefined);

function greatest(/** @type {Float32Array | Float64Array} */ x) {
  let most = -Infinity;
  for (const each of x) {
    if (Number.isNaN(each)) return each;
    if (each > most) most = each;
  }
  return most;
}

const sum = (/** @type {Float64Array} */ p) => p.reduce((total, each) => total + each, 0);

/**
 * Make the weights of what is cut off 0, and give what they had to the others.
 * @param {Float64Array} p
 * @param {Way} way
 */
function cutWithin(p, way) {
  const whole = sum(p);
  if (whole <= 0) return;
  for (const id of cut(p, way)) p[id] = 0;
  const scale = whole / sum(p);
  for (let id = 0; id < p.length; id += 1) p[id] *= scale;
}

/** The places that are cut off: all after some position in the order of likelihood. */
function cut(/** @type {Float64Array} */ p, /** @type {Way} */ { topK = null, topP = null, minP = null }) {
  const order = [...p.keys()].sort((a, b) => p[b] - p[a]); // which is stable
  let kept = topK === null ? p.length : Math.min(topK, p.length);
  if (topP !== null) {
    let total = 0;
    const reached = order.slice(0, kept).map((id) => (total += p[id]));
    kept = Math.min(kept, reached.findIndex((bound) => bound >= topP * total) + 1);
  }
  if (minP !== null) kept = Math.min(kept, p.filter((each) => each >= minP * p[order[0]]).length);
  return order.slice(kept);
}
