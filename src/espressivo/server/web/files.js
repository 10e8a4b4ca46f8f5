// Files: MIDI files and recordings that are opened or dropped, and takes that are downloaded as MIDI and as sound.

import { hearing, isSound, SOUND_BYTES, SOUNDS } from "./hearing.js";
import { midiFile, provenanceText } from "./midi_file.js";
import { Music } from "./music.js";
import { $, dropped, say } from "./page.js";
import { LONGEST_S, render } from "./wav.js";
import { t } from "./words.js";

/** @typedef {import("./music.js").Event} Event */
/** @typedef {import("./midi_file.js").Provenance} Provenance */
/** @typedef {import("./takes.js").Row} Row */

const FILE_BYTES = 4 << 20; // the back end takes no more

/** @param {import("./page.js").Page} page */
export function files({ store, player, takes, sound, backEnd }) {
  const hear = hearing(player);
  const open = async (/** @type {File} */ file) => {
    const { offers } = store.state, model = file.name.toLowerCase().endsWith(".onnx");
    if (model && !offers.includes("load_model")) return say(t("A model of your own plays by espressivo serve --model FILE."));
    if (model) return player.loadModel(file.name, await file.arrayBuffer());
    if (!offers.includes("file")) return say(t("This page opens models (.onnx), and no other files."));
    if (isSound(file.name)) {
      if (!offers.includes("sound")) return say(t("Recordings are heard by the server: pip install 'espressivo[transcribe]' there."));
      if (file.size > SOUND_BYTES) return say(t("This recording is too large: at most 128 MB are taken."));
      return hear(file);
    }
    if (file.size > FILE_BYTES) return say(t("This file is too large: at most 4 MB are taken."));
    try {
      if (!backEnd.sendBytes(await file.arrayBuffer())) say(t("The server cannot be reached."));
    } catch (error) { // a folder, say
      say(t("The file cannot be read: {reason}", { reason: reason(error) }));
    }
  };
  const chosen = $("file", HTMLInputElement);
  const choose = (/** @type {string} */ accept) => {
    chosen.accept = accept;
    chosen.click();
  };
  const midi = ".mid,.midi,audio/midi";
  $("open").onclick = () => choose(store.state.offers.includes("sound") ? [midi, ...SOUNDS].join() : midi);
  $("open-model").onclick = () => choose(".onnx");
  chosen.onchange = () => {
    if (chosen.files?.[0]) void open(chosen.files[0]);
    chosen.value = "";
  };
  dropped(open);

  // What was recorded last, or else all that has been played.
  const latest = async () => {
    const [row] = store.state.takes, { model, seed, settings } = store.state;
    const recorded = row && row.began >= performance.timeOrigin;
    if (recorded) return { events: Music.of(await takes.events(row), row.seconds).events(), made: provenance(row) };
    return { events: player.music.events(0, player.now()), made: provenance({ model: model && { ...model, name: model.title }, seed, settings, changes: [] }) };
  };
  const saved = { midi: saveMidi, wav: (/** @type {Event[]} */ events, /** @type {Provenance | null} */ made, name = "") => saveWav(sound, events, made, name) };
  for (const kind of /** @type {const} */ (["midi", "wav"])) {
    const button = $(`save-${kind}`, HTMLButtonElement);
    button.onclick = async () => {
      button.disabled = true;
      const { events, made } = await latest();
      await saved[kind](events, made);
      button.disabled = false;
    };
  }

  /** Download a take. */
  return async (/** @type {Row} */ row, /** @type {"midi" | "wav"} */ kind) => {
    await saved[kind](Music.of(await takes.events(row), row.seconds).events(), provenance(row), row.name);
  };
}

/**
 * How a take was made, as its file says it; null if no model was there.
 * @param {Pick<Row, "model" | "seed" | "settings" | "changes">} row
 * @returns {Provenance | null}
 */
export function provenance({ model, seed, settings, changes }) {
  if (!model) return null;
  return {
    command: "page", licence: model.licence, model: model.name, model_sha256: model.sha256, primer_sha256: null,
    seed, settings: changes.length ? { ...settings, changes } : { ...settings }, version: VERSION.text,
  };
}

/** The version of espressivo, which the back end tells. */
export const VERSION = { text: "0" };

/** @param {Event[]} events @param {Provenance | null} made */
function saveMidi(events, made, name = "") {
  if (!events.length) say(t("Nothing has been played yet."));
  else download(new Blob([midiFile(events, made)], { type: "audio/midi" }), name, "mid");
}

/** @param {import("./sound.js").Sound} sound @param {Event[]} events @param {Provenance | null} made @param {string} name */
async function saveWav({ piano, context }, events, made, name) {
  if (!events.length) return say(t("Nothing has been played yet."));
  if (!piano.bank) return say(t("There is no piano to render with."));
  const kept = events.filter(([time]) => time < events[0][0] + LONGEST_S);
  /** @type {Record<string, string>} */
  const about = made ? { ISFT: "espressivo", ICOP: made.licence, ICMT: `espressivo:${provenanceText(made)}` } : {};
  download(await render(kept, piano.bank, context.sampleRate, about), name, "wav");
  if (kept.length < events.length) say(t("The first ten minutes were written: longer sound does not fit."));
}

function download(/** @type {Blob} */ blob, /** @type {string} */ name, /** @type {string} */ ending) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  const day = new Date().toISOString().slice(0, 19).replace(/\D/g, "");
  anchor.download = `${name.replace(/[^\p{L}\p{N} ._-]/gu, "").trim() || `espressivo-${day}`}.${ending}`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
}

const reason = (/** @type {unknown} */ error) => (error instanceof Error ? error.message : String(error));
