// Knobs: what steers the model, made from what the back end says the model has.

import { t } from "./words.js";

/** @typedef {import("./settings.js").Control} Control */
/** @typedef {import("./settings.js").NumberControl} NumberControl */
/** @typedef {import("./settings.js").WordControl} WordControl */
/** @typedef {import("./settings.js").Settings} Settings */
/** @typedef {import("./settings.js").Value} Value */
/** @typedef {{ element: HTMLElement, show: (value: Value) => void }} Made an element, and how it shows a value */

const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const BLACK = [1, 3, 6, 8, 10];
/** @type {Record<string, number[]>} */
const SCALES = {
  all: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  major: [0, 2, 4, 5, 7, 9, 11],
  minor: [0, 2, 3, 5, 7, 8, 10],
  dorian: [0, 2, 3, 5, 7, 9, 10],
  pentatonic: [0, 2, 4, 7, 9],
  blues: [0, 3, 5, 6, 7, 10],
  "whole tone": [0, 2, 4, 6, 8, 10],
};
const SWEEP = 270, TRAVEL_PX = 160;

const noteName = (/** @type {number} */ pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

/**
 * Fill an element with controls.
 * @param {HTMLElement} place
 * @param {Control[]} controls
 * @param {Settings} values
 * @param {(name: string, value: Value) => void} changed is told what a person sets
 * @returns {(values: Settings) => void} shows other values
 */
export function build(place, controls, values, changed) {
  const made = controls.map((control) => {
    const tell = (/** @type {Value} */ value) => changed(control.name, value);
    const one = control.choices ? choice(control, tell) : control.count === 1 ? knob(control, tell) : pitchKeys(control, tell);
    one.element.dataset.name = control.name;
    if (control.hint) one.element.title = t(control.hint);
    return { control, ...one };
  });
  place.replaceChildren(...made.map(({ element }) => element));
  const show = (/** @type {Settings} */ values) => {
    for (const { control, show } of made) show(values[control.name] ?? (control.choices ? null : control.default));
  };
  show(values);
  return show;
}

// A range input with a dial drawn over it: the input has the keys and speaks to screen readers, the
// dial is dragged up and down. A control without a default has a position below all others, "free".
/** @param {NumberControl} control @param {(value: Value) => void} changed @returns {Made} */
function knob(control, changed) {
  const { lowest, highest, step, label, unit } = control;
  const free = control.default === null;
  const element = document.createElement("label");
  element.className = "knob";
  element.innerHTML = `<span class="name">${t(label)}</span>
    <svg viewBox="0 0 64 64" aria-hidden="true"><path class="track"/><path class="arc"/>
    <circle class="cap" cx="32" cy="32" r="19"/><line class="hand" x1="32" y1="17" x2="32" y2="25"/></svg>
    <input type="range" min="${free ? lowest - step : lowest}" max="${highest}" step="${step}">
    <span class="value" aria-hidden="true"></span>`;
  const input = find(element, "input", HTMLInputElement), output = find(element, ".value", HTMLElement);
  const dial = find(element, "svg", SVGElement);
  const [min, max] = [Number(input.min), Number(input.max)];
  const digits = Number.isInteger(step) ? 0 : String(step).split(".")[1].length;
  const draw = () => {
    const number = Number(input.value);
    const none = free && number < lowest;
    const text = none ? t("free") : unit === "note" ? noteName(number) : number.toFixed(digits);
    output.textContent = none || unit === "note" || !unit ? text : `${text} ${t(unit)}`;
    input.setAttribute("aria-valuetext", output.textContent);
    element.classList.toggle("free", none);
    const part = (number - min) / (max - min);
    find(element, ".track", SVGElement).setAttribute("d", arc(0, 1));
    find(element, ".arc", SVGElement).setAttribute("d", arc(0, part));
    find(element, ".hand", SVGElement).setAttribute("transform", `rotate(${part * SWEEP - SWEEP / 2} 32 32)`);
    return none ? null : number;
  };
  input.addEventListener("input", () => changed(draw()));
  const set = (/** @type {number} */ number) => {
    const before = input.value;
    input.value = String(number);
    if (input.value !== before) input.dispatchEvent(new Event("input"));
  };
  dial.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    input.focus({ preventScroll: true });
    dial.setPointerCapture(event.pointerId);
    const from = Number(input.value), y = event.clientY, x = event.clientX;
    dial.onpointermove = (move) => set(from + ((y - move.clientY + move.clientX - x) / TRAVEL_PX) * (max - min));
    dial.onpointerup = dial.onpointercancel = () => (dial.onpointermove = null);
  });
  dial.addEventListener("dblclick", () => set(control.default ?? min));
  element.addEventListener("wheel", (event) => {
    if (document.activeElement !== input) return; // the page is scrolled, not the knob turned
    event.preventDefault();
    set(Number(input.value) - Math.sign(event.deltaY) * step);
  }, { passive: false });
  const show = (/** @type {Value} */ value) => {
    if (typeof value !== "number") value = min;
    if (Number(input.value) !== value) input.value = String(value);
    draw();
  };
  return { element, show };
}

function arc(/** @type {number} */ from, /** @type {number} */ to) {
  const point = (/** @type {number} */ part) => {
    const angle = ((part * SWEEP - SWEEP / 2 - 90) * Math.PI) / 180;
    return `${(32 + 26 * Math.cos(angle)).toFixed(2)} ${(32 + 26 * Math.sin(angle)).toFixed(2)}`;
  };
  return `M ${point(from)} A 26 26 0 ${(to - from) * SWEEP > 180 ? 1 : 0} 1 ${point(to)}`;
}

// A list of words to choose from, or none of them.
/** @param {WordControl} control @param {(value: Value) => void} changed @returns {Made} */
function choice(control, changed) {
  const element = document.createElement("label");
  element.className = "words";
  element.innerHTML = `<span class="name">${t(control.label)}</span><select><option value="">${t("anyone")}</option>${
    control.choices.map((word) => `<option>${word}</option>`).join("")}</select>`;
  const select = find(element, "select", HTMLSelectElement);
  select.addEventListener("change", () => changed(select.value || null));
  return { element, show: (value) => void (select.value = typeof value === "string" ? value : "") };
}

// One octave of keys, each with a weight that a click lowers or raises, and scales to choose from.
/** @param {NumberControl} control @param {(value: Value) => void} changed @returns {Made} */
function pitchKeys(control, changed) {
  const all = Array(control.count).fill(control.default);
  /** @type {number[]} */
  let weights = all;
  const element = document.createElement("fieldset");
  element.className = "pitches";
  const keys = NAMES.map((name, number) => `<button type="button" class="${BLACK.includes(number) ? "black" : "white"}"
    data-number="${number}"><i></i><span>${name}</span></button>`).join("");
  const roots = NAMES.map((name, number) => `<option value="${number}">${name}</option>`).join("");
  const scales = Object.keys(SCALES).map((name) => `<option value="${name}">${t(name)}</option>`).join("");
  element.innerHTML = `<legend class="name">${t(control.label)}</legend><div class="octave">${keys}</div>
    <div class="scale"><select class="root" aria-label="${t("Root")}">${roots}</select><select class="mode" aria-label="${t("Scale")}">
    <option value="">${t("scale")}</option>${scales}</select></div>`;
  const root = find(element, ".root", HTMLSelectElement), scale = find(element, ".mode", HTMLSelectElement);
  const show = (/** @type {Value} */ value) => {
    weights = Array.isArray(value) ? [...value] : all;
    for (const key of element.querySelectorAll("button")) {
      const weight = weights[Number(key.dataset.number)];
      key.style.setProperty("--weight", String(weight));
      key.setAttribute("aria-pressed", String(weight > 0));
      key.setAttribute("aria-label", `${NAMES[Number(key.dataset.number)]}: ${Math.round(100 * weight)} %`);
    }
  };
  const set = (/** @type {number[]} */ next) => {
    show(next.some((weight) => weight > 0) ? next : all);
    changed([...weights]);
  };
  element.addEventListener("click", (event) => {
    const key = /** @type {Element} */ (event.target).closest("button");
    if (!key) return;
    const number = Number(key.dataset.number);
    scale.value = "";
    set(weights.map((weight, n) => (n !== number ? weight : weight > 0.5 ? 0.5 : weight > 0 ? 0 : 1)));
  });
  const choose = () => {
    if (scale.value) set(all.map((_, n) => Number(SCALES[scale.value].includes((n - Number(root.value) + 12) % 12))));
  };
  root.addEventListener("change", choose);
  scale.addEventListener("change", choose);
  return { element, show };
}

/**
 * @template {Element} E
 * @param {Element} place
 * @param {string} selector
 * @param {new () => E} kind
 * @returns {E}
 */
function find(place, selector, kind) {
  const found = place.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`there is no ${selector}`);
  return found;
}
