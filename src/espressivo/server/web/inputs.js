// Inputs: a person's keys, from the computer keyboard and from MIDI, and MIDI going out.

// The row of letters as white keys, the row above as black ones, from C.
const KEYS = [
  "KeyA", "KeyW", "KeyS", "KeyE", "KeyD", "KeyF", "KeyT", "KeyG", "KeyY", "KeyH", "KeyU", "KeyJ",
  "KeyK", "KeyO", "KeyL", "KeyP", "Semicolon",
];
const VELOCITY = 76;
const AHEAD_MS = 700; // messages to an instrument are sent so early at most

/** @typedef {import("./music.js").Message} Message */

/**
 * The keys of the computer; Z and X move by octaves.
 * @param {(pitch: number, velocity: number) => void} strike
 * @param {(pitch: number) => void} release
 */
export function computerKeyboard(strike, release) {
  /** @type {Map<string, number>} */
  const held = new Map();
  let lowest = 60;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (/** @type {Element} */ (event.target).closest("select, input[type=text], dialog")) return;
    const number = KEYS.indexOf(event.code);
    if (event.code === "KeyZ") lowest = Math.max(24, lowest - 12);
    if (event.code === "KeyX") lowest = Math.min(84, lowest + 12);
    if (number < 0 || held.has(event.code)) return;
    held.set(event.code, lowest + number);
    strike(lowest + number, VELOCITY);
  });
  const letGo = (/** @type {string} */ code) => {
    const pitch = held.get(code);
    if (pitch !== undefined) release(pitch);
    held.delete(code);
  };
  addEventListener("keyup", (event) => letGo(event.code));
  addEventListener("blur", () => [...held.keys()].forEach(letGo));
}

// MIDI instruments by Web MIDI, where the browser has it and the person allows it.
export class Midi {
  /** @type {MIDIAccess | null} */ access = null;
  /** @type {MIDIOutput | null} */ output = null;
  changed = () => {}; // called when instruments come or go
  #lastMs = 0;

  /** @param {(message: Message) => void} receive what is played on channel 1 */
  constructor(receive) {
    this.receive = receive;
  }

  get possible() {
    return "requestMIDIAccess" in navigator;
  }

  async open() {
    this.access = await navigator.requestMIDIAccess();
    this.access.onstatechange = () => this.#listen();
    this.#listen();
  }

  get inputs() {
    return [...(this.access?.inputs.values() ?? [])];
  }

  get outputs() {
    return [...(this.access?.outputs.values() ?? [])];
  }

  /** @param {string} id */
  choose(id) {
    this.silence();
    this.output = this.outputs.find((output) => output.id === id) ?? null;
  }

  /**
   * @param {Message} message
   * @param {number} atMs a time of `performance.now()`
   */
  send(message, atMs) {
    if (!this.output) return;
    this.#lastMs = Math.max(this.#lastMs, atMs);
    this.output.send(message, atMs);
  }

  // End everything, now and again after what has been sent ahead.
  silence() {
    if (!this.output) return;
    /** @type {MIDIOutput & { clear?: () => void }} */ (this.output).clear?.();
    const now = performance.now();
    for (const at of [now, Math.min(Math.max(now, this.#lastMs), now + AHEAD_MS) + 20]) {
      for (const message of [[0xb0, 64, 0], [0xb0, 123, 0], [0xb0, 120, 0]]) this.output.send(message, at);
      for (let pitch = 0; pitch < 128; pitch++) this.output.send([0x80, pitch, 0], at);
    }
  }

  #listen() {
    for (const input of this.inputs) {
      input.onmidimessage = ({ data }) => {
        const [status, one, two] = data ?? [0, 0, 0];
        const kind = status & 0xf0;
        if (kind === 0x80 || kind === 0x90 || (kind === 0xb0 && one === 64)) this.receive([kind, one, two]);
      };
    }
    this.changed();
  }
}
