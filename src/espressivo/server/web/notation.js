// Notation: the take as pages of notes, beside the roll. The server draws them when they are looked at.

import { midiFile } from "./midi_file.js";
import { $ } from "./page.js";
import { t } from "./words.js";

const LONGEST_S = 300; // of music without end, the latest

/** @typedef {{ pages: string[], tempo: number, meter: string }} Drawn */

/** @param {import("./page.js").Page} page */
export function notation({ store, player, replay }) {
  const tabs = /** @type {const} */ ([["roll", $("as-roll")], ["notation", $("as-notation")]]);
  const told = $("written"), sheets = $("sheets"), again = $("write", HTMLButtonElement);
  let asked = new AbortController();

  const write = async () => {
    asked.abort();
    const { signal } = (asked = new AbortController());
    const { replaying } = store.state;
    const music = replaying ? replay.music : player.music, end = replaying ? music.end : player.now();
    const events = music.events(Math.max(0, end - LONGEST_S), end);
    sheets.replaceChildren();
    again.disabled = false;
    if (!events.length) return say(t("Nothing has been played yet."));
    say(t("The notes are being written…"));
    again.disabled = true;
    try {
      const title = new URLSearchParams({ title: replaying?.name ?? "" });
      const response = await fetch(`notation?${title}`, { method: "POST", body: new Blob([midiFile(events)]), signal });
      if (!response.ok) return say(await response.text());
      /** @type {Drawn} */
      const { pages, tempo, meter } = await response.json();
      sheets.replaceChildren(...pages.map((svg, n) => sheet(svg, t("Page {page} of {pages}", { page: String(n + 1), pages: String(pages.length) }))));
      const found = t("{meter}, {tempo} beats a minute.", { meter, tempo: String(Math.round(tempo)) });
      say(end > LONGEST_S ? `${found} ${t("These are the latest five minutes.")}` : found);
    } catch (error) {
      if (!signal.aborted) say(t("The server cannot be reached."));
    } finally {
      if (!signal.aborted) again.disabled = false;
    }
  };
  const say = (/** @type {string} */ text) => {
    told.textContent = text;
  };

  again.onclick = () => void write();
  for (const [view, tab] of tabs) tab.onclick = () => store.change({ view });
  $("views").onkeydown = (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const [view, tab] = tabs[store.state.view === "roll" ? 1 : 0];
    store.change({ view });
    tab.focus();
  };
  store.watch(["view", "replaying"], ({ view }) => {
    for (const [name, tab] of tabs) {
      tab.setAttribute("aria-selected", String(name === view));
      tab.tabIndex = name === view ? 0 : -1;
    }
    $("notation").hidden = view !== "notation";
    document.body.classList.toggle("notated", view === "notation");
    if (view === "notation") void write();
    else asked.abort();
  });
}

/**
 * A page as a picture, in which nothing can run.
 * @param {string} svg
 * @param {string} name
 */
function sheet(svg, name) {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  image.alt = name;
  return image;
}
