// Philox: the random numbers of `espressivo.engine.generator`, Philox-4x64-10 (Salmon et al. 2011)
// with the seed as key and a counter from 0. The same seed gives the same numbers here and there.

const MASK = (1n << 64n) - 1n, ROUNDS = 10;
const MULTIPLIERS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n];
const WEYL = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];

export class Philox {
  #key;
  #counter = 0n;
  #stream;
  /** @type {bigint[]} */ #left = [];

  /** @param {number | bigint | null} seed within 0..2^64 - 1; null for another one each time @param {number} stream other numbers for each */
  constructor(seed, stream = 0) {
    this.#stream = BigInt(stream);
    this.#key = seed === null ? crypto.getRandomValues(new BigUint64Array(1))[0] : BigInt(seed);
  }

  /** The next number, within 0 (included) and 1 (excluded). */
  random() {
    if (!this.#left.length) this.#left = block((this.#counter += 1n), this.#stream, this.#key).reverse();
    return Number(/** @type {bigint} */ (this.#left.pop()) >> 11n) / 2 ** 53;
  }
}

/**
 * The four numbers of a counter.
 * @param {bigint} counter its lowest 64 bits
 * @param {bigint} stream its highest 64 bits; the others are 0
 * @param {bigint} seed
 */
function block(counter, stream, seed) {
  let numbers = [counter, 0n, 0n, stream], keys = [seed, 0n];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [a, b] = [MULTIPLIERS[0] * numbers[0], MULTIPLIERS[1] * numbers[2]];
    numbers = [(b >> 64n) ^ numbers[1] ^ keys[0], b & MASK, (a >> 64n) ^ numbers[3] ^ keys[1], a & MASK];
    keys = keys.map((key, n) => (key + WEYL[n]) & MASK);
  }
  return numbers;
}
