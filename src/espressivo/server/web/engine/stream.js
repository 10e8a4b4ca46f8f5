// Stream: music that is decided while it plays, without end; a port of `espressivo.play.stream`.
// Whoever asks for the next event waits until the clock has reached its time, less the lead.

import { heard } from "./followers.js";
import { round } from "./numbers.js";
import { changed } from "./settings.js";

/** @typedef {import("./followers.js").Heard} Heard */
/** @typedef {import("./followers.js").Ids} Ids */
/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {{ time: number, kind: Heard["kind"], pitch: number, velocity: number }} Timed seconds since the stream began */

const NAP_S = 0.02; // how long it sleeps at once, and so how late it notices a command
const TINY_S = 1e-6;
const REMEMBERED = 1024, PHRASE = 256; // ids; the oldest of these, from which a restarted model goes on
const LATE_S = 1; // an event due for longer is not caught up with
const PATIENCE = 4, PATIENCE_S = 30; // so many recoveries within so many seconds, and it is restarted
const BEGIN_S = 0.5; // so soon after a restart or a jump a note begins
const FIRST_S = 0.1; // and so soon after the beginning

export class Stream {
  recoveries = { loops: 0, rests: 0, restarts: 0, jumps: 0 };
  #player;
  #decoder;
  #rate;
  #leadS;
  #clock;
  #habit; // what brings something back now and then
  #sleep;
  /** @type {Settings} */ #settings; // as last requested
  /** @type {(() => void | Promise<void>)[]} */ #commands = [];
  #origin; // the decoder's step at time 0
  /** @type {number | null} */ #beginS = null; // what the clock showed then
  /** @type {Ids | null} */ #event = null; // decided, and not yet due
  #latest = 0; // step of what came out last
  /** @type {Timed[]} */ #ready = [];
  /** @type {Set<number>} */ #sounding = new Set(); // pitches of the notes that have come out
  #pedalDown = false;
  #stopped = false;
  /** @type {unknown} */ #failure = null;
  /** @type {Ids[]} */ #remembered = [];
  /** @type {number[]} */ #troubles = []; // steps of the latest recoveries
  #looping = false;

  /**
   * @param {import("./player.js").Player} player
   * @param {{ leadS: number, clock: () => number, sleep: (seconds: number) => Promise<void>, habit?: import("./habit.js").Habit | null }} time
   */
  constructor(player, { leadS, clock, sleep, habit = null }) {
    this.#habit = habit;
    this.#player = player;
    this.#decoder = player.decoder;
    this.#rate = player.layout.rate;
    this.#leadS = leadS;
    this.#clock = clock;
    this.#sleep = sleep;
    this.#settings = player.settings;
    this.#origin = player.decoder.begin;
    player.start = player.decoder.begin + round(FIRST_S * this.#rate);
  }

  /** Change some of the settings from the next event on. */
  steer(/** @type {Partial<Settings>} */ part) {
    const settings = changed(this.#settings, part);
    this.#player.check(settings);
    this.#settings = settings;
    this.#ask(() => void (this.#player.settings = settings)); // an event that has been decided still comes
  }

  /** Let the model hear that a person strikes a key now; velocity 0 releases it. */
  hear(/** @type {number} */ pitch, /** @type {number} */ velocity) {
    const { lowest, highest } = this.#player.layout;
    if (pitch < lowest || pitch > highest) return;
    this.#ask(() => (velocity ? this.#strike(pitch, velocity) : this.#lift(pitch)));
  }

  /** End every sounding note; after these note-offs no more events come. */
  stop() {
    this.#ask(() => this.#end());
  }

  /** The next event; null when it has ended. @returns {Promise<Timed | null>} */
  async next() {
    for (;;) {
      await this.#obey();
      const ready = this.#ready.shift();
      if (ready) return ready;
      if (this.#failure !== null) {
        const failure = this.#failure;
        this.#failure = null;
        throw failure;
      }
      if (this.#stopped) return null;
      await this.#trying(() => this.#advance());
    }
  }

  #ask(/** @type {() => void | Promise<void>} */ command) {
    if (!this.#stopped) this.#commands.push(command);
  }

  async #obey() {
    while (this.#commands.length && !this.#stopped) await this.#trying(/** @type {() => void} */ (this.#commands.shift()));
  }

  /** Do something; if it fails, notes end first. */
  async #trying(/** @type {() => void | Promise<void>} */ work) {
    try {
      await work();
    } catch (error) {
      this.#failure = error;
      this.#end();
    }
  }

  /** Decide an event, and let time pass until it, a note-off or a command comes. */
  async #advance() {
    this.#beginS ??= this.#clock();
    if (this.#event === null) {
      await this.#noticeLoops();
      this.#habit?.look(this.#player);
      this.#event = await this.#player.decide({ ending: false });
      if (this.#event === null) this.#end(); // nothing can follow
      else await this.#noticeRests(this.#event);
      if (this.#event === null || this.#ready.length) return; // not to be kept back while time passes
    }
    while (!this.#commands.length) {
      const reached = this.#reached(), { due } = this.#decoder;
      const at = this.#decoder.now - this.#origin + this.#decoder.gap(this.#event);
      const first = due === null ? at : Math.min(at, due - this.#origin);
      if (reached - first > (this.#leadS + LATE_S) * this.#rate) {
        await this.#jump(reached);
      } else if (first > reached) {
        const aheadS = first / this.#rate - (this.#clock() - this.#beginS + this.#leadS);
        await this.#sleep(Math.min(Math.max(aheadS, TINY_S), NAP_S));
        continue;
      } else if (due !== null && due - this.#origin === first) {
        this.#give(this.#decoder.release(due));
      } else {
        const event = this.#event;
        this.#event = null;
        this.#give(await this.#happen(event));
      }
      return;
    }
  }

  /** The step, counted from time 0, that the clock and the lead have come to. */
  #reached() {
    const now = this.#clock();
    return Math.floor((now - (this.#beginS ?? now) + this.#leadS + TINY_S) * this.#rate);
  }

  /** The steps that have passed since the latest event, no more than to the next. */
  #passed() {
    const now = this.#decoder.now - this.#origin, gap = this.#event === null ? 0 : this.#decoder.gap(this.#event);
    return Math.max(0, Math.min(this.#reached() - now, gap));
  }

  /** Hand messages out: each note-on, its note-off once, and the pedal as it moves. */
  #give(/** @type {Heard[]} */ messages) {
    for (const { step, kind, pitch, velocity } of messages) {
      this.#latest = Math.max(this.#latest, step - this.#origin);
      const time = this.#latest / this.#rate, again = this.#sounding.has(pitch);
      if (kind === "note_on" && again) this.#ready.push({ time, kind: "note_off", pitch, velocity: 0 });
      if (kind === "note_off" && !again) continue;
      if (kind === "note_on") this.#sounding.add(pitch);
      else if (kind === "note_off") this.#sounding.delete(pitch);
      else this.#pedalDown = velocity > 0;
      this.#ready.push({ time, kind, pitch, velocity });
    }
  }

  /** Let an event happen, and remember it. */
  async #happen(/** @type {Ids} */ event) {
    const messages = await this.#player.play(event);
    this.#remembered.push(event);
    while (this.#remembered.reduce((ids, each) => ids + each.length, 0) > REMEMBERED) this.#remembered.shift();
    return messages;
  }

  /** End every note and lift the pedal, here and in what the model hears. */
  async #silence() {
    this.#forget();
    for (const event of this.#decoder.silence()) this.#give(await this.#happen(event));
    this.#close();
  }

  /** Hand out what ends all that has come out. */
  #close() {
    const step = this.#origin + this.#latest;
    this.#give([...this.#sounding].sort((a, b) => a - b).map((pitch) => heard(step, "note_off", pitch, 0)));
    if (this.#pedalDown) this.#give([heard(step, "pedal", 0, 0)]);
  }

  /** Drop what has been decided and is not yet due. */
  #forget() {
    this.#player.drop();
    this.#event = null;
  }

  /** Let the model read that a person strikes a key; it is not handed out. */
  async #strike(/** @type {number} */ pitch, /** @type {number} */ velocity) {
    const passed = this.#passed();
    this.#forget();
    for (const event of this.#decoder.struck(pitch, velocity, passed)) {
      const whole = await this.#player.decide({ given: event });
      const messages = await this.#happen(whole ?? event);
      this.#give(messages.filter((message) => message.kind !== "note_on" || message.pitch !== pitch));
    }
    this.#decoder.hold(pitch);
  }

  /** Let the model read that a person lets a key go; its note-off is not handed out. */
  async #lift(/** @type {number} */ pitch) {
    if (!this.#decoder.held.has(pitch)) return;
    this.#decoder.letGo(pitch);
    const events = this.#decoder.lifted(pitch, this.#passed());
    if (events.length) this.#forget();
    for (const event of events) this.#give(await this.#happen(event));
  }

  /** End all that sounds, and then the stream. */
  #end() {
    this.#latest = Math.max(this.#latest, this.#decoder.now - this.#origin + this.#passed());
    this.#event = null;
    this.#close();
    this.#stopped = true;
  }

  /** End what sounds, and let the step that it has come to be another one. */
  async #jump(/** @type {number} */ step) {
    this.recoveries.jumps += 1;
    await this.#silence();
    this.#origin = this.#decoder.now - step;
    this.#beginSoon();
  }

  /** Count a loop that begins to be avoided. */
  async #noticeLoops() {
    const looping = this.#player.loops.forbidden.size > 0;
    if (looping && !this.#looping) {
      this.recoveries.loops += 1;
      await this.#trouble();
    }
    this.#looping = looping;
  }

  /** Count a note that comes since a rest has lasted too long. */
  async #noticeRests(/** @type {Ids} */ event) {
    const rests = this.#decoder.restsTooLong(this.#decoder.gap(event)) && !this.#decoder.held.size;
    if (!rests || !this.#player.beginsNote(event)) return;
    this.recoveries.rests += 1;
    await this.#trouble();
  }

  /** Start afresh if there has been trouble too often lately. */
  async #trouble() {
    const { now } = this.#decoder;
    this.#troubles = [...this.#troubles, now].slice(-PATIENCE);
    if (this.#troubles.length < PATIENCE || now - this.#troubles[0] >= PATIENCE_S * this.#rate) return;
    this.#troubles = [];
    this.recoveries.restarts += 1;
    await this.#silence();
    await this.#player.restart(this.#phrase());
    this.#beginSoon();
  }

  #beginSoon() {
    this.#player.start = this.#decoder.now + round(BEGIN_S * this.#rate);
  }

  /** The oldest ids that are remembered, from which a restarted model goes on. */
  #phrase() {
    /** @type {Ids} */
    const phrase = [];
    for (const event of this.#remembered) {
      if (phrase.length + event.length > PHRASE) break;
      phrase.push(...event);
    }
    return phrase;
  }
}
