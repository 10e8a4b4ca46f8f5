// Settings: what steers the model, and the controls for them as the back end lists them.

import { t } from "./words.js";

/**
 * One setting that can be steered, as `espressivo.server.controls` describes it.
 * @typedef {object} NumberControl
 * @property {string} name
 * @property {string} label
 * @property {string} hint
 * @property {number} lowest
 * @property {number} highest
 * @property {number} step
 * @property {number | null} default null leaves it to the model
 * @property {string} unit
 * @property {number} count 1, or 12 for a number for each pitch class
 * @property {undefined} [choices]
 */
/** @typedef {{ name: string, label: string, hint: string, choices: string[] }} WordControl */
/** @typedef {NumberControl | WordControl} Control */
/** @typedef {number | number[] | string | null} Value */
/** @typedef {Record<string, Value>} Settings */

const SPAN = 11; // semitones from the lowest to the highest pitch at least: every pitch class is within

/**
 * Settings as a model takes them, and what had to be changed, in words.
 * @param {Control[]} controls
 * @param {Settings} settings
 * @returns {{ settings: Settings, said: string[] }}
 */
export function fitted(controls, settings) {
  /** @type {Settings} */
  let fits = {};
  const said = [];
  for (const [name, value] of Object.entries(settings)) {
    const control = controls.find((control) => control.name === name);
    if (!control) continue; // of another model
    const used = fit(control, value);
    if (used === undefined) said.push(t("{name} cannot be {value}", { name: t(control.label), value: String(value) }));
    else fits[name] = used;
    if (used !== undefined && String(used) !== String(value)) {
      said.push(t("{name} {value} is out of range: it is {used}", { name: t(control.label), value: String(value), used: String(used) }));
    }
  }
  if (typeof fits.lowest_pitch === "number") fits = { ...fits, ...linked(fits, { lowest_pitch: fits.lowest_pitch }) };
  return { settings: fits, said };
}

/**
 * A change, with what has to change with it: the lowest pitch stays an octave below the highest.
 * @param {Settings} settings
 * @param {Settings} part
 * @returns {Settings}
 */
export function linked(settings, part) {
  const { lowest_pitch: low, highest_pitch: high } = { ...settings, ...part };
  if (typeof low !== "number" || typeof high !== "number" || high - low >= SPAN) return part;
  return "lowest_pitch" in part ? { ...part, highest_pitch: low + SPAN } : { ...part, lowest_pitch: high - SPAN };
}

/** @param {Control} control @param {Value} value @returns {Value | undefined} */
function fit(control, value) {
  if (control.choices) return typeof value === "string" && control.choices.includes(value) ? value : undefined;
  if (control.count === 1) return typeof value === "number" ? within(control, value) : undefined;
  if (!Array.isArray(value) || value.length !== control.count) return undefined;
  const parts = value.map((part) => within(control, part));
  return parts.some((part) => part > 0) ? parts : undefined;
}

/** @param {NumberControl} control @param {number} value */
function within({ lowest, highest, step }, value) {
  const whole = Number.isInteger(step) ? Math.round(value) : value;
  return Math.max(lowest, Math.min(highest, whole));
}
