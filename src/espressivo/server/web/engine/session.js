// Session: a model that plays for the page, behind the messages of `espressivo.server`; a port of
// `espressivo.server.session`.

import { primerIds } from "./codec.js";
import { Habit } from "./habit.js";
import { Philox } from "./philox.js";
import { Player } from "./player.js";
import { latest, performance } from "./primer.js";
import { changed, USUAL } from "./settings.js";
import { Stream } from "./stream.js";

/** @typedef {import("../link.js").ToBackEnd} ToBackEnd */
/** @typedef {import("../settings.js").Control} Control */
/** @typedef {import("./network.js").Network} Network */
/** @typedef {import("./stream.js").Timed} Timed */
/** @typedef {Extract<ToBackEnd, { type: "begin" }>} Begin */

/** What a page may ask of it: types of messages. */
export const OFFERS = ["begin", "stop", "steer", "choose_model", "hear", "load_model"];
const LEAD_S = 0.5; // music is sent so long before its time
const PRIMER_NOTES = 100;
const BUSY_MS = 20; // after so much work at once, messages are read
const STATUS = { note_on: 0x90, note_off: 0x80, pedal: 0xb0 }, SUSTAIN = 64;

export class Session {
  #models;
  #controls;
  #send;
  /** @type {Network | null} */ #network = null;
  /** @type {Stream | null} */ #stream = null; // of the run that the page is playing

  /**
   * @param {{ names: string[], get(name: string): Promise<Network>, add(name: string, content: Uint8Array<ArrayBuffer>): Promise<Network> }} models
   * @param {Control[]} controls all that a page can show
   * @param {(message: Record<string, unknown>) => void} send
   */
  constructor(models, controls, send) {
    this.#models = models;
    this.#controls = controls;
    this.#send = send;
  }

  /** Tell the page which models there are, and choose the first. */
  async greet(/** @type {string} */ version) {
    const { names } = this.#models;
    this.#send({ type: "hello", version, models: names, offers: OFFERS });
    await this.handle({ type: "choose_model", name: names[0] });
  }

  /** Do what a message requests, or answer with an error. */
  async handle(/** @type {ToBackEnd} */ message) {
    try {
      await this.#do(message);
    } catch (error) {
      this.#send({ type: "error", run: null, message: inWords(error) });
    }
  }

  async #do(/** @type {ToBackEnd} */ message) {
    if (message.type === "begin") await this.#begin(message);
    else if (message.type === "stop") this.#close();
    else if (message.type === "steer") {
      const settings = this.#settings(message.settings); // which are checked, whether anything plays or not
      this.#stream?.steer(settings);
    } else if (message.type === "hear") this.#stream?.hear(message.pitch, message.velocity);
    else if (message.type === "choose_model") this.#choose(message.name, await this.#models.get(message.name));
    else if (message.type === "load_model") this.#choose(message.name, await this.#models.add(message.name, new Uint8Array(message.data)));
    else throw new Error(`type must be one of ${OFFERS.join(", ")}, not '${message.type}'`);
  }

  /** End the run, if there is one. Nothing more of it is sent. */
  #close() {
    this.#stream?.stop();
    this.#stream = null;
  }

  async #begin(/** @type {Begin} */ begin) {
    if (this.#network === null) throw new Error("no model has been loaded");
    const settings = changed(USUAL, this.#settings(begin.settings));
    const ids = primerIds(performance(latest(begin.events, PRIMER_NOTES)), this.#network.layout);
    const seed = begin.seed ?? crypto.getRandomValues(new BigUint64Array(1))[0];
    const player = await Player.prepared(this.#network, settings, new Philox(seed), ids);
    const { run, time_s } = begin;
    const returned = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ seconds) =>
      this.#send({ type: "returned", run, at_s: at + time_s, from_s: from + time_s, seconds });
    const habit = this.#network.pointers ? new Habit(new Philox(seed, 1), player.decoder.begin, player.layout.rate, returned) : null;
    const stream = new Stream(player, { habit, leadS: LEAD_S, clock: () => globalThis.performance.now() / 1000, sleep: wait });
    this.#close();
    this.#stream = stream;
    this.#send({ type: "begun", run: begin.run });
    void this.#run(stream, begin);
  }

  /** Send a run, and tell the page when it ends by itself: by a failure, or the music's end. */
  async #run(/** @type {Stream} */ stream, /** @type {Begin} */ begin) {
    let message = null;
    try {
      await this.#sendMusic(stream, begin);
    } catch (error) {
      message = `the model failed: ${inWords(error)}`;
    }
    if (this.#stream !== stream) return;
    if (message !== null) this.#send({ type: "error", run: begin.run, message });
    this.#send({ type: "ended", run: begin.run });
  }

  async #sendMusic(/** @type {Stream} */ stream, /** @type {Begin} */ { run, time_s: begin }) {
    let rested = globalThis.performance.now();
    for (;;) {
      const played = await stream.next();
      if (played === null || this.#stream !== stream) return;
      this.#send({ type: "events", run, events: [event(played, begin)] });
      if (globalThis.performance.now() - rested < BUSY_MS) continue;
      await wait(0);
      rested = globalThis.performance.now();
    }
  }

  #choose(/** @type {string} */ name, /** @type {Network} */ network) {
    this.#network = network;
    this.#close();
    const { card, sha256 } = network;
    this.#send({
      type: "model", name, title: String(card.name || "unnamed"), licence: String(card.licence || "unspecified"),
      trained_on: String(card.trained_on || ""), sha256, controls: this.#available(),
    });
  }

  /** The controls that a page can steer this model with. */
  #available() {
    const unsupported = this.#network?.unsupported ?? [];
    return this.#controls.filter(({ name }) => !unsupported.includes(name));
  }

  /** Settings from a page, checked, as a player takes them. */
  #settings(/** @type {import("../settings.js").Settings} */ given) {
    const available = this.#available();
    return Object.fromEntries(Object.entries(given).map(([name, value]) => {
      const control = available.find((control) => control.name === name);
      if (!control) throw new Error(`this model does not support the setting '${name}': it supports ${available.map(({ name }) => name).join(", ")}`);
      return [name, checked(control, value)];
    }));
  }
}

/** @param {Control} control @param {import("../settings.js").Value} value */
function checked(control, value) {
  const { name } = control;
  if (control.choices) {
    if (value === null || (typeof value === "string" && control.choices.includes(value))) return value;
    throw new Error(`${name} must be one of ${control.choices.join(", ")}, not '${value}'`);
  }
  if (value === null && control.default === null) return null;
  const { lowest, highest, step, count } = control, numbers = count === 1 ? [value] : Array.isArray(value) ? value : [];
  if (numbers.length !== count) throw new Error(`${name} must be a list of ${count} numbers`);
  for (const number of numbers) {
    const fits = typeof number === "number" && (Number.isInteger(number) || !Number.isInteger(step));
    if (!fits || !(number >= lowest && number <= highest)) throw new Error(`${name} must be within ${lowest}..${highest}, not ${number}`);
  }
  if (count === 1) return value;
  return new Set(numbers).size === 1 ? null : value; // equal weights favour no pitch
}

/** An event of a stream that began at a second of the piece, as pages read it. */
function event(/** @type {Timed} */ { time, kind, pitch, velocity }, /** @type {number} */ begin) {
  return [Math.round((time + begin) * 1e4) / 1e4, STATUS[kind], kind === "pedal" ? SUSTAIN : pitch, velocity];
}

const inWords = (/** @type {unknown} */ error) => (error instanceof Error ? error.message : String(error));

const wait = (/** @type {number} */ seconds) => /** @type {Promise<void>} */ (new Promise((resolve) => setTimeout(resolve, 1000 * seconds)));
