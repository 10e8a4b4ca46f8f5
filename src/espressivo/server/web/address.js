// Address: the part of the page's address after #, which holds model, seed and settings.

/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("./settings.js").Value} Value */
/** @typedef {{ model: string | null, seed: number | null, settings: Settings }} Held */

export const MAX_SEED = 2 ** 32;

/**
 * @param {Held} held
 * @returns {string} with its #
 */
export function written({ model, seed, settings }) {
  const chosen = Object.entries(settings).filter(([, value]) => value !== null);
  const parts = [["model", model], ["seed", seed], ...chosen].filter(([, value]) => value !== null);
  return `#${new URLSearchParams(parts.map(([name, value]) => [String(name), String(value)]))}`;
}

/**
 * @param {string} hash
 * @returns {Held} whose values are not checked, except for the seed
 */
export function read(hash) {
  /** @type {Held} */
  const held = { model: null, seed: null, settings: {} };
  for (const [name, text] of new URLSearchParams(hash.slice(1))) {
    const numbers = text.split(",").map(Number);
    /** @type {Value} */
    const value = text === "" || numbers.some(Number.isNaN) ? text : numbers.length > 1 ? numbers : numbers[0];
    if (name === "model") held.model = text;
    else if (name !== "seed") held.settings[name] = value;
    else if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_SEED) held.seed = value;
  }
  return held;
}

/**
 * Names to show for models, which may be paths: as much of each as tells it from the others.
 * @param {string[]} names
 * @returns {string[]}
 */
export function labels(names) {
  const parts = names.map((name) => name.replace(/\.onnx$/, "").split(/[\\/]/));
  const tail = (/** @type {string[]} */ path, /** @type {number} */ length) => path.slice(-length).join("/");
  return parts.map((path) => {
    let length = 1;
    while (length < path.length && parts.filter((other) => tail(other, length) === tail(path, length)).length > 1) length += 1;
    return tail(path, length);
  });
}
