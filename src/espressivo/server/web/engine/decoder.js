// Decoder: follows a list of ids, one by one, and says what is heard and what may follow. Each kind
// of vocabulary has one, as in `espressivo.codes`, whose docstrings say what each method means.

import { EventDecoder } from "./event_decoder.js";
import { NoteDecoder } from "./note_decoder.js";

/** @typedef {EventDecoder | NoteDecoder} Decoder */

/**
 * The decoder of a vocabulary, before any id.
 * @param {import("./layout.js").Layout} layout
 * @param {import("./limits.js").Limits} limits
 * @returns {Decoder}
 */
export const decoderOf = (layout, limits) => new (layout.notewise ? NoteDecoder : EventDecoder)(layout, limits);
