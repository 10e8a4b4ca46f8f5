// Numbers: rounding and look-up as Python does them.

/** The nearest whole number; of two, the even one. */
export function round(/** @type {number} */ x) {
  const below = Math.floor(x), over = x - below;
  if (over !== 0.5) return over < 0.5 ? below : below + 1;
  return below % 2 ? below + 1 : below;
}

/**
 * How many of some ascending numbers are at most x.
 * @param {ArrayLike<number>} ascending
 * @param {number} x
 */
export function atMost(ascending, x) {
  let low = 0, high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The numbers from a first one up to, and without, a last one. */
export const range = (/** @type {number} */ from, /** @type {number} */ to) => Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n);

/**
 * Groups of what has the same number, each in the order given.
 * @template T
 * @param {T[]} items
 * @param {(item: T) => number} number
 */
export function groups(items, number) {
  /** @type {Map<number, T[]>} */
  const found = new Map();
  for (const item of items) found.set(number(item), [...(found.get(number(item)) ?? []), item]);
  return found;
}
