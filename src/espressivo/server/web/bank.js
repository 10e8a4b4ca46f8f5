// Bank: the piano of an SF2 or SF3 file, as samples with ranges of keys and velocities.
//
// Read are the zones of the first preset: key and velocity ranges, tuning, attenuation, pan, loops
// and release, as SoundFont 2.04 has them. Modulators and filters are not. Samples are decoded when
// they are first needed: 16-bit numbers here, Ogg Vorbis (SF3) by the browser.

const GENERATOR = {
  pan: 17, release: 38, instrument: 41, keys: 43, velocities: 44, attenuation: 48,
  coarse: 51, fine: 52, sample: 53, modes: 54, scale: 56, root: 58,
};
/** @type {Record<number, number>} */
const DEFAULTS = { [GENERATOR.release]: -12000, [GENERATOR.scale]: 100, [GENERATOR.root]: -1 };
const SUMMED = [GENERATOR.pan, GENERATOR.release, GENERATOR.attenuation, GENERATOR.coarse, GENERATOR.fine];
const ATTENUATION_DB = 0.04; // per centibel: what every player does, not the 0.1 of the standard
const VORBIS = 0x10;

/**
 * @typedef {object} Sample
 * @property {number} start
 * @property {number} end
 * @property {[number, number]} loop
 * @property {number} rate
 * @property {number} root
 * @property {number} correction
 * @property {number} type
 * @property {Map<number, Promise<AudioBuffer>>} buffers by the rate of their context
 */
/** @typedef {Map<number, number>} Values of generators */

export class Bank {
  damaged = () => {}; // called when a sample cannot be decoded

  /** @param {ArrayBuffer} data a file; throws an Error that says what is wrong with it */
  constructor(data) {
    /** @type {Record<string, DataView<ArrayBuffer>>} */
    this.chunks = readChunks(new DataView(data), data);
    for (const name of ["phdr", "pbag", "pgen", "inst", "ibag", "igen", "shdr", "smpl"]) {
      if (!this.chunks[name]) throw new Error(`not a sound bank: it has no ${name}`);
    }
    this.samples = readSamples(this.chunks.shdr);
    this.zones = this.#zones();
    if (!this.zones.length) throw new Error("the sound bank has no piano");
  }

  /**
   * Zones that sound when a key is struck; of a stereo sample, one for each side.
   * @param {number} pitch
   * @param {number} velocity
   */
  find(pitch, velocity) {
    return this.zones.filter((zone) => zone.covers(pitch, velocity));
  }

  /**
   * A zone's sample, from the context's rate; kept.
   * @param {Zone} zone
   * @param {BaseAudioContext} context
   * @returns {Promise<AudioBuffer>}
   */
  buffer({ sample }, context) {
    let buffer = sample.buffers.get(context.sampleRate);
    if (!buffer) {
      buffer = this.#decode(sample, context);
      buffer.catch(() => this.damaged());
      sample.buffers.set(context.sampleRate, buffer);
    }
    return buffer;
  }

  async #decode(/** @type {Sample} */ sample, /** @type {BaseAudioContext} */ context) {
    const data = this.chunks.smpl;
    if (sample.type & VORBIS) {
      const begin = data.byteOffset + sample.start;
      return context.decodeAudioData(data.buffer.slice(begin, data.byteOffset + sample.end));
    }
    const length = sample.end - sample.start;
    const buffer = context.createBuffer(1, Math.max(1, length), sample.rate);
    const into = buffer.getChannelData(0);
    for (let n = 0; n < length; n++) into[n] = data.getInt16(2 * (sample.start + n), true) / 32768;
    return buffer;
  }

  #zones() {
    const { phdr, pbag, pgen, inst, ibag, igen } = this.chunks;
    const presets = [];
    for (let n = 0; n + 1 < phdr.byteLength / 38; n++) {
      presets.push({ bank: phdr.getUint16(38 * n + 22, true), program: phdr.getUint16(38 * n + 20, true), n });
    }
    presets.sort((a, b) => a.bank - b.bank || a.program - b.program);
    if (!presets.length) return [];
    const found = [];
    for (const outer of readZones(phdr, 38, 24, presets[0].n, pbag, pgen, GENERATOR.instrument)) {
      const number = outer.get(GENERATOR.instrument) ?? 0;
      for (const inner of readZones(inst, 22, 20, number, ibag, igen, GENERATOR.sample)) {
        const sample = this.samples[inner.get(GENERATOR.sample) ?? 0];
        if (sample) found.push(new Zone(inner, outer, sample));
      }
    }
    return found;
  }
}

export class Zone {
  /** @param {Values} inner @param {Values} outer @param {Sample} sample */
  constructor(inner, outer, sample) {
    const value = (/** @type {number} */ what) => (inner.get(what) ?? DEFAULTS[what] ?? 0) + (SUMMED.includes(what) ? outer.get(what) ?? 0 : 0);
    const range = (/** @type {number} */ what) => {
      const [a, b] = [inner, outer].map((zone) => zone.get(what) ?? 0x7f00);
      return [Math.max(a & 127, b & 127), Math.min((a >> 8) & 127, (b >> 8) & 127)];
    };
    this.sample = sample;
    this.keys = range(GENERATOR.keys);
    this.velocities = range(GENERATOR.velocities);
    this.pan = Math.max(-1, Math.min(1, value(GENERATOR.pan) / 500));
    this.gain = 10 ** (-(value(GENERATOR.attenuation) * ATTENUATION_DB) / 20);
    this.releaseS = Math.max(0.06, Math.min(8, 2 ** (value(GENERATOR.release) / 1200)));
    this.loops = value(GENERATOR.modes) & 1;
    this.root = value(GENERATOR.root) >= 0 ? value(GENERATOR.root) : sample.root;
    this.scale = value(GENERATOR.scale) / 100;
    this.cents = 100 * value(GENERATOR.coarse) + value(GENERATOR.fine) + sample.correction;
  }

  /** @param {number} pitch @param {number} velocity */
  covers(pitch, velocity) {
    const [low, high] = this.keys, [soft, loud] = this.velocities;
    return low <= pitch && pitch <= high && soft <= velocity && velocity <= loud;
  }

  /** @param {number} pitch */
  rate(pitch) {
    return 2 ** (((pitch - this.root) * this.scale + this.cents / 100) / 12);
  }
}

/**
 * The chunks of a RIFF file by name; lists are opened.
 * @param {DataView<ArrayBuffer>} view
 * @param {ArrayBuffer} data
 * @param {Record<string, DataView<ArrayBuffer>>} found
 */
function readChunks(view, data, at = 0, end = data.byteLength, found = {}) {
  while (at + 8 <= end) {
    const name = String.fromCharCode(...new Uint8Array(data, at, 4));
    const length = view.getUint32(at + 4, true);
    if (at + 8 + length > end) throw new Error("the sound bank is cut short");
    if (name === "RIFF" || name === "LIST") readChunks(view, data, at + 12, at + 8 + length, found);
    else found[name] = new DataView(data, at + 8, length);
    at += 8 + length + (length % 2);
  }
  return found;
}

/** @param {DataView} shdr */
function readSamples(shdr) {
  /** @type {Sample[]} */
  const samples = [];
  for (let at = 0; at + 46 <= shdr.byteLength; at += 46) {
    samples.push({
      start: shdr.getUint32(at + 20, true),
      end: shdr.getUint32(at + 24, true),
      loop: [shdr.getUint32(at + 28, true), shdr.getUint32(at + 32, true)],
      rate: shdr.getUint32(at + 36, true),
      root: shdr.getUint8(at + 40),
      correction: shdr.getInt8(at + 41),
      type: shdr.getUint16(at + 44, true),
      buffers: new Map(),
    });
  }
  return samples;
}

/**
 * The zones of a preset or instrument. The first may be global: it has no `last` generator and
 * stands for what the others do not say.
 * @param {DataView} heads
 * @param {number} size
 * @param {number} offset
 * @param {number} number
 * @param {DataView} bags
 * @param {DataView} generators
 * @param {number} last
 */
function readZones(heads, size, offset, number, bags, generators, last) {
  /** @type {Values[]} */
  const zones = [];
  /** @type {Values} */
  let shared = new Map();
  const [first, beyond] = [0, 1].map((n) => heads.getUint16(size * (number + n) + offset, true));
  for (let bag = first; bag < beyond; bag++) {
    const zone = new Map(shared);
    const [from, to] = [0, 1].map((n) => bags.getUint16(4 * (bag + n), true));
    for (let n = from; n < to; n++) {
      const what = generators.getUint16(4 * n, true);
      const unsigned = what === GENERATOR.keys || what === GENERATOR.velocities || what === last;
      zone.set(what, unsigned ? generators.getUint16(4 * n + 2, true) : generators.getInt16(4 * n + 2, true));
    }
    if (zone.has(last)) zones.push(zone);
    else if (bag === first) shared = zone;
  }
  return zones;
}
