// Page: what the modules of the page share. Each of them is a function that takes the parts it
// needs, listens to its elements, and watches the store.

/**
 * @typedef {object} Page
 * @property {import("./store.js").Store} store
 * @property {import("./history.js").History} history
 * @property {import("./sound.js").Sound} sound
 * @property {import("./player.js").Player} player
 * @property {import("./takes.js").Takes} takes
 * @property {import("./recorder.js").Recorder} recorder
 * @property {import("./replay.js").Replay} replay
 * @property {import("./link.js").BackEnd} backEnd
 */

/**
 * The element with an id.
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 * @param {new () => E} [kind]
 * @returns {E}
 */
export function $(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof (kind ?? HTMLElement))) throw new Error(`the page has no ${id}`);
  return /** @type {E} */ (element);
}

/** What the browser remembers from one visit to the next, such as the language. */
export function remembered() {
  try {
    return JSON.parse(localStorage.getItem("espressivo") ?? "{}");
  } catch { // what is there is not ours
    return {};
  }
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let saying;

/**
 * Show a message for some seconds, above all else; null hides it.
 * @param {string | null} text
 */
export function say(text, stays = false) {
  clearTimeout(saying);
  const place = $("message");
  place.textContent = text ?? "";
  place.hidePopover();
  if (!text) return;
  place.showPopover();
  if (!stays) saying = setTimeout(() => say(null), Math.max(6000, 80 * text.length));
}

/**
 * Open what is dropped on the page.
 * @param {(file: File) => unknown} open
 */
export function dropped(open) {
  const main = /** @type {HTMLElement} */ (document.querySelector("main"));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    main.classList.add("dropping");
  });
  for (const kind of /** @type {const} */ (["drop", "dragleave"])) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      main.classList.remove("dropping");
      const file = event.dataTransfer?.files[0];
      if (kind === "drop" && file) void open(file);
    });
  }
}

/** @param {HTMLDialogElement} dialog */
export function show(dialog) {
  if (!dialog.open) dialog.showModal();
}
