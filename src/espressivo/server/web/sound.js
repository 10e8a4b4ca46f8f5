// Sound: the piano of the page, and an instrument by MIDI.

import { Midi } from "./inputs.js";
import { Piano } from "./piano.js";

/** @typedef {import("./music.js").Message} Message */

export class Sound {
  #samples;

  /**
   * @param {import("./store.js").Store} store whose volume it has
   * @param {Midi} midi
   */
  constructor(store, midi) {
    this.midi = midi;
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.piano = new Piano(this.context);
    this.meter = new AnalyserNode(this.context, { fftSize: 2048 });
    this.piano.output.connect(this.meter);
    this.#samples = new Float32Array(this.meter.fftSize);
    store.watch(["volume", "muted"], ({ volume, muted }) => {
      this.piano.output.gain.setTargetAtTime(muted ? 0 : volume ** 2, this.context.currentTime, 0.01);
    });
  }

  /** Seconds, by which sound is timed. */
  time() {
    return this.context.currentTime;
  }

  wake() {
    return this.context.resume();
  }

  /**
   * Let a message be heard at a moment, by the model (hand 0) or a person (1).
   * @param {Message} message
   * @param {number} at
   * @param {number} hand
   */
  send(message, at, hand) {
    this.piano.send(message, at, hand);
    this.midi.send(message, performance.now() + 1000 * (at - this.context.currentTime));
  }

  /**
   * Let nothing that was to come be heard.
   * @param {number} _at
   * @param {boolean} quick
   */
  stand(_at, quick) {
    this.piano.clear(quick);
    this.midi.silence();
  }

  /** How loud it is now: the root of the mean square of the latest samples. */
  loudness() {
    this.meter.getFloatTimeDomainData(this.#samples);
    return Math.hypot(...this.#samples) / Math.sqrt(this.#samples.length);
  }
}
