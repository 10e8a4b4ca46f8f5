// Shelf: the list of takes, in which each can be heard, named, downloaded and deleted.

import { clock } from "./music.js";
import { $, say, show } from "./page.js";
import { t } from "./words.js";

/** @typedef {import("./takes.js").Row} Row */

/**
 * @param {import("./page.js").Page} page
 * @param {(row: Row, kind: "midi" | "wav") => Promise<void>} save
 */
export function shelf({ store, player, takes, recorder, replay, history }, save) {
  const dialog = $("shelf", HTMLDialogElement), list = $("list"), deleted = $("deleted");
  const open = () => {
    deleted.replaceChildren();
    void takes.refresh();
    show(dialog);
  };
  $("takes").onclick = open;
  addEventListener("keydown", (event) => {
    const modified = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
    if (event.code !== "KeyN" || modified || document.querySelector("dialog[open]")) return;
    event.preventDefault(); // or it is written into the name that is chosen first
    open();
  });
  $("keep").onclick = () => {
    if (!player.music.notes.length) return say(t("Nothing has been played yet."));
    const played = player.music.copy();
    played.cut(player.now());
    void recorder.keep(played);
  };

  const remove = (/** @type {Row} */ row) => {
    takes.remove(row);
    const undo = button(t("Undo"), () => {
      history.undo();
      deleted.replaceChildren();
    });
    deleted.replaceChildren(t("{name} is deleted.", { name: row.name }), " ", undo);
    undo.focus();
  };
  const item = (/** @type {Row} */ row) => {
    const element = document.createElement("li");
    element.dataset.id = row.id;
    const name = document.createElement("input");
    Object.assign(name, { type: "text", value: row.name, maxLength: 80, onchange: () => takes.rename(row, name.value.trim() || row.name) });
    name.setAttribute("aria-label", t("Name"));
    const about = document.createElement("span");
    const recording = row.id === store.state.recording?.id;
    const when = recording ? t("being recorded") : new Date(row.began).toLocaleString(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
    about.textContent = t("{length}, {notes} notes, {when}", { length: clock(row.seconds), notes: String(row.notes), when });
    const buttons = document.createElement("span");
    const listen = () => {
      dialog.close();
      player.stop();
      void replay.show(row);
    };
    buttons.append(
      button(t("Listen"), listen, row.name), button("MIDI ↓", () => save(row, "midi"), row.name),
      button("WAV ↓", () => save(row, "wav"), row.name), button(t("Delete"), () => remove(row), row.name),
    );
    element.append(name, about, buttons);
    settle(element);
    return element;
  };
  // What is being recorded can only be named.
  const settle = (/** @type {HTMLLIElement} */ element) => {
    for (const each of element.querySelectorAll("button")) each.disabled = element.dataset.id === store.state.recording?.id;
  };
  store.watch(["takes", "safe", "recording", "language"], ({ takes, safe }) => {
    $("count").textContent = takes.length ? String(takes.length) : "";
    const text = !takes.length ? "Nothing has been recorded yet: press R while it plays."
      : safe ? "The recordings are kept by this browser." : "This browser keeps no recordings: save them as files before you leave.";
    $("kept").textContent = t(text);
    if (list.contains(document.activeElement) && document.activeElement instanceof HTMLInputElement) { // a name is being written
      for (const element of list.querySelectorAll("li")) settle(element);
      return;
    }
    const focused = document.activeElement, row = list.contains(focused) ? focused?.closest("li") : null;
    const place = row ? [...row.querySelectorAll("button")].findIndex((each) => each === focused) : -1;
    list.replaceChildren(...takes.map(item));
    if (row) [...list.querySelectorAll("li")].find(({ dataset: { id } }) => id === row.dataset.id)?.querySelectorAll("button")[place]?.focus();
  });
  addEventListener("beforeunload", (event) => {
    const { recording, takes, safe } = store.state;
    if (recording || (takes.length && !safe)) event.preventDefault();
  });
}

/** @param {string} text @param {() => void} pressed @param {string} of whose button it is, for those who do not see it */
function button(text, pressed, of = "") {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text, onclick: pressed });
  if (of) made.setAttribute("aria-label", `${text}: ${of}`);
  return made;
}
