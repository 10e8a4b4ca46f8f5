// Piano: plays MIDI messages at given times of an AudioContext, from a bank.
//
// The clock is the context's own, so what has been given in time is heard in time, whatever the
// page does meanwhile. Works in an OfflineAudioContext too.

const CURVE = 2; // gain (velocity / 127) ** 2: the concave curve of SoundFont's default modulator
const QUICK_S = 0.015; // how a string is damped that is struck again, or when all must be silent
const LEVEL = 0.5;
const NOTE_ON = 0x90, CONTROL = 0xb0;

export class Piano {
  constructor(context) {
    this.context = context;
    this.bank = null;
    this.late = 0; // notes that came after their time
    this.played = 0;
    this.hands = [new Hands(this), new Hands(this)]; // the model's, and a person's
    this.input = context.createGain();
    this.input.gain.value = LEVEL;
    const limiter = context.createDynamicsCompressor();
    Object.assign(limiter.threshold, { value: -6 });
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

  // Play a message at a time of the context, by the model (hand 0) or a person (1). Messages of a
  // hand must come in order of time.
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

  // Decode samples that will be needed, as far as they are not.
  async warm(pitches, velocities) {
    for (const pitch of pitches) {
      for (const velocity of velocities) {
        await Promise.all(this.bank.find(pitch, velocity).map((zone) => this.bank.buffer(zone, this.context)));
      }
    }
  }
}

class Hands {
  constructor(piano) {
    this.piano = piano;
    this.held = new Map(); // pitch to voices
    this.sustained = [];
    this.down = false;
    this.voices = new Set(); // all that may still be heard
  }

  strike(pitch, velocity, at) {
    const { piano } = this;
    this.release(pitch, at, true);
    this.sustained = this.sustained.filter((voice) => voice.pitch !== pitch || void voice.release(at, true));
    const now = piano.context.currentTime;
    piano.played += 1;
    if (at < now - 0.003) piano.late += 1;
    if (!piano.bank) return;
    const voices = piano.bank.find(pitch, velocity).map((zone) => new Voice(piano, this, zone, pitch, velocity, at));
    this.held.set(pitch, voices);
  }

  release(pitch, at, quick = false) {
    const voices = this.held.get(pitch) ?? [];
    this.held.delete(pitch);
    if (this.down && !quick) this.sustained.push(...voices);
    else for (const voice of voices) voice.release(at, quick);
  }

  pedal(down, at) {
    this.down = down;
    if (down) return;
    for (const voice of this.sustained) voice.release(at);
    this.sustained = [];
  }

  clear(now, quick) {
    for (const voice of this.voices) voice.cancel(now, quick);
    this.held.clear();
    this.sustained = [];
    this.down = false;
  }
}

class Voice {
  constructor(piano, hands, zone, pitch, velocity, at) {
    Object.assign(this, { piano, hands, zone, pitch, at, endS: null, quick: false, source: null });
    this.loudness = zone.gain * (velocity / 127) ** CURVE;
    hands.voices.add(this);
    piano.bank.buffer(zone, piano.context).then((buffer) => this.#start(buffer), () => hands.voices.delete(this));
  }

  release(at, quick = false) {
    this.endS = Math.max(at, this.at);
    this.quick = quick;
    if (this.source) this.#fade();
  }

  // End now, or never begin.
  cancel(now, quick) {
    if (this.at > now) {
      this.source?.stop();
      this.hands.voices.delete(this);
    } else if (this.endS === null || this.endS > now || quick) {
      this.release(now, quick);
    }
  }

  #start(buffer) {
    if (!this.hands.voices.has(this)) return; // cancelled meanwhile
    const { piano, zone } = this, { context } = piano;
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.playbackRate.value = zone.rate(this.pitch);
    if (zone.loops) {
      source.loop = true;
      [source.loopStart, source.loopEnd] = zone.sample.loop.map((n) => (n - zone.sample.start) / zone.sample.rate);
    }
    this.gain = context.createGain();
    this.gain.gain.value = this.loudness;
    const side = context.createStereoPanner();
    side.pan.value = zone.pan;
    source.connect(this.gain).connect(side).connect(piano.input);
    source.onended = () => {
      side.disconnect();
      this.hands.voices.delete(this);
    };
    source.start(Math.max(this.at, context.currentTime));
    this.source = source;
    if (this.endS !== null) this.#fade();
  }

  #fade() {
    const at = Math.max(this.endS, this.piano.context.currentTime);
    const fadeS = this.quick ? QUICK_S : this.zone.releaseS / 4;
    const { gain } = this.gain;
    gain.cancelScheduledValues(at);
    gain.setTargetAtTime(0, at, fadeS);
    this.source.stop(at + 8 * fadeS);
  }
}

// A small room: noise that dies away, the same each time.
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
