// Player: decides event by event what a model plays next; a port of `espressivo.play.player`.

import { decoderOf } from "./decoder.js";
import { END, NOTE_ON, TIME_SHIFT } from "./layout.js";
import { keys } from "./limits.js";
import { LoopDetector } from "./loops.js";
import { FOLLOW_GUIDANCE, FOLLOW_S, LEARNED, limits, requested, sampling } from "./settings.js";

/** @typedef {import("./decoder.js").Decoder} Decoder */
/** @typedef {import("./followers.js").Heard} Heard */
/** @typedef {import("./followers.js").Ids} Ids */
/** @typedef {import("./layout.js").Layout} Layout */
/** @typedef {import("./sampling.js").Sampling} Sampling */
/** @typedef {import("./settings.js").Settings} Settings */
/**
 * What a model remembers of the ids that it has read.
 * @typedef {object} Reader
 * @property {Float32Array | null} controls what is requested of the music to come
 * @property {Float32Array} logits the scores of the next id
 * @property {import("./pointers.js").Pointers | null} pointers what they say now, for a model that reads them
 * @property {number} returns how strongly music comes back
 * @property {number} lift by how much in `logits` a note is raised that pointers lead to
 * @property {(id: number) => Promise<void>} feed
 * @property {() => Reader} copy one that goes its own way from here
 */
/**
 * A model.
 * @typedef {object} Source
 * @property {Layout} layout
 * @property {number} controls how many numbers steer it
 * @property {(controls: Float32Array | null) => Promise<Reader>} state one that has read nothing
 */

const LED = 2, LIFT = 8; // how strongly a passage comes back, and the nats by which its notes are raised

export class Player {
  layout;
  decoder;
  loops = new LoopDetector();
  /** @type {number | null} */ start = null; // by which step the first note begins, until it has
  #source;
  #rng;
  /** @type {Settings} */ #settings;
  /** @type {Sampling[]} */ #samplings; // of a note that joins no chord, and of one that does
  /** @type {Float32Array | null} */ #controls;
  /** @type {Reader} */ #state;
  /** @type {Reader | null} */ #free = null; // reads along, with nothing requested, for guidance
  #guidance = 1;
  #returns = 1;
  #lift = 0;
  #followsUntil = 0; // the step, after what is requested has changed
  /** @type {Ids | null} */ #drafted = null; // decided, and all but its last id is read
  /** @type {{ state: Reader, free: Reader | null } | null} */ #before = null; // the states before that

  /**
   * One that has not read anything; `prepared` gives one that has.
   * @param {Source} source
   * @param {Settings} settings
   * @param {{ random(): number }} rng each decision of an id takes one number
   * @param {Reader} state
   */
  constructor(source, settings, rng, state) {
    this.#source = source;
    this.layout = source.layout;
    this.#rng = rng;
    this.decoder = decoderOf(this.layout, limits(settings));
    this.#settings = settings;
    this.#controls = requested(settings, source.controls);
    this.#samplings = [false, true].map((chord) => sampling(settings, this.layout, chord));
    this.#state = state;
  }

  /**
   * A player whose model has read a primer, in whole events.
   * @param {Source} source
   * @param {Settings} settings
   * @param {{ random(): number }} rng
   * @param {Ids} primer
   */
  static async prepared(source, settings, rng, primer) {
    const player = new Player(source, settings, rng, await source.state(null));
    await player.restart(primer);
    for (const id of primer) player.#happen(id);
    player.decoder.beginHere();
    return player;
  }

  get settings() {
    return this.#settings;
  }

  /** Play by other settings from now on; they have passed `check`. */
  set settings(settings) {
    this.drop();
    const before = this.#settings;
    this.decoder.limits = limits(settings);
    this.#settings = settings;
    this.#controls = requested(settings, this.#source.controls);
    this.#samplings = [false, true].map((chord) => sampling(settings, this.layout, chord));
    if (LEARNED.some((name) => String(settings[name]) !== String(before[name]))) {
      this.#followsUntil = this.decoder.now + Math.round(FOLLOW_S * this.layout.rate);
    }
    this.#steer();
  }

  /** Tell the model what is requested of it; nothing is read again. */
  #steer() {
    this.#state.controls = this.#controls;
    const { returns } = this.#settings;
    this.#state.returns = this.#returns * returns;
    this.#state.lift = this.#lift * returns;
    this.#guidance = this.#wantedGuidance;
    if (this.#guidance === 1) this.#free = null;
    else if (this.#free === null) {
      this.#free = this.#state.copy();
      this.#free.controls = null;
    }
    if (this.#free !== null) {
      this.#free.returns = this.#state.returns;
      this.#free.lift = this.#state.lift;
    }
  }

  /** Bring back what was played from so many steps ago on, for a length in steps. */
  lead(/** @type {number} */ back, /** @type {number} */ length) {
    this.#follow(LED, LIFT);
    for (const state of [this.#state, this.#free]) state?.pointers?.lead(back, length);
  }

  /** Bring no passage back from now on. */
  letGo() {
    this.#follow(1, 0);
    for (const state of [this.#state, this.#free]) state?.pointers?.letGo();
  }

  /** Whether a passage is being brought back. */
  get led() {
    return this.#state.pointers?.leading ?? false;
  }

  #follow(/** @type {number} */ returns, /** @type {number} */ lift) {
    this.drop();
    this.#returns = returns;
    this.#lift = lift;
    this.#steer();
  }

  get #wantedGuidance() {
    if (this.#controls === null) return 1;
    return this.#settings.guidance ?? (this.#followsUntil ? FOLLOW_GUIDANCE : 1);
  }

  /** Refuse settings that could not be adopted. */
  check(/** @type {Settings} */ settings) {
    keys(limits(settings), this.layout);
  }

  /**
   * The next event, which does not happen yet; null after the end.
   * @param {{ ending?: boolean, given?: Ids }} how whether the piece can end, and what the event begins with
   * @returns {Promise<Ids | null>}
   */
  async decide({ ending = true, given = [] } = {}) {
    this.drop();
    if (this.decoder.ended) return null;
    if (this.#followsUntil && this.decoder.now >= this.#followsUntil) {
      this.#followsUntil = 0;
      this.#steer();
    }
    const overdue = given.length ? null : this.decoder.overdue();
    if (overdue !== null) return [overdue];
    /** @type {Ids} */
    const event = [];
    /** @type {Decoder} */
    let decoder = this.decoder;
    for (;;) {
      const id = event.length < given.length ? given[event.length] : this.#drawn(decoder, ending);
      event.push(id);
      if (this.layout.completing[id]) break;
      if (this.#before === null) {
        decoder = decoder.copy();
        this.#before = { state: this.#state.copy(), free: this.#free?.copy() ?? null };
      }
      decoder.feed(id);
      await this.#read(id);
    }
    this.#drafted = event;
    return event;
  }

  /**
   * Let an event happen, decided here or elsewhere.
   * @param {Ids} event
   * @returns {Promise<Heard[]>} what is heard of it
   */
  async play(event) {
    const drafted = this.#drafted?.join() === event.join();
    if (!drafted) this.drop();
    this.#drafted = this.#before = null;
    const messages = event.flatMap((id) => this.#happen(id));
    for (const id of drafted ? event.slice(-1) : event) await this.#read(id);
    return messages;
  }

  /** Forget an event that has been decided and has not happened. */
  drop() {
    if (this.#before !== null) ({ state: this.#state, free: this.#free } = this.#before);
    this.#drafted = this.#before = null;
  }

  /** Make the model forget everything and read other ids; what sounds goes on. */
  async restart(/** @type {Ids} */ ids) {
    this.#drafted = this.#before = null;
    this.#returns = 1;
    this.#lift = 0;
    this.#state = await this.#source.state(this.#controls);
    this.#guidance = this.#wantedGuidance;
    this.#free = this.#guidance === 1 ? null : await this.#source.state(null);
    for (const id of ids) await this.#read(id);
  }

  /** Whether a note begins with an event. */
  beginsNote(/** @type {Ids} */ event) {
    return event.some((id) => this.layout.kinds[id] === NOTE_ON);
  }

  async #read(/** @type {number} */ id) {
    await this.#state.feed(id);
    await this.#free?.feed(id);
  }

  #happen(/** @type {number} */ id) {
    const { kinds, values } = this.layout;
    if (kinds[id] === NOTE_ON) {
      this.loops.feed(values[id]);
      this.start = null;
    }
    return this.decoder.feed(id);
  }

  #drawn(/** @type {Decoder} */ decoder, /** @type {boolean} */ ending) {
    const sampling = this.#samplings[Number(decoder.chord.length > 0)];
    const id = sampling.choose(this.#logits(), this.#rng.random(), this.#allowed(decoder, ending));
    const begun = this.start === null || decoder.now >= this.start;
    return decoder.cut(id, begun ? null : this.start);
  }

  /** The scores of the next id, moved further towards what is requested if need be. */
  #logits() {
    if (this.#free === null) return this.#state.logits;
    const free = this.#free.logits, guidance = Math.fround(this.#guidance);
    return this.#state.logits.map((logit, id) => free[id] + Math.fround(guidance * Math.fround(logit - free[id])));
  }

  /** 1 for each id that can come next after what a decoder has been fed. */
  #allowed(/** @type {Decoder} */ decoder, /** @type {boolean} */ ending) {
    const { layout, start } = this, [end] = layout.span(END);
    /** @type {Uint8Array} */
    let allowed = decoder.allowed();
    if (layout.counts[END] && !(ending && start === null)) allowed = without(allowed, [end]);
    if (start !== null && decoder.now >= start) {
      const [begin, end] = layout.span(TIME_SHIFT);
      allowed = without(allowed, Array.from({ length: end - begin }, (_, n) => begin + n).filter((id) => layout.values[id] > 0));
    }
    const looping = [...this.loops.forbidden].map((pitch) => layout.id(NOTE_ON, pitch - layout.lowest));
    return looping.length ? without(allowed, looping) : allowed;
  }
}

/** What is left without some ids, or everything if nothing would be left. */
function without(/** @type {Uint8Array} */ allowed, /** @type {Ids} */ ids) {
  const left = allowed.slice();
  for (const id of ids) left[id] = 0;
  return left.includes(1) ? left : allowed;
}
