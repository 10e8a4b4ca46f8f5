// Store: the one owner of what the page shows and remembers. Everybody may read `state`; only
// `change` changes it, and tells those who watch.

/** @typedef {import("./link.js").Model} Model */
/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("./takes.js").Row} Row */
/** @typedef {import("./passages.js").Filling} Filling */
/** @typedef {import("./slots.js").Slot} Slot */
/** @typedef {Pick<Row, "id" | "name" | "seconds">} Shown */
/**
 * @typedef {object} State
 * @property {"connecting" | "connected" | "lost" | "full"} link
 * @property {string[]} offers kinds of messages that the back end understands
 * @property {string[]} models
 * @property {Model | null} model
 * @property {Settings} settings
 * @property {number} seed of a run that begins with nothing
 * @property {"stopped" | "waiting" | "playing" | "person" | "leading"} mode waiting for the model,
 *   or leading with the end of a file into what the model plays
 * @property {number | null} mark a moment of the music, in seconds, to go on from
 * @property {number | null} anchor another moment: a passage is between the two
 * @property {Filling | null} filling a passage that is being played anew
 * @property {[Slot | null, Slot | null]} slots passages between which the model plays
 * @property {number} share of the way from the one to the other, 0..1
 * @property {Row | null} recording the take that is being recorded
 * @property {Row[]} takes
 * @property {boolean} safe whether takes outlast the page
 * @property {Shown | null} replaying the take that is shown and played back
 * @property {boolean} running whether that take sounds
 * @property {boolean} loop
 * @property {boolean} answer whether the model goes on when a person pauses
 * @property {"roll" | "notation"} view
 * @property {boolean} near whether few large keys are shown
 * @property {string} language code of the language that the page speaks
 * @property {number} volume 0..1
 * @property {boolean} muted
 * @property {string | null} undo what undo would take back
 * @property {string | null} redo
 */

export class Store {
  /** @type {Readonly<State>} */
  state;
  /** @type {{ names: (keyof State)[], call: (state: Readonly<State>) => void }[]} */
  #watchers = [];

  /** @param {Partial<State>} known */
  constructor(known = {}) {
    /** @type {State} */
    const begin = {
      link: "connecting", offers: [], models: [], model: null, settings: {}, seed: 0, mode: "stopped",
      mark: null, anchor: null, filling: null, slots: [null, null], share: 0.5, recording: null, takes: [], safe: false, replaying: null, running: false, loop: false,
      answer: true, view: "roll", near: false, language: "en", volume: 1, muted: false, undo: null, redo: null, ...known,
    };
    this.state = Object.freeze(begin);
  }

  /** @param {Partial<State>} part */
  change(part) {
    const before = this.state;
    this.state = Object.freeze({ ...before, ...part });
    for (const { names, call } of this.#watchers) {
      if (names.some((name) => this.state[name] !== before[name])) call(this.state);
    }
  }

  /**
   * Call now, and after each change of one of these.
   * @param {(keyof State)[]} names
   * @param {(state: Readonly<State>) => void} call
   */
  watch(names, call) {
    this.#watchers.push({ names, call });
    call(this.state);
  }
}
