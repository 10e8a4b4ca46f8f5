// Piano: plays MIDI messages at given times of an AudioContext, from a bank.
//
// The clock is the context's own, so what has been given in time is heard in time, whatever the
// page does meanwhile. Works in an OfflineAudioContext too.

const CURVE = 2; // gain (velocity / 127) ** 2: the concave curve of SoundFont's default modulator
const QUICK_S = 0.015; // how a string is damped that is struck again, or when all must be silent
const LEVEL = 0.5;
const NOTE_ON = 0x90, CONTROL = 0xb0;

/** @typedef {import("./bank.js").Bank} Bank */
/** @typedef {import("./bank.js").Zone} Zone */

export class Piano {
  /** @type {Bank | null} */ bank = null;
  late = 0; // notes that came after their time
  played = 0;

  /** @param {BaseAudioContext} context */
  constructor(context) {
    this.context = context;
    this.hands = [new Hands(this), new Hands(this)]; // the model's, and a person's
    this.input = context.createGain();
    this.input.gain.value = LEVEL;
    const limiter = context.createDynamicsCompressor();
    limiter.threshold.value = -6;
    limiter.knee.value = 6;
    limiter.ratio.value = 12;
    limiter.attack.value = 0.003;
    limiter.release.value = 0.2;
    this.output = context.createGain();
    const room = context.createConvolver();
    room.buffer = impulse(context);
    const wet = context.createGain();
    wet.gain.value = 0.12;
    this.input.connect(limiter);
    this.input.connect(room).connect(wet).connect(limiter);
    limiter.connect(this.output).connect(context.destination);
  }

  /**
   * Play a message at a time of the context, by the model (hand 0) or a person (1). Messages of a
   * hand must come in order of time.
   * @param {import("./music.js").Message} message
   * @param {number} at
   */
  send([status, one, two], at, hand = 0) {
    const hands = this.hands[hand];
    if (status === NOTE_ON && two > 0) hands.strike(one, two, at);
    else if (status === CONTROL) hands.pedal(two >= 64, at);
    else hands.release(one, at);
  }

  // Cancel what is still to come, and let every key and pedal go: at once if `quick`.
  clear(quick = false) {
    for (const hands of this.hands) hands.clear(this.context.currentTime, quick);
  }

  /**
   * Decode samples that will be needed, as far as they are not.
   * @param {number[]} pitches
   * @param {number[]} velocities
   */
  async warm(pitches, velocities) {
    const { bank } = this;
    for (const pitch of bank ? pitches : []) {
      for (const velocity of velocities) {
        await Promise.allSettled(bank?.find(pitch, velocity).map((zone) => bank.buffer(zone, this.context)) ?? []);
      }
    }
  }
}

class Hands {
  /** @type {Map<number, Voice[]>} */ held = new Map(); // by pitch
  /** @type {Voice[]} */ sustained = [];
  down = false;
  /** @type {Set<Voice>} */ voices = new Set(); // all that may still be heard

  /** @param {Piano} piano */
  constructor(piano) {
    this.piano = piano;
  }

  strike(/** @type {number} */ pitch, /** @type {number} */ velocity, /** @type {number} */ at) {
    const { piano } = this;
    this.release(pitch, at, true);
    for (const voice of this.sustained) if (voice.pitch === pitch) voice.release(at, true);
    this.sustained = this.sustained.filter((voice) => voice.pitch !== pitch);
    const now = piano.context.currentTime;
    piano.played += 1;
    if (at < now - 0.003) piano.late += 1;
    const { bank } = piano;
    if (bank) this.held.set(pitch, bank.find(pitch, velocity).map((zone) => new Voice(this, bank, zone, pitch, velocity, at)));
  }

  release(/** @type {number} */ pitch, /** @type {number} */ at, quick = false) {
    const voices = this.held.get(pitch) ?? [];
    this.held.delete(pitch);
    if (this.down && !quick) this.sustained.push(...voices);
    else for (const voice of voices) voice.release(at, quick);
  }

  pedal(/** @type {boolean} */ down, /** @type {number} */ at) {
    this.down = down;
    if (down) return;
    for (const voice of this.sustained) voice.release(at);
    this.sustained = [];
  }

  clear(/** @type {number} */ now, /** @type {boolean} */ quick) {
    for (const voice of this.voices) voice.cancel(now, quick);
    this.held.clear();
    this.sustained = [];
    this.down = false;
  }
}

class Voice {
  /** @type {AudioBufferSourceNode | null} */ source = null;
  /** @type {number | null} */ endS = null;
  quick = false;

  /**
   * @param {Hands} hands
   * @param {Bank} bank
   * @param {Zone} zone
   * @param {number} pitch
   * @param {number} velocity
   * @param {number} at
   */
  constructor(hands, bank, zone, pitch, velocity, at) {
    this.hands = hands;
    this.zone = zone;
    this.pitch = pitch;
    this.at = at;
    this.context = hands.piano.context;
    this.gain = this.context.createGain();
    this.gain.gain.value = zone.gain * (velocity / 127) ** CURVE;
    hands.voices.add(this);
    bank.buffer(zone, this.context).then((buffer) => this.#start(buffer), () => hands.voices.delete(this));
  }

  release(/** @type {number} */ at, quick = false) {
    this.endS = Math.max(at, this.at);
    this.quick = quick;
    if (this.source) this.#fade(this.source, this.endS);
  }

  // End now, or never begin.
  cancel(/** @type {number} */ now, /** @type {boolean} */ quick) {
    if (this.at > now) {
      this.source?.stop();
      this.hands.voices.delete(this);
    } else if (this.endS === null || this.endS > now || quick) {
      this.release(now, quick);
    }
  }

  #start(/** @type {AudioBuffer} */ buffer) {
    if (!this.hands.voices.has(this)) return; // cancelled meanwhile
    const { context, zone } = this;
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.playbackRate.value = zone.rate(this.pitch);
    if (zone.loops) {
      source.loop = true;
      [source.loopStart, source.loopEnd] = zone.sample.loop.map((n) => (n - zone.sample.start) / zone.sample.rate);
    }
    const side = context.createStereoPanner();
    side.pan.value = zone.pan;
    source.connect(this.gain).connect(side).connect(this.hands.piano.input);
    source.onended = () => {
      side.disconnect();
      this.hands.voices.delete(this);
    };
    source.start(Math.max(this.at, context.currentTime));
    this.source = source;
    if (this.endS !== null) this.#fade(source, this.endS);
  }

  #fade(/** @type {AudioBufferSourceNode} */ source, /** @type {number} */ endS) {
    const at = Math.max(endS, this.context.currentTime);
    const fadeS = this.quick ? QUICK_S : this.zone.releaseS / 4;
    const { gain } = this.gain;
    gain.cancelScheduledValues(at);
    gain.setTargetAtTime(0, at, fadeS);
    source.stop(at + 8 * fadeS);
  }
}

// A small room: noise that dies away, the same each time.
/** @param {BaseAudioContext} context */
function impulse(context) {
  const length = Math.round(1.2 * context.sampleRate);
  const buffer = context.createBuffer(2, length, context.sampleRate);
  let state = 1;
  for (let side = 0; side < 2; side++) {
    const into = buffer.getChannelData(side);
    for (let n = 0; n < length; n++) {
      state = (state * 1103515245 + 12345) % 2147483648;
      into[n] = (state / 1073741824 - 1) * Math.exp((-6 * n) / length);
    }
  }
  return buffer;
}
