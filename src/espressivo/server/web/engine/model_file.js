// Model file: what an ONNX file says of itself, and whether it is what was sealed, as
// `espressivo.engine` and `espressivo.files.seals` check it.

/**
 * What a model says of itself.
 * @typedef {object} Description
 * @property {number} format
 * @property {import("./layout.js").Described} vocabulary
 * @property {Record<string, unknown>} network
 * @property {Record<string, unknown>} card
 */

const OLDEST = 2, OLDEST_SEALED = 5, NEWEST = 7;
const KEY = "espressivo", SEAL = "espressivo-sha256:", DIGITS = 64;
const METADATA = 14; // number of the field of an ONNX file that holds it

/**
 * @param {Uint8Array<ArrayBuffer>} content
 * @param {string} name of the file, for errors
 * @returns {Promise<Description>}
 */
export async function described(content, name) {
  const whole = await intact(content);
  if (whole === false) throw new Error(`${name}: has changed since it was written: fetch or export it again`);
  const text = metadata(content, name).get(KEY);
  if (text === undefined) {
    throw new Error(`${name}: is an ONNX file without a description by espressivo: use a model file that espressivo exported`);
  }
  /** @type {Description} */
  const description = JSON.parse(text), { format } = description;
  if (!(format >= OLDEST && format <= NEWEST)) {
    throw new Error(`${name}: has format ${format} and this page reads formats ${OLDEST} to ${NEWEST}: export the model again`);
  }
  if (format >= OLDEST_SEALED && !whole) throw new Error(`${name}: has changed since it was written: fetch or export it again`);
  return description;
}

/** Whether a content is what was sealed; null if it never was. */
async function intact(/** @type {Uint8Array<ArrayBuffer>} */ content) {
  const mark = new TextEncoder().encode(SEAL);
  let at = content.length;
  do at = content.lastIndexOf(mark[0], at - 1);
  while (at > 0 && !mark.every((byte, n) => content[at + n] === byte));
  if (at <= 0) return null;
  const begin = at + mark.length, digits = new TextDecoder().decode(content.subarray(begin, begin + DIGITS));
  const unsealed = content.slice();
  unsealed.fill("0".charCodeAt(0), begin, begin + DIGITS);
  return digits === (await sha256(unsealed));
}

/** The hash of a content, as 64 hexadecimal digits. */
export async function sha256(/** @type {Uint8Array<ArrayBuffer>} */ content) {
  if (!crypto.subtle) throw new Error("a model is checked before it plays, which browsers do on pages by https or from localhost only");
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Texts that stand in an ONNX file beside its graph, by name. */
function metadata(/** @type {Uint8Array} */ content, /** @type {string} */ name) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const [number, value] of fields(content, name)) {
    if (number !== METADATA) continue;
    const [key, text] = [...fields(value, name)].map(([, part]) => new TextDecoder().decode(part));
    found.set(key, text);
  }
  return found;
}

/**
 * The fields of a message of protocol buffers that hold bytes, with their numbers.
 * @param {Uint8Array} message
 * @param {string} name
 * @returns {Generator<[number, Uint8Array]>}
 */
function* fields(message, name) {
  let at = 0;
  const whole = () => {
    let value = 0, scale = 1, byte = 0;
    do {
      byte = message[at++] ?? NaN;
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte & 128);
    return value;
  };
  while (at < message.length) {
    const tag = whole(), kind = tag & 7;
    if (kind === 0) whole();
    else if (kind === 1 || kind === 5) at += kind === 1 ? 8 : 4;
    else {
      const length = whole(), end = at + length;
      if (kind !== 2 || end > message.length) throw new Error(`${name}: is not a whole model file: fetch or export it again`);
      yield [tag >>> 3, message.subarray(at, end)];
      at = end;
    }
  }
}
