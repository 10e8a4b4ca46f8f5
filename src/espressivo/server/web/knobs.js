// Knobs: what steers the model, made from what the server says the model has.

const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const BLACK = [1, 3, 6, 8, 10];
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

export const noteName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

// Fill an element with the controls; `changed(name, value)` is told. Values are by name.
export function build(place, controls, values, changed) {
  place.replaceChildren(...controls.map((control) => {
    const value = control.name in values ? values[control.name] : control.default;
    const make = control.choices ? choice : control.count === 1 ? knob : pitchKeys;
    return make(control, value, (value) => changed(control.name, value));
  }));
}

// A range input with a dial drawn over it: the input has the keys and speaks to screen readers, the
// dial is dragged up and down. A control without a default has a position below all others, "free".
function knob(control, value, changed) {
  const { lowest, highest, step, label, unit } = control;
  const free = control.default === null;
  const element = document.createElement("label");
  element.className = "knob";
  element.dataset.name = control.name;
  element.innerHTML = `<span class="name">${label}</span>
    <svg viewBox="0 0 64 64" aria-hidden="true"><path class="track"/><path class="arc"/>
    <circle class="cap" cx="32" cy="32" r="19"/><line class="hand" x1="32" y1="17" x2="32" y2="25"/></svg>
    <input type="range" min="${free ? lowest - step : lowest}" max="${highest}" step="${step}">
    <output></output>`;
  const input = element.querySelector("input"), output = element.querySelector("output");
  const digits = Number.isInteger(step) ? 0 : String(step).split(".")[1].length;
  const shown = () => {
    const number = Number(input.value);
    const none = free && number < lowest;
    const text = none ? "free" : unit === "note" ? noteName(number) : number.toFixed(digits);
    output.textContent = none || unit === "note" || !unit ? text : `${text} ${unit}`;
    input.setAttribute("aria-valuetext", output.textContent);
    element.classList.toggle("free", none);
    const part = (number - input.min) / (input.max - input.min);
    element.querySelector(".track").setAttribute("d", arc(0, 1));
    element.querySelector(".arc").setAttribute("d", arc(0, part));
    element.querySelector(".hand").setAttribute("transform", `rotate(${part * SWEEP - SWEEP / 2} 32 32)`);
    return none ? null : number;
  };
  input.value = value ?? input.min;
  input.addEventListener("input", () => changed(shown()));
  const set = (number) => {
    const before = input.value;
    input.value = number;
    if (input.value !== before) input.dispatchEvent(new Event("input"));
  };
  const dial = element.querySelector("svg");
  dial.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    input.focus({ preventScroll: true });
    dial.setPointerCapture(event.pointerId);
    const from = Number(input.value), y = event.clientY, x = event.clientX;
    const span = input.max - input.min;
    dial.onpointermove = (move) => set(from + ((y - move.clientY + move.clientX - x) / TRAVEL_PX) * span);
    dial.onpointerup = dial.onpointercancel = () => (dial.onpointermove = null);
  });
  dial.addEventListener("dblclick", () => set(control.default ?? input.min));
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    set(Number(input.value) - Math.sign(event.deltaY) * step);
  }, { passive: false });
  shown();
  return element;
}

function arc(from, to) {
  const point = (part) => {
    const angle = ((part * SWEEP - SWEEP / 2 - 90) * Math.PI) / 180;
    return `${(32 + 26 * Math.cos(angle)).toFixed(2)} ${(32 + 26 * Math.sin(angle)).toFixed(2)}`;
  };
  return `M ${point(from)} A 26 26 0 ${(to - from) * SWEEP > 180 ? 1 : 0} 1 ${point(to)}`;
}

// A list of words to choose from, or none of them.
function choice(control, value, changed) {
  const element = document.createElement("label");
  element.className = "words";
  element.dataset.name = control.name;
  element.innerHTML = `<span class="name">${control.label}</span><select><option value="">anyone</option>${
    control.choices.map((word) => `<option>${word}</option>`).join("")}</select>`;
  const select = element.querySelector("select");
  select.value = control.choices.includes(value) ? value : "";
  select.addEventListener("change", () => changed(select.value || null));
  return element;
}

// One octave of keys, each with a weight that a click lowers or raises, and scales to choose from.
function pitchKeys(control, value, changed) {
  const weights = Array.isArray(value) ? [...value] : Array(control.count).fill(control.default);
  const element = document.createElement("fieldset");
  element.className = "pitches";
  element.dataset.name = control.name;
  const keys = NAMES.map((name, number) => `<button type="button" class="${BLACK.includes(number) ? "black" : "white"}"
    data-number="${number}"><i></i><span>${name}</span></button>`).join("");
  const roots = NAMES.map((name, number) => `<option value="${number}">${name}</option>`).join("");
  const scales = Object.keys(SCALES).map((name) => `<option>${name}</option>`).join("");
  element.innerHTML = `<legend class="name">${control.label}</legend><div class="octave">${keys}</div>
    <div class="scale"><select aria-label="Root">${roots}</select><select aria-label="Scale"><option value="">scale</option>${scales}</select></div>`;
  const show = () => {
    for (const key of element.querySelectorAll("button")) {
      const weight = weights[key.dataset.number];
      key.style.setProperty("--weight", weight);
      key.setAttribute("aria-pressed", weight > 0);
      key.setAttribute("aria-label", `${NAMES[key.dataset.number]}: ${Math.round(100 * weight)} %`);
    }
  };
  const tell = () => {
    if (!weights.some((weight) => weight > 0)) weights.fill(control.default);
    show();
    changed([...weights]);
  };
  element.addEventListener("click", (event) => {
    const key = event.target.closest("button");
    if (!key) return;
    const number = key.dataset.number;
    weights[number] = weights[number] > 0.5 ? 0.5 : weights[number] > 0 ? 0 : 1;
    scale.value = "";
    tell();
  });
  const [root, scale] = element.querySelectorAll("select");
  const choose = () => {
    if (!scale.value) return;
    weights.fill(0);
    for (const degree of SCALES[scale.value]) weights[(degree + Number(root.value)) % 12] = 1;
    tell();
  };
  root.addEventListener("change", choose);
  scale.addEventListener("change", choose);
  show();
  return element;
}
