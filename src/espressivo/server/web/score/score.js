// Score: a page on which a score is performed, while its dials are turned. The server renders; what
// sounds goes on from the same place in the score when a new rendering comes.

import { Bank } from "../bank.js";
import { $, dropped, remembered } from "../page.js";
import { Piano } from "../piano.js";
import { speak, t, translate } from "../words.js";
import { Playing } from "./playing.js";
import { picture } from "./picture.js";

/** @typedef {import("./playing.js").Rendered} Rendered */
/** @typedef {import("./playing.js").Take} Take */
/** @typedef {Record<string, number | boolean>} Dials */

speak(remembered().language ?? navigator.language); // as the other page does
translate(document.body);

const RANGES = /** @type {const} */ ([
  ["timing", t("Timing"), 2], ["dynamics", t("Dynamics"), 2], ["articulation", t("Articulation"), 2], ["pedal", t("Pedal"), 2], ["freedom", t("Freedom"), 1],
]);
const KEPT = /** @type {const} */ ([["keep_tempo", t("Keep tempo")], ["keep_dynamics", t("Keep dynamics")], ["keep_pedal", t("Keep pedal")]]);
const BELONGS = /** @type {Record<string, string>} */ ({ keep_dynamics: "dynamics", keep_pedal: "pedal" });
const QUIET_MS = 120, LARGEST = 4 << 20, LEAST_FOUND = 0.5;

const context = new AudioContext({ latencyHint: "interactive" });
const piano = new Piano(context);
const playing = new Playing(() => context.currentTime, (message, at) => piano.send(message, at), () => piano.clear());
const draw = picture($("picture", HTMLCanvasElement));
/** @type {Dials} */
const dials = { timing: 1, dynamics: 1, articulation: 1, pedal: 1, freedom: 0.5, keep_tempo: false, keep_dynamics: false, keep_pedal: false, seed: 0 };
/** @type {{ name: string, data: ArrayBuffer } | null} */
let score = null;
let asked = 0; // requests so far: only the answer to the latest counts
/** @type {ReturnType<typeof setTimeout> | undefined} */
let turning;

for (const [name, label, most] of RANGES) {
  const input = Object.assign(document.createElement("input"), { type: "range", min: "0", max: String(most), step: "0.05", value: String(dials[name]), id: name });
  const value = Object.assign(document.createElement("output"), { textContent: String(dials[name]) });
  const place = document.createElement("label");
  place.append(label, value, input);
  const turn = () => {
    dials[name] = Number(input.value);
    value.textContent = input.value;
    turned();
  };
  input.oninput = turn;
  input.ondblclick = () => {
    input.value = name === "freedom" ? "0.5" : "1";
    turn();
  };
  $("dials", HTMLElement).append(place);
}
for (const [name, label] of KEPT) {
  const input = Object.assign(document.createElement("input"), { type: "checkbox", id: name });
  const place = Object.assign(document.createElement("label"), { className: "kept" });
  place.append(input, label);
  input.onchange = () => {
    dials[name] = input.checked;
    const dial = BELONGS[name];
    if (dial) $(dial, HTMLInputElement).disabled = input.checked;
    turned();
  };
  $("dials", HTMLElement).append(place);
}
const again = Object.assign(document.createElement("button"), { textContent: t("Another take"), title: t("Draw anew what is free"), id: "another" });
again.onclick = () => {
  dials.seed = Number(dials.seed) + 1;
  turned();
};
$("dials", HTMLElement).append(again);

function turned() {
  clearTimeout(turning);
  turning = setTimeout(() => void perform(), QUIET_MS);
}

/** @param {"music" | "midi" | "tempo_map"} form */
async function request(form) {
  if (!score) throw new Error("there is no score");
  const sent = { ...dials };
  for (const [kept, dial] of Object.entries(BELONGS)) if (sent[kept]) sent[dial] = 1; // what is kept is not turned
  const query = new URLSearchParams({ name: score.name, form, dials: JSON.stringify(sent) });
  const response = await fetch(`perform?${query}`, { method: "POST", body: score.data });
  if (!response.ok) throw new Error(await response.text());
  return response;
}

async function perform() {
  const mine = ++asked;
  try {
    const rendered = /** @type {Rendered} */ (await (await request("music")).json());
    if (mine !== asked) return;
    playing.take(rendered);
    draw.take(rendered);
    say(null);
    $("hint", HTMLElement).hidden = true;
    $("credit", HTMLElement).textContent = rendered.model && `${rendered.model}, ${rendered.licence}`;
    $("picture", HTMLElement).setAttribute("aria-valuemax", String(Math.round(playing.quarters)));
    for (const id of ["play", "take", "free", "grid"]) $(id, HTMLButtonElement).disabled = false;
  } catch (error) {
    if (mine === asked) say(error instanceof Error ? error.message : String(error));
  }
}

/** @param {File} file */
async function open(file) {
  if (file.size > LARGEST) return say(t("This file is too large: at most 4 MB are taken."));
  stop();
  score = { name: file.name, data: await file.arrayBuffer() };
  $("name", HTMLElement).textContent = file.name;
  playing.forget();
  draw.person(null);
  await perform();
}

/** @param {File} file a performance of the score */
async function add(file) {
  if (!score) return;
  const take = await file.arrayBuffer(), { name, data } = score;
  const query = new URLSearchParams({ name, form: "take", length: String(data.byteLength) });
  const response = await fetch(`perform?${query}`, { method: "POST", body: new Blob([data, take]) });
  if (!response.ok) return say(await response.text());
  const found = /** @type {Take} */ (await response.json());
  if (found.found < LEAST_FOUND) return say(t("Only {part} % of the notes are found in {name}: it is of another score.", { part: String(Math.round(100 * found.found)), name: file.name }));
  draw.person(found);
}

/** @param {string | null} text */
function say(text) {
  const place = $("message", HTMLElement);
  place.textContent = text ?? "";
  place.hidden = !text;
}

function stop() {
  playing.stop();
  $("play", HTMLElement).textContent = t("Play");
  $("play", HTMLElement).setAttribute("aria-pressed", "false");
}

$("play", HTMLButtonElement).onclick = () => {
  if (playing.running) return stop();
  void context.resume().then(() => {
    playing.start();
    $("play", HTMLElement).textContent = t("Stop");
    $("play", HTMLElement).setAttribute("aria-pressed", "true");
  });
};
for (const [id, form] of /** @type {const} */ ([["free", "midi"], ["grid", "tempo_map"]])) {
  $(id, HTMLButtonElement).onclick = async () => {
    try {
      const url = URL.createObjectURL(await (await request(form)).blob());
      const name = (score?.name ?? "score").replace(/\.\w+$/, "");
      Object.assign(document.createElement("a"), { href: url, download: `${name}-performed.mid` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  };
}
for (const [button, id, use] of /** @type {const} */ ([["open", "file", open], ["take", "taken", add]])) {
  const chosen = $(id, HTMLInputElement);
  $(button, HTMLButtonElement).onclick = () => chosen.click();
  chosen.onchange = () => {
    const [file] = chosen.files ?? [];
    if (file) void use(file);
    chosen.value = "";
  };
}
dropped(open);
$("picture", HTMLElement).onclick = (event) => seek(draw.quarter(event.offsetX));
$("picture", HTMLElement).onkeydown = ({ key }) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -16, PageUp: 16 }[key];
  if (step) seek(playing.quarter() + step);
};

/** @param {number} quarter */
function seek(quarter) {
  if (playing.rendered) playing.seek(Math.min(Math.max(quarter, 0), playing.quarters));
}

function frame() {
  requestAnimationFrame(frame);
  if (!playing.rendered) return;
  playing.feed();
  if (playing.running && playing.over()) stop();
  const quarter = playing.quarter(), cursor = $("cursor", HTMLElement), seconds = Math.floor(playing.second());
  cursor.hidden = false;
  cursor.style.left = `${draw.x(quarter)}px`;
  $("picture", HTMLElement).setAttribute("aria-valuenow", String(Math.round(quarter)));
  $("time", HTMLElement).textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

setInterval(() => playing.feed(), 100); // where frames stop, as in a page that is not seen
frame();
fetch("../soundfont").then(async (response) => {
  if (!response.ok) throw new Error("the server has no soundfont");
  piano.bank = new Bank(await response.arrayBuffer());
}).catch((error) => say(t("No piano is heard: {error}.", { error: error.message })));

// For tests and for the curious.
Object.assign(window, { espressivo: { playing, piano, dials, open } });
