// Network: a model file, ready to read ids and predict the next, on ONNX Runtime in WebAssembly; a
// port of `espressivo.engine.Engine` and its `State`.

import { Layout } from "./layout.js";
import { described, sha256 } from "./model_file.js";
import { POINTER_NUMBERS, Pointers } from "./pointers.js";
import { controlsWithin, LEARNED } from "./settings.js";

/** @typedef {import("./player.js").Reader} Reader */
/** @typedef {import("./player.js").Source} Source */
/** @typedef {Float32Array[]} Arrays what a network remembers */
/**
 * A part of the face of ONNX Runtime.
 * @typedef {{ dims: readonly number[], data: Float32Array }} Tensor
 * @typedef {object} Session
 * @property {readonly { name: string, shape: readonly (number | string)[] }[]} inputMetadata
 * @property {(feeds: Record<string, unknown>, fetches: string[]) => Promise<Record<string, Tensor>>} run
 * @typedef {object} Runtime
 * @property {new (type: string, data: Float32Array | BigInt64Array, dims: readonly number[]) => unknown} Tensor
 * @property {{ create(content: Uint8Array, options: Record<string, unknown>): Promise<Session> }} InferenceSession
 */

/** The states of a note-wise network that are of the event that is being read: the last ones. */
const OF_EVENT = 3;
const NONE = new Float32Array();
const OPTIONS = { executionProviders: ["wasm"], logSeverityLevel: 4, intraOpNumThreads: 1, interOpNumThreads: 1 };

/** @implements {Source} */
export class Network {
  #runtime;
  #session;
  #shapes;
  #notewise;

  /**
   * @param {Runtime} runtime
   * @param {Session} session
   * @param {import("./model_file.js").Description} description
   * @param {string} hash
   */
  constructor(runtime, session, { vocabulary, network, card }, hash) {
    this.#runtime = runtime;
    this.#session = session;
    this.layout = new Layout(vocabulary);
    this.card = card;
    this.sha256 = hash;
    this.controls = Number(network.controls ?? 0);
    this.pointers = network.pointers ? POINTER_NUMBERS + 1 : 0;
    this.#notewise = Boolean(network.notewise);
    const states = session.inputMetadata.filter(({ name }) => name.startsWith("state_"));
    this.#shapes = states.map(({ shape }) => shape.map((size) => (typeof size === "number" ? size : 1)));
  }

  /**
   * Open a model file.
   * @param {Uint8Array<ArrayBuffer>} content
   * @param {string} name
   * @param {Runtime} runtime
   */
  static async open(content, name, runtime) {
    const description = await described(content, name);
    const session = await runtime.InferenceSession.create(content, OPTIONS).catch((/** @type {unknown} */ error) => {
      throw new Error(`${name}: is not a whole model file (${error}): fetch or export it again`);
    });
    const network = new Network(runtime, session, description, await sha256(content));
    await network.state(null); // so that a file that does not fit its description fails now
    return network;
  }

  /** The names of the controls that it follows. */
  get supported() {
    const { not_learned: missing } = this.card;
    return controlsWithin(this.controls).filter((name) => !(Array.isArray(missing) && missing.includes(name)));
  }

  /** The names of the controls that it does not follow; guidance too, if there are none. */
  get unsupported() {
    const supported = this.supported;
    const unled = LEARNED.filter((name) => !supported.includes(name)), idle = supported.length ? [] : ["guidance"];
    return [...unled, ...idle, ...(this.pointers ? [] : ["returns"])];
  }

  /** One that has read nothing. */
  async state(/** @type {Float32Array | null} */ controls) {
    const pointers = this.pointers ? new Pointers(this.layout) : null;
    const arrays = this.#shapes.map((shape) => new Float32Array(shape.reduce((size, count) => size * count, 1)));
    const state = new State(this, arrays, pointers, controls);
    await state.begin();
    return state;
  }

  /**
   * Read one id; the size of the vocabulary stands for "nothing yet".
   * @param {number} id
   * @param {Arrays} arrays not changed
   * @param {Float32Array | null} controls
   * @param {Float32Array | null} pointers
   */
  async step(id, arrays, controls, pointers) {
    const { Tensor } = this.#runtime;
    /** @type {Record<string, unknown>} */
    const feeds = { ids: new Tensor("int64", BigInt64Array.of(BigInt(id)), [1]) };
    if (this.controls) feeds.controls = new Tensor("float32", controls ?? new Float32Array(this.controls), [1, this.controls]);
    if (this.pointers) feeds.pointers = new Tensor("float32", pointers ?? new Float32Array(this.pointers), [1, this.pointers]);
    const same = this.#unchanged(id); // these are neither read nor written, so there are none
    this.#shapes.forEach(([layers, rows, ...rest], n) => {
      const given = n < same ? new Tensor("float32", NONE, [layers, 0, ...rest]) : new Tensor("float32", arrays[n], [layers, rows, ...rest]);
      feeds[`state_${n}`] = given;
    });
    const after = arrays.map((_, n) => `next_${n}`);
    const read = await this.#session.run(feeds, ["logits", ...after.slice(same)]);
    return { logits: read.logits.data, arrays: arrays.map((array, n) => (n < same ? array : gained(array, read[after[n]].data))) };
  }

  /** How many of the first states an id leaves as they are. */
  #unchanged(/** @type {number} */ id) {
    const goesOn = id < this.layout.size && !this.layout.completing[id];
    return this.#notewise && goesOn ? Math.max(this.#shapes.length - OF_EVENT, 0) : 0;
  }
}

/** Positions for which a tape has room beyond its window, and how much of each tape is written. */
const ROOM = 256;
/** @type {WeakMap<ArrayBufferLike, number>} */
const written = new WeakMap();

/**
 * What a state is after a run: what the run gave, or a window moved on by the position that it gave.
 * Such a window is a view of a longer tape, so that to move on is to write one position.
 * @param {Float32Array} before
 * @param {Float32Array} given
 */
function gained(before, given) {
  if (given.length === before.length) return given;
  const end = before.byteOffset / before.BYTES_PER_ELEMENT + before.length;
  let tape = new Float32Array(before.buffer), at = end;
  if (written.get(before.buffer) !== end || end + given.length > tape.length) {
    tape = new Float32Array(before.length + ROOM * given.length);
    tape.set(before);
    at = before.length;
  }
  tape.set(given, at);
  written.set(tape.buffer, at + given.length);
  return tape.subarray(at + given.length - before.length, at + given.length);
}

/**
 * What a network remembers of the ids fed so far, and what it expects next.
 * @implements {Reader}
 */
class State {
  /** @type {Float32Array} */ #logits = new Float32Array();
  returns = 1;
  lift = 0;

  /**
   * @param {Network} network
   * @param {Arrays} arrays never written to
   * @param {Pointers | null} pointers
   * @param {Float32Array | null} controls
   */
  constructor(network, arrays, pointers, controls) {
    this.network = network;
    this.arrays = arrays;
    this.pointers = pointers;
    this.controls = controls;
  }

  /** The scores of the next id. */
  get logits() {
    return this.pointers?.lifted(this.#logits, this.lift) ?? this.#logits;
  }

  begin() {
    return this.#read(this.network.layout.size);
  }

  feed(/** @type {number} */ id) {
    this.pointers?.feed(id);
    return this.#read(id);
  }

  copy() {
    const other = new State(this.network, this.arrays, this.pointers?.copy() ?? null, this.controls);
    other.#logits = this.#logits;
    other.returns = this.returns;
    other.lift = this.lift;
    return other;
  }

  async #read(/** @type {number} */ id) {
    const { logits, arrays } = await this.network.step(id, this.arrays, this.controls, this.pointers?.numbers(this.returns) ?? null);
    this.#logits = logits;
    this.arrays = arrays;
  }
}
