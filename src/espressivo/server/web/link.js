// Link: the back end that plays, behind messages. Here it is a server, over a WebSocket that comes
// back by itself when it is lost. A back end of another kind is a class with the same `send`,
// `sendBytes` and calls, as `Local` is; `hello` says which kinds of messages it understands, and the
// page hides what needs others. What the messages mean is in `espressivo/server/__init__.py`.

/** @typedef {import("./music.js").Event} Event */
/** @typedef {import("./settings.js").Control} Control */
/** @typedef {import("./settings.js").Settings} Settings */
/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} title
 * @property {string} licence
 * @property {string} trained_on
 * @property {string} sha256
 * @property {boolean} [space] whether it can play between two passages
 * @property {Control[]} controls
 */
/**
 * What a back end is told.
 * @typedef {{ type: "begin", run: number, time_s: number, events: Event[], settings: Settings, seed: number | null }
 *   | { type: "stop" }
 *   | { type: "steer", settings: Settings }
 *   | { type: "choose_model", name: string }
 *   | { type: "hear", pitch: number, velocity: number }
 *   | { type: "fill", run: number, events: Event[], from_s: number, to_s: number, keep: string | null, amount: number, settings: Settings, seed: number }
 *   | { type: "between", passages: Event[][], share: number }
 *   | { type: "load_model", name: string, data: ArrayBuffer }} ToBackEnd
 */
/**
 * What it tells, a function for each type of message; `lost` when it is out of reach, `full` if
 * that is because it plays for too many.
 * @typedef {object} Calls
 * @property {(message: { version: string, models: string[], offers: string[] }) => void} hello
 * @property {(message: Model) => void} model
 * @property {(message: { run: number }) => void} begun
 * @property {(message: { run: number, events: Event[] }) => void} events
 * @property {(message: { run: number, at_s: number, from_s: number, seconds: number }) => void} returned
 * @property {(message: { run: number }) => void} ended
 * @property {(message: { events: Event[] }) => void} file
 * @property {(message: { run: number, events: Event[] }) => void} filled
 * @property {(message: { run: number, message: string }) => void} unfilled
 * @property {(message: { run: number | null, message: string }) => void} error
 * @property {(full: boolean) => void} lost
 */
/**
 * @typedef {object} BackEnd
 * @property {(message: ToBackEnd) => boolean} send tells whether it can be reached
 * @property {(data: ArrayBuffer) => boolean} sendBytes the content of a MIDI file
 */

const FIRST_MS = 300, LONGEST_MS = 5000;
const TRY_AGAIN_LATER = 1013;

/** @implements {BackEnd} */
export class Link {
  /** @type {WebSocket} */ socket;
  #waitMs = FIRST_MS;

  /** @param {Calls} on */
  constructor(on) {
    this.on = on;
    this.socket = this.#open();
    // A page that is left may be kept by the browser, and its connection with it.
    addEventListener("pagehide", () => this.socket.close());
  }

  /** @param {ToBackEnd} message */
  send(message) {
    return this.#put(JSON.stringify(message));
  }

  /** @param {ArrayBuffer} data */
  sendBytes(data) {
    return this.#put(data);
  }

  #put(/** @type {string | ArrayBuffer} */ data) {
    const open = this.socket.readyState === WebSocket.OPEN;
    if (open) this.socket.send(data);
    return open;
  }

  #open() {
    const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/play`);
    socket.onmessage = ({ data }) => {
      const { type, ...fields } = JSON.parse(data);
      if (type === "hello") this.#waitMs = FIRST_MS;
      /** @type {Record<string, Function>} */ (/** @type {unknown} */ (this.on))[type]?.(fields);
    };
    socket.onclose = ({ code }) => {
      this.on.lost(code === TRY_AGAIN_LATER);
      setTimeout(() => (this.socket = this.#open()), this.#waitMs);
      this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_MS);
    };
    return socket;
  }
}
