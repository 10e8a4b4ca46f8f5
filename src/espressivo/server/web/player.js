// Player: the music so far, who plays it on, and what becomes of it when it is edited.
//
// The model is in the back end; its events come ahead of their time and are given to the sound and
// to the recorder with the moment at which they are heard.

import { clock, CONTROL, Music, NOTE_OFF, NOTE_ON, SUSTAIN } from "./music.js";
import { fitted, linked } from "./settings.js";
import { t } from "./words.js";

/** @typedef {import("./link.js").BackEnd} BackEnd */
/** @typedef {import("./link.js").Calls} Calls */
/** @typedef {import("./link.js").Model} Model */
/** @typedef {import("./music.js").Message} Message */
/** @typedef {import("./settings.js").Settings} Settings */
/**
 * Whoever is given what is heard, at a moment of the clock: the piano, and the recorder.
 * @typedef {object} Ear
 * @property {(at: number) => void} [run] time runs from that moment on
 * @property {(message: Message, at: number, hand: number) => void} send
 * @property {(at: number, quick: boolean) => void} stand time stands; what was to come does not come
 */
/**
 * @typedef {object} Parts
 * @property {import("./store.js").Store} store
 * @property {import("./history.js").History} history
 * @property {() => number} clock seconds, by which sound is timed
 * @property {() => Promise<unknown>} wake lets there be sound
 * @property {(text: string | null, stays?: boolean) => void} say
 */

const DELAY_S = 0.12; // from the arrival of the first events of a run to their sound
const PRIMER_S = 20; // how much of the music the back end is given, for the model to go on from
const LEAD_IN_S = 4; // how much of a file is heard before the model takes over
const PAUSE_MS = 1300; // after which it takes over from a person
const BACK_S = 5;

export const anySeed = () => Math.floor(Math.random() * 2 ** 32);

export class Player {
  music = new Music();
  underruns = 0; // events that came after their time
  /** @type {Set<number>} */ held = new Set(); // pitches that a person holds
  /** @type {Ear[]} */ ears = [];
  /** @type {BackEnd | null} */ backEnd = null;
  #run = 0;
  /** @type {number | null} */ #zero = null; // when time 0 of the music is heard; null if time stands
  #pedalDown = false; // whether a person has the foot on it, playing or not
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #pause = undefined;
  #resume = false; // once the back end is there again
  /** @type {string | null} */ #awaited = null; // the model without which there is no resuming

  /** @param {Parts} parts */
  constructor({ store, history, clock, wake, say }) {
    this.store = store;
    this.history = history;
    this.clock = clock;
    this.wake = wake;
    this.say = say;
  }

  /** Where the music is, in seconds. */
  now() {
    return this.#zero === null ? this.music.end : Math.max(0, this.clock() - this.#zero);
  }

  get moving() {
    return this.store.state.mode !== "stopped";
  }

  get #byModel() {
    return this.moving && this.store.state.mode !== "person";
  }

  // ---- Playing and stopping

  async play() {
    await this.wake();
    if (this.#byModel) return;
    this.#halt(this.now());
    this.#enter("waiting");
    this.#begin(this.music.notes.length ? null : this.store.state.seed);
  }

  stop() {
    this.#resume = false;
    this.#halt(this.now());
  }

  panic() {
    this.stop();
    for (const ear of this.ears) ear.stand(this.clock(), true);
  }

  #begin(/** @type {number | null} */ seed = null) {
    const events = this.music.events(Math.max(0, this.music.end - PRIMER_S));
    const run = (this.#run += 1);
    const { settings } = this.store.state;
    if (this.backEnd?.send({ type: "begin", run, time_s: this.music.end, events, settings, seed })) return;
    this.#halt(this.now());
    this.say(t("The server cannot be reached."));
  }

  // End the run at a time of the music; nothing later has been played.
  #halt(/** @type {number} */ time) {
    this.#run += 1; // what still comes of the run before is not meant any more
    this.backEnd?.send({ type: "stop" });
    for (const ear of this.ears) ear.stand(this.clock(), false);
    this.music.cut(time);
    this.#zero = null;
    this.held.clear();
    clearTimeout(this.#pause);
    this.#enter("stopped");
  }

  #enter(/** @type {import("./store.js").State["mode"]} */ mode) {
    this.store.change(mode === "stopped" ? { mode } : { mode, mark: null, anchor: null, replaying: null, running: false });
  }

  #runFrom(/** @type {number} */ time, /** @type {number} */ at) {
    this.#zero = at - time;
    for (const ear of this.ears) ear.run?.(at);
    if (this.#pedalDown) this.#hear([CONTROL, SUSTAIN, 127]);
  }

  #send(/** @type {Message} */ message, /** @type {number} */ at, /** @type {number} */ hand) {
    for (const ear of this.ears) ear.send(message, at, hand);
  }

  // ---- Edits of the music, which can be undone

  back() {
    const on = this.moving;
    this.#edit(t("Back five seconds"), () => this.music.cut(Math.max(0, this.music.end - BACK_S)));
    if (on) this.play();
  }

  /** Forget all, and begin anew. */
  fresh() {
    this.#edit(t("New"), () => {
      this.music = new Music();
      this.store.change({ seed: anySeed() });
    });
  }

  /**
   * Let the model go on from a moment of some music: of its own so far, or of a take.
   * @param {number} time
   */
  goOn(time, music = this.music) {
    this.#edit(t("Go on from {time}", { time: clock(time) }), () => {
      this.music = music.copy();
      this.music.cut(time);
    });
    this.play();
  }

  /**
   * Have other music from now on, as something has been done to it.
   * @param {string} name of what has been done
   * @param {Music} music
   */
  use(name, music) {
    this.#edit(name, () => (this.music = music));
  }

  /**
   * Let the model go on from what a file holds.
   * @param {import("./music.js").Event[]} events
   */
  open(events) {
    const music = Music.of(events);
    if (!music.notes.length) return this.say(t("There are no piano notes in this file."));
    this.use(t("Open a file"), music);
    this.#leadIn();
  }

  #edit(/** @type {string} */ name, /** @type {() => void} */ make) {
    this.stop();
    let music = this.music.copy(), { seed } = this.store.state;
    make();
    this.store.change({ mark: null, anchor: null, replaying: null, running: false });
    const swap = () => {
      this.stop();
      [music, this.music] = [this.music, music];
      const other = seed;
      seed = this.store.state.seed;
      this.store.change({ mark: null, anchor: null, seed: other });
    };
    this.history.add({ name, undo: swap, redo: swap });
  }

  // ---- A person plays

  strike(/** @type {number} */ pitch, /** @type {number} */ velocity) {
    this.wake();
    this.#resume = false;
    if (!this.moving) {
      if (this.store.state.replaying) this.store.change({ replaying: null, running: false });
      this.#enter("person");
      this.#runFrom(this.music.end, this.clock());
    }
    this.#hear([NOTE_ON, pitch, velocity]);
    this.held.add(pitch);
    if (this.store.state.mode === "playing") this.backEnd?.send({ type: "hear", pitch, velocity });
    clearTimeout(this.#pause);
  }

  release(/** @type {number} */ pitch) {
    if (!this.held.delete(pitch)) return;
    this.#hear([NOTE_OFF, pitch, 0]);
    const { mode } = this.store.state;
    if (mode === "playing") this.backEnd?.send({ type: "hear", pitch, velocity: 0 });
    if (mode === "person" && !this.held.size) this.#pause = setTimeout(() => this.#answer(), PAUSE_MS);
  }

  pedal(/** @type {number} */ value) {
    this.#pedalDown = value >= 64;
    if (this.moving) this.#hear([CONTROL, SUSTAIN, this.#pedalDown ? 127 : 0]);
  }

  #hear(/** @type {Message} */ message) {
    this.#send(message, this.clock(), 1);
    this.music.add([this.now(), ...message], 1);
  }

  // The person has paused.
  #answer() {
    if (this.store.state.answer) this.play();
    else this.#halt(this.music.end);
  }

  // ---- Model and settings

  /** @param {string} name */
  chooseModel(name) {
    const { model } = this.store.state;
    if (model === null || model.name === name) return;
    const choose = (/** @type {string} */ name) => () => void this.backEnd?.send({ type: "choose_model", name });
    this.history.add({ name: t("Model"), undo: choose(model.name), redo: choose(name) });
    choose(name)();
  }

  /**
   * Play with a model of one's own.
   * @param {string} file its name
   * @param {ArrayBuffer} data
   */
  loadModel(file, data) {
    const { models } = this.store.state;
    let name = file;
    for (let number = 2; models.includes(name); number += 1) name = file.replace(/(\.onnx)?$/, ` ${number}$1`);
    this.backEnd?.send({ type: "load_model", name, data });
  }

  /** @param {Settings} part */
  steer(part) {
    const { settings, model } = this.store.state;
    const [name] = Object.keys(part), label = model?.controls.find((control) => control.name === name)?.label ?? name;
    const after = { ...settings, ...linked({ ...this.#defaults(), ...settings }, part) };
    this.apply(after);
    this.history.add({ name: t(label), undo: () => this.apply(settings), redo: () => this.apply(after) }, name);
  }

  /**
   * Play with these settings from now on.
   * @param {Settings} settings
   */
  apply(settings) {
    const before = { ...this.#defaults(), ...this.store.state.settings }, after = { ...this.#defaults(), ...settings };
    const changed = Object.entries(after).filter(([name, value]) => String(before[name]) !== String(value));
    this.store.change({ settings });
    if (changed.length) this.backEnd?.send({ type: "steer", settings: Object.fromEntries(changed) });
  }

  /** @returns {Settings} */
  #defaults() {
    const controls = this.store.state.model?.controls ?? [];
    return Object.fromEntries(controls.map((control) => {
      if (control.choices) return [control.name, null];
      return [control.name, control.count === 1 ? control.default : Array(control.count).fill(control.default)];
    }));
  }

  // ---- From the back end

  /**
   * @param {(names: string[]) => string | null} wanted which of the models to begin with, or null
   * @returns {Omit<Calls, "filled" | "unfilled">}
   */
  calls(wanted) {
    return {
      hello: ({ models, offers }) => {
        const first = this.store.state.model?.name ?? wanted(models);
        this.store.change({ link: "connected", models, offers });
        this.#awaited = first !== null && models.includes(first) ? first : models[0];
        if (this.#awaited !== models[0]) this.backEnd?.send({ type: "choose_model", name: this.#awaited });
      },
      model: (model) => this.#adopt(model),
      begun: ({ run }) => {
        if (run !== this.#run) return;
        const soonest = this.clock() + DELAY_S;
        if (this.#zero === null || this.#zero + this.music.end < soonest) this.#runFrom(this.music.end, soonest);
        this.#enter("playing");
      },
      events: ({ run, events }) => {
        if (run !== this.#run || this.#zero === null) return;
        for (const [time, ...message] of events) {
          const now = this.clock();
          if (this.#zero + time < now) { // it came too late: from here on everything is later
            this.underruns += 1;
            this.#zero = now + DELAY_S - time;
          }
          this.music.add([time, ...message]);
          this.#send(message, this.#zero + time, 0);
        }
      },
      returned: ({ run, at_s, from_s, seconds }) => {
        if (run === this.#run) this.music.returned(at_s, from_s, seconds);
      },
      // Nothing more comes of a run. What has come is still heard.
      ended: ({ run }) => {
        if (run !== this.#run) return;
        const leftS = (this.#zero ?? 0) + this.music.end - this.clock();
        setTimeout(() => this.#run === run && this.#halt(this.now()), 1000 * Math.max(0, leftS));
      },
      file: ({ events }) => this.open(events),
      // `run` is that of a run that has failed and is going to end; null if a message was refused.
      error: ({ run, message }) => {
        if (run !== null && run !== this.#run) return;
        this.say(message);
        const { mode } = this.store.state;
        if (run === null && (mode === "waiting" || mode === "leading")) this.#halt(this.music.end);
        const { models } = this.store.state;
        if (run !== null || this.#awaited === null) return;
        this.#awaited = null; // it cannot be loaded: the first one can
        this.backEnd?.send({ type: "choose_model", name: models[0] });
      },
      lost: (full) => {
        const playing = this.#byModel || this.#resume;
        if (this.#byModel) this.#halt(this.now());
        this.#resume = playing;
        this.store.change({ link: full ? "full" : "lost" });
      },
    };
  }

  #adopt(/** @type {Model} */ model) {
    const before = this.store.state.model;
    const { settings, said } = fitted(model.controls, this.store.state.settings);
    if (this.#awaited !== null && model.name !== this.#awaited) return; // it follows
    const { models } = this.store.state;
    this.store.change({ model, settings, models: models.includes(model.name) ? models : [...models, model.name] });
    if (said.length) this.say(said.join(". "));
    const on = this.#resume || (before !== null && before.name !== model.name && this.#byModel);
    this.#awaited = null;
    this.#resume = false;
    if (!on) return;
    this.#halt(this.now());
    this.play();
  }

  // Hear the end of the music, and let the model go on at it.
  async #leadIn() {
    await this.wake();
    const from = Math.max(0, this.music.end - LEAD_IN_S);
    this.#enter("leading");
    this.#runFrom(from, this.clock() + DELAY_S);
    const zero = this.#zero ?? 0;
    for (const [time, ...message] of this.music.events(from)) this.#send(message, zero + time, 0);
    const run = this.#run;
    setTimeout(() => this.#run === run && this.#begin(), 1000 * Math.max(0, this.music.end - from - 0.5));
  }
}
