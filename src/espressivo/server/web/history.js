// History: what can be undone, and done again.

const MOST = 100; // older edits cannot be undone
const TOGETHER_MS = 1500; // edits of the same kind within this time are one

/** @typedef {{ name: string, undo: () => void, redo: () => void }} Edit */

export class History {
  /** @type {Edit[]} */ done = [];
  /** @type {Edit[]} */ undone = [];
  #kind = "";
  #lastMs = -Infinity;

  /**
   * `changed(undo, redo)` is told the names of the next edits to undo and redo, or null.
   * @param {(undo: string | null, redo: string | null) => void} changed
   * @param {() => number} clock milliseconds
   */
  constructor(changed, clock) {
    this.changed = changed;
    this.clock = clock;
  }

  /**
   * Remember an edit that has been made. Those of one `kind` that follow each other closely, as when
   * a knob is turned, are undone together.
   * @param {Edit} edit
   */
  add(edit, kind = "") {
    const now = this.clock(), last = this.done.at(-1);
    if (last && kind && kind === this.#kind && now - this.#lastMs < TOGETHER_MS) {
      last.redo = edit.redo;
    } else {
      this.done.push(edit);
      if (this.done.length > MOST) this.done.shift();
    }
    this.#kind = kind;
    this.#lastMs = now;
    this.undone = [];
    this.#tell();
  }

  undo() {
    const edit = this.done.pop();
    if (!edit) return;
    edit.undo();
    this.undone.push(edit);
    this.#kind = "";
    this.#tell();
  }

  redo() {
    const edit = this.undone.pop();
    if (!edit) return;
    edit.redo();
    this.done.push(edit);
    this.#kind = "";
    this.#tell();
  }

  #tell() {
    this.changed(this.done.at(-1)?.name ?? null, this.undone.at(-1)?.name ?? null);
  }
}
