// Hearing: a recording that was opened or dropped. The server transcribes it and says how far it is;
// what it has heard is gone on from as a MIDI file is.

import { clock } from "./music.js";
import { $, say } from "./page.js";
import { t } from "./words.js";

/** @typedef {import("./music.js").Event} Event */
/** @typedef {{ waiting?: boolean, done?: number, of?: number, events?: Event[], error?: string }} Line */

/** How names of recordings end. */
export const SOUNDS = [
  ".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac", ".aif", ".aiff", ".caf", ".mka", ".mkv", ".mov", ".mp4", ".oga", ".webm", ".wma",
];
/** The server takes no more. */
export const SOUND_BYTES = 128 << 20;

export const isSound = (/** @type {string} */ name) => SOUNDS.some((end) => name.toLowerCase().endsWith(end));

/**
 * A function that hears a file; what it heard before, and has not ended, is given up.
 * @param {import("./player.js").Player} player
 */
export function hearing(player) {
  const place = $("hearing"), heard = $("heard"), far = $("far", HTMLProgressElement);
  let asked = new AbortController();
  const show = (/** @type {string} */ text, /** @type {number | null} */ part = null) => {
    heard.textContent = text;
    if (part === null) far.removeAttribute("value"); // it is not known how far
    else far.value = part;
  };
  $("unhear").onclick = () => {
    asked.abort();
    place.hidden = true;
  };

  return async (/** @type {File} */ file) => {
    asked.abort();
    const { signal } = (asked = new AbortController()), { name } = file;
    place.hidden = false;
    show(t("{name} is being sent…", { name }));
    /** @type {Line} */
    let last = {};
    try {
      const response = await fetch(`transcribe?${new URLSearchParams({ name })}`, { method: "POST", body: file, signal });
      if (!response.ok || !response.body) return say(await response.text());
      for await (const line of lines(response.body)) {
        last = line;
        if (line.waiting) show(t("{name} waits for others…", { name }));
        else if (line.of) show(t("{name} is being heard: {done} of {all}", { name, done: clock(line.done ?? 0), all: clock(line.of) }), (line.done ?? 0) / line.of);
        else show(t("{name} is being heard…", { name }));
      }
      if (signal.aborted) return;
      if (last.events) player.open(last.events);
      else say(last.error ?? t("{name} cannot be heard: the server ended it.", { name }));
    } catch {
      if (!signal.aborted) say(t("The server cannot be reached."));
    } finally {
      if (asked.signal === signal) place.hidden = true;
    }
  };
}

/**
 * The lines of JSON that come, each when it is whole.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<Line>}
 */
export async function* lines(body) {
  const reader = body.getReader(), decoder = new TextDecoder();
  for (let text = "", done = false; !done;) {
    const read = await reader.read();
    done = read.done;
    const whole = (text + decoder.decode(read.value, { stream: !done })).split("\n");
    text = whole.pop() ?? "";
    for (const line of whole) yield JSON.parse(line);
  }
}
