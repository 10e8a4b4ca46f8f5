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
const FILL_NUMBERS = 13; // by which a network that can fill knows of gaps, as in `espressivo.codes.quotes`
const TAPE_ROOM = 64; // positions of a tape beyond the window of attention
/** Up to where each tape is written, by the buffer of the first of a state. @type {WeakMap<ArrayBufferLike, number>} */
const written = new WeakMap();
const OPTIONS = { executionProviders: ["wasm"], logSeverityLevel: 4, intraOpNumThreads: 1, interOpNumThreads: 1 };

/** @implements {Source} */
export class Network {
  #runtime;
  #session;
  #shapes;
  #notewise;
  #length; // positions of a tape
  #tapes; // which states are tapes, as in `espressivo.engine.tapes`
  #counter; // which state counts what of them is written
  #beside; // how many numbers it reads beside ids: those that steer it, then those that tell of gaps

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
    this.#beside = this.controls + (network.fill ? FILL_NUMBERS : 0);
    this.pointers = network.pointers ? POINTER_NUMBERS + 1 : 0;
    this.#notewise = Boolean(network.notewise);
    const states = session.inputMetadata.filter(({ name }) => name.startsWith("state_"));
    this.#shapes = states.map(({ shape }) => shape.map((size) => (typeof size === "number" ? size : 1)));
    this.#length = Number(network.window) + TAPE_ROOM;
    this.#tapes = this.#shapes.flatMap(([, , , length], n) => (length === this.#length ? [n] : []));
    this.#counter = this.#shapes.findIndex((shape) => shape.length === 3 && shape[2] === 1);
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
   * @param {Arrays} arrays not changed, but for what of tapes nobody has read
   * @param {Float32Array | null} controls
   * @param {Float32Array | null} pointers
   */
  async step(id, arrays, controls, pointers) {
    const { Tensor } = this.#runtime;
    /** @type {Record<string, unknown>} */
    const feeds = { ids: new Tensor("int64", BigInt64Array.of(BigInt(id)), [1]) };
    if (this.#beside) {
      const numbers = new Float32Array(this.#beside); // of gaps nothing: the page fills none
      numbers.set(controls ?? []);
      feeds.controls = new Tensor("float32", numbers, [1, this.#beside]);
    }
    if (this.pointers) feeds.pointers = new Tensor("float32", pointers ?? new Float32Array(this.pointers), [1, this.pointers]);
    const same = this.#unchanged(id); // these are neither read nor written, so there are none
    const tapes = same ? [] : this.#tapes;
    if (tapes.length) arrays = this.#own(arrays);
    this.#shapes.forEach(([layers, rows, ...rest], n) => {
      const given = n < same ? new Tensor("float32", NONE, [layers, 0, ...rest]) : new Tensor("float32", arrays[n], [layers, rows, ...rest]);
      feeds[`state_${n}`] = given;
    });
    const after = arrays.map((_, n) => `next_${n}`);
    const read = await this.#session.run(feeds, ["logits", ...after.slice(same)]);
    for (const n of tapes) this.#write(n, arrays[n], read[after[n]].data, arrays[this.#counter][0]);
    if (tapes.length) written.set(arrays[tapes[0]].buffer, arrays[this.#counter][0] + 1);
    return { logits: read.logits.data, arrays: arrays.map((array, n) => (n < same || tapes.includes(n) ? array : read[after[n]].data)) };
  }

  /** Arrays with tapes that can be written to: others, if a state has gone on from there before, or they are full. */
  #own(/** @type {Arrays} */ arrays) {
    const end = arrays[this.#counter][0];
    if (written.get(arrays[this.#tapes[0]].buffer) === end && end < this.#length) return arrays;
    const own = [...arrays];
    for (const n of this.#tapes) own[n] = arrays[n].slice();
    if (end === this.#length) {
      for (const n of this.#tapes) {
        const [, , heads, , each] = this.#shapes[n], whole = this.#length * each;
        for (let h = 0; h < heads; h++) own[n].copyWithin(h * whole, h * whole + TAPE_ROOM * each, (h + 1) * whole);
      }
      own[this.#counter] = Float32Array.of(end - TAPE_ROOM);
    }
    return own;
  }

  /** Write a position that a tape gains, of each head behind the others. */
  #write(/** @type {number} */ n, /** @type {Float32Array} */ tape, /** @type {Float32Array} */ gained, /** @type {number} */ end) {
    const [, , heads, , each] = this.#shapes[n];
    for (let h = 0; h < heads; h++) tape.set(gained.subarray(h * each, (h + 1) * each), (h * this.#length + end) * each);
  }

  /** How many of the first states an id leaves as they are. */
  #unchanged(/** @type {number} */ id) {
    const goesOn = id < this.layout.size && !this.layout.completing[id];
    return this.#notewise && goesOn ? Math.max(this.#shapes.length - OF_EVENT, 0) : 0;
  }
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
