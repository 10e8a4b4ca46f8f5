// The page: what is pressed, what comes from the server, what is heard and seen.

import { Bank } from "./bank.js";
import { computerKeyboard, Midi } from "./inputs.js";
import { build } from "./knobs.js";
import { Link } from "./link.js";
import { Piano } from "./piano.js";
import { clock, Roll } from "./roll.js";
import { Take } from "./take.js";
import { LONGEST_S, render } from "./wav.js";

const DELAY_S = 0.12; // from the arrival of the first events of a run to their sound
const PRIMER_S = 20; // how much of a take the server is given, for the model to go on from
const LEAD_IN_S = 4; // how much of a file is heard before the model takes over
const PAUSE_MS = 1300; // after which it takes over from a person
const BACK_S = 5;
const FILE_BYTES = 4 << 20; // the server takes no more

const $ = (id) => document.getElementById(id);
const audio = new AudioContext({ latencyHint: "interactive" });
const piano = new Piano(audio);
const meter = new AnalyserNode(audio, { fftSize: 2048 });
piano.output.connect(meter);

const state = {
  mode: "stopped", // or "waiting" for the model, "playing", "person", "leading" into a model's run
  run: 0,
  zero: null, // when time 0 of the piece is heard, by the clock of the audio; null if time stands
  model: null,
  settings: {},
  seed: null, // of a run that begins with nothing
  recording: null, // { from, to }
  held: new Set(), // pitches that a person holds
  underruns: 0, // events that came after their time
};
let take = new Take();

// ---- Time

const now = () => (state.zero === null ? take.end : Math.max(0, audio.currentTime - state.zero));
const moving = () => state.mode !== "stopped";
const byModel = () => moving() && state.mode !== "person";

function runFrom(time, at) {
  state.zero = at - time;
}

// ---- Sound: the piano of the page, and an instrument by MIDI

const midi = new Midi(([status, one, two]) => {
  if (status === 0x90 && two > 0) strike(one, two);
  else if (status === 0xb0) pedal(two);
  else release(one);
}, showInstruments);

function sound(message, at, hand) {
  if (!($("mute").checked && midi.output)) piano.send(message, at, hand);
  midi.send(message, performance.now() + 1000 * (at - audio.currentTime));
}

function silence(quick = false) {
  piano.clear(quick);
  midi.silence();
}

// ---- The model plays

function begin(seed = null) {
  const events = take.events(Math.max(0, take.end - PRIMER_S));
  state.run += 1;
  const { run, settings } = state;
  if (!link.send("begin", { run, time_s: take.end, events, settings, seed })) say("The server cannot be reached.");
}

async function play() {
  await audio.resume();
  if (byModel()) return;
  halt(now());
  enter("waiting");
  begin(take.notes.length ? null : state.seed);
}

// End the run at what is heard now; nothing later has been played.
function halt(time) {
  state.run += 1; // what still comes of the run before is not meant any more
  link.send("stop");
  silence();
  take.cut(time);
  state.zero = null;
  state.held.clear();
  clearTimeout(pause);
  enter("stopped");
}

function back(time) {
  const on = moving();
  halt(Math.max(0, time));
  if (state.recording?.to === null) state.recording.from = Math.min(state.recording.from, take.end);
  if (on) play();
}

function fresh() {
  halt(0);
  take = roll.take = new Take();
  state.recording = null;
  state.seed = Math.floor(Math.random() * 2 ** 32);
  remember();
  mark(null);
}

function enter(mode) {
  state.mode = mode;
  document.body.classList.toggle("playing", moving());
  $("play").setAttribute("aria-label", moving() ? "Stop" : "Play");
  if (moving()) {
    $("hint").classList.add("gone");
    roll.back = 0;
    mark(null);
  }
}

// ---- A person plays

let pause = 0;

function strike(pitch, velocity) {
  audio.resume();
  if (state.mode === "stopped") {
    runFrom(take.end, audio.currentTime);
    enter("person");
  }
  hear([0x90, pitch, velocity]);
  state.held.add(pitch);
  if (state.mode === "playing") link.send("hear", { pitch, velocity });
  clearTimeout(pause);
}

function release(pitch) {
  if (!state.held.delete(pitch)) return;
  hear([0x80, pitch, 0]);
  if (state.mode === "playing") link.send("hear", { pitch, velocity: 0 });
  if (state.mode === "person" && !state.held.size) pause = setTimeout(answer, PAUSE_MS);
}

function pedal(value) {
  if (moving()) hear([0xb0, 64, value >= 64 ? 127 : 0]);
}

function hear(message) {
  sound(message, audio.currentTime, 1);
  take.add([now(), ...message], 1);
}

// The person has paused.
function answer() {
  const last = take.end;
  if ($("answer").getAttribute("aria-pressed") === "true") play();
  else halt(last);
}

// ---- From the server

const link = new Link({
  hello({ models }) {
    $("model").replaceChildren(...models.map((name) => new Option(name.split(/[\\/]/).pop().replace(/\.onnx$/, ""), name)));
    lamp(true);
    const wanted = new URLSearchParams(location.hash.slice(1)).get("model");
    if (models.includes(wanted) && wanted !== models[0]) link.send("choose_model", { name: wanted });
    say(null);
  },
  model({ name, controls }) {
    const another = state.model !== null && state.model !== name;
    state.model = $("model").value = name;
    const fits = ([key, value]) => controls.some((c) => c.name === key && (c.choices?.includes(value) ?? typeof value !== "string"));
    state.settings = Object.fromEntries(Object.entries(state.settings).filter(fits));
    build($("knobs"), controls, state.settings, (key, value) => {
      state.settings[key] = value;
      link.send("steer", { settings: { [key]: value } });
      remember();
    });
    if (another && byModel()) back(now());
    remember();
  },
  begun({ run }) {
    if (run !== state.run) return;
    const soonest = audio.currentTime + DELAY_S;
    if (state.zero === null || state.zero + take.end < soonest) runFrom(take.end, soonest);
    enter("playing");
  },
  events({ run, events }) {
    if (run !== state.run) return;
    for (const event of events) {
      let at = state.zero + event[0];
      if (at < audio.currentTime) { // it came too late: from here on everything is later
        state.underruns += 1;
        state.zero += audio.currentTime + DELAY_S - at;
        at = audio.currentTime + DELAY_S;
      }
      take.add(event);
      sound(event.slice(1), at, 0);
    }
  },
  file({ events }) {
    fresh();
    for (const event of events) take.add(event);
    if (!take.notes.length) {
      say("There are no piano notes in this file.");
      return;
    }
    take.cut(take.end);
    leadIn();
  },
  // `run` is that of a run that has failed and is going to end; null if a message was refused.
  error({ run, message }) {
    if (run !== null && run !== state.run) return;
    say(message);
    if (run === null && (state.mode === "waiting" || state.mode === "leading")) halt(take.end);
  },
  // Nothing more comes of a run. What has come is still heard.
  ended({ run }) {
    if (run !== state.run) return;
    const leftS = state.zero + take.end - audio.currentTime;
    setTimeout(() => state.run === run && halt(now()), 1000 * Math.max(0, leftS));
  },
  bytes(data) {
    download(new Blob([data], { type: "audio/midi" }), "mid");
  },
  lost() {
    if (byModel()) {
      halt(now());
      state.resume = true;
    }
    lamp(false);
  },
});

// Hear the end of a take, and let the model go on at it.
async function leadIn() {
  await audio.resume();
  const from = Math.max(0, take.end - LEAD_IN_S);
  runFrom(from, audio.currentTime + DELAY_S);
  for (const [time, ...message] of take.events(from)) sound(message, state.zero + time, 0);
  enter("leading");
  const { run } = state;
  setTimeout(() => state.run === run && begin(), 1000 * Math.max(0, take.end - from - 0.5));
}

// ---- Files

async function openFile(file) {
  if (file.size > FILE_BYTES) say("This file is too large: at most 4 MB are taken.");
  else if (!link.sendBytes(await file.arrayBuffer())) say("The server cannot be reached.");
}

function recorded() {
  const { from, to } = state.recording ?? { from: 0, to: null };
  return take.events(from, Math.min(to ?? Infinity, now()));
}

function record() {
  const active = state.recording?.to === null;
  if (active) state.recording.to = now();
  else state.recording = { from: now(), to: null };
  $("record").setAttribute("aria-pressed", !active);
}

function saveMidi() {
  const events = recorded();
  if (!events.length) say("Nothing has been played yet.");
  else if (!link.send("save", { events })) say("The server cannot be reached.");
}

async function saveWav() {
  const events = recorded();
  if (!events.length) return say("Nothing has been played yet.");
  if (!piano.bank) return say("There is no piano to render with.");
  const begin = events[0][0];
  const kept = events.filter(([time]) => time < begin + LONGEST_S);
  $("save-wav").disabled = true;
  download(await render(kept, piano.bank, audio.sampleRate), "wav");
  $("save-wav").disabled = false;
  if (kept.length < events.length) say("The first ten minutes were written: longer sound does not fit.");
}

function download(blob, ending) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = `espressivo-${new Date().toISOString().slice(0, 19).replace(/\D/g, "")}.${ending}`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
}

// ---- What is seen

const roll = new Roll($("roll"), take, { strike, release, marked: mark });

function mark(time) {
  roll.mark = time === null || time >= now() ? null : time;
  $("marker").hidden = roll.mark === null;
  if (roll.mark === null) roll.back = 0;
  else $("resume").textContent = `Go on from ${clock(roll.mark)}`;
}

function lamp(on) {
  $("lamp").textContent = on ? "connected" : "no server";
  $("lamp").classList.toggle("on", on);
  if (!on) say("The connection is lost. Trying again…", true);
  else if (state.resume) play();
  if (on) state.resume = false;
}

let saying = 0;

function say(text, stays = false) {
  clearTimeout(saying);
  $("message").hidden = !text;
  $("message").textContent = text ?? "";
  if (text && !stays) saying = setTimeout(() => say(null), 6000);
}

function showInstruments() {
  const names = midi.inputs.map((input) => input.name).join(", ");
  $("inputs").textContent = names ? `Listening to ${names}.` : "No MIDI keyboard is connected.";
  const options = midi.outputs.map(({ id, name }) => new Option(name, id, false, id === midi.output?.id));
  $("output").replaceChildren(new Option("nothing", ""), ...options);
}

const samples = new Float32Array(meter.fftSize);

function loudness() {
  meter.getFloatTimeDomainData(samples);
  return Math.hypot(...samples) / Math.sqrt(samples.length);
}

let drawn = "";

function frame() {
  requestAnimationFrame(frame);
  const time = now(), strength = loudness();
  const picture = [time, roll.stamp, roll.back, roll.mark, take.notes.length, strength > 1e-5].join();
  if (picture === drawn) return; // nothing moves
  drawn = picture;
  roll.draw(time);
  $("time").textContent = clock(time);
  const level = $("level").getContext("2d"), { width, height } = level.canvas;
  level.clearRect(0, 0, width, height);
  const decibels = 20 * Math.log10(strength + 1e-6);
  level.fillStyle = roll.colour("--accent");
  level.fillRect(0, 0, width * Math.max(0, 1 + decibels / 54), height);
}

// ---- The address keeps model, settings and seed

function remember() {
  const chosen = Object.entries(state.settings).filter(([, value]) => value !== null);
  const parts = [["model", state.model], ["seed", state.seed], ...chosen.map(([name, value]) => [name, String(value)])];
  history.replaceState(null, "", `#${new URLSearchParams(parts.filter(([, value]) => value !== null))}`);
}

function recall() {
  for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
    const numbers = text.split(",").map(Number);
    const value = numbers.some(Number.isNaN) ? text : numbers.length > 1 ? numbers : numbers[0];
    if (name === "seed") state.seed = Number.isInteger(value) ? value : null;
    else if (name !== "model") state.settings[name] = value;
  }
  state.seed ??= Math.floor(Math.random() * 2 ** 32);
}

// ---- What is pressed

$("play").onclick = () => (moving() ? halt(now()) : play());
$("panic").onclick = panic;
$("back").onclick = () => back(now() - BACK_S);
$("record").onclick = record;
$("new").onclick = fresh;
$("save-midi").onclick = saveMidi;
$("save-wav").onclick = saveWav;
$("answer").onclick = ({ currentTarget: button }) => button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
$("zoom").onclick = ({ currentTarget: button }) => {
  roll.zoom(!roll.near);
  button.setAttribute("aria-pressed", roll.near);
};
$("resume").onclick = () => {
  const time = roll.mark;
  halt(time);
  play();
};
$("unmark").onclick = () => mark(null);
$("model").onchange = ({ target }) => link.send("choose_model", { name: target.value });
$("open").onclick = () => $("file").click();
$("file").onchange = ({ target }) => {
  if (target.files[0]) openFile(target.files[0]);
  target.value = "";
};
$("help").onclick = () => $("keys").showModal();
$("midi").onclick = async () => {
  showInstruments();
  $("instruments").showModal();
  if (!midi.possible) $("inputs").textContent = "This browser does not speak MIDI: Chrome, Edge and Firefox do.";
  else if (!midi.access) await midi.open().catch(() => ($("inputs").textContent = "The browser was not allowed to use MIDI."));
};
$("output").onchange = ({ target }) => midi.choose(target.value);

function panic() {
  halt(now());
  silence(true);
}

computerKeyboard(strike, release);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const actions = { Escape: panic, Backspace: () => back(now() - BACK_S), KeyR: record };
  if (!event.target.closest("button, select")) actions.Space = $("play").onclick;
  if (!actions[event.code] || event.repeat) return;
  event.preventDefault();
  actions[event.code]();
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.querySelector("main").classList.add("dropping");
});
for (const kind of ["drop", "dragleave"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.querySelector("main").classList.remove("dropping");
    const file = event.dataTransfer?.files[0];
    if (kind === "drop" && file) openFile(file);
  });
}

audio.onstatechange = () => { // a device that sleeps, or gives its sound to a call
  if (audio.state !== "running" && moving()) halt(now());
};

recall();
frame();
fetch("soundfont").then(async (response) => {
  if (!response.ok) throw new Error("the server has no soundfont");
  piano.bank = new Bank(await response.arrayBuffer());
  document.body.classList.add("ready");
  piano.warm([...Array(25).keys()].map((n) => 36 + 2 * n), [64]); // what is likely to be heard first
}).catch((error) => say(`No piano is heard: ${error.message}. Music goes out by MIDI only.`));

// For tests and for the curious.
window.espressivo = { state, piano, now, loudness, get take() { return take; } };
