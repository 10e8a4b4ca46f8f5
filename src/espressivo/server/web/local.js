// Local: the back end of a page without a server. The engine plays in a worker of this page, behind
// the messages that a server would be sent.

/** @typedef {import("./link.js").BackEnd} BackEnd */
/** @typedef {import("./link.js").Calls} Calls */
/** @typedef {import("./link.js").ToBackEnd} ToBackEnd */

/** @implements {BackEnd} */
export class Local {
  #worker = new Worker(new URL("engine/worker.js", import.meta.url), { type: "module" });

  /** @param {Calls} on */
  constructor(on) {
    this.#worker.onmessage = ({ data: { type, ...fields } }) => {
      /** @type {Record<string, Function>} */ (/** @type {unknown} */ (on))[type]?.(fields);
    };
    this.#worker.onerror = ({ message }) => on.error({ run: null, message: message || "the engine cannot be loaded" });
  }

  /** @param {ToBackEnd} message */
  send(message) {
    this.#worker.postMessage(message, message.type === "load_model" ? [message.data] : []);
    return true;
  }

  sendBytes() {
    return false; // it reads no MIDI files, and does not offer to
  }
}
