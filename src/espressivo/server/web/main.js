// The page: its parts, and what connects them. A module that adds something to the page is one more
// function of these parts, called here.

import { read } from "./address.js";
import { Bank } from "./bank.js";
import { dialogs } from "./dialogs.js";
import { files, VERSION } from "./files.js";
import { History } from "./history.js";
import { computerKeyboard, Midi } from "./inputs.js";
import { Link } from "./link.js";
import { Local } from "./local.js";
import { moments } from "./moments.js";
import { notation } from "./notation.js";
import { $, remembered, say } from "./page.js";
import { anySeed, Player } from "./player.js";
import { Recorder } from "./recorder.js";
import { Replay } from "./replay.js";
import { shelf } from "./shelf.js";
import { slots } from "./slots.js";
import { Sound } from "./sound.js";
import { steering } from "./steering.js";
import { Store } from "./store.js";
import { Takes } from "./takes.js";
import { transport } from "./transport.js";
import { t } from "./words.js";

const REMEMBERED = /** @type {const} */ (["volume", "muted", "language"]); // from one visit to the next

const alone = "engine" in document.documentElement.dataset; // without a server
const asked = read(location.hash);
const store = new Store({ language: navigator.language, ...remembered(), settings: asked.settings, seed: asked.seed ?? anySeed() });
const undoing = new History((undo, redo) => store.change({ undo, redo }), () => performance.now());
const sound = new Sound(store, new Midi(([status, one, two]) => {
  if (status === 0x90 && two > 0) player.strike(one, two);
  else if (status === 0xb0) player.pedal(two);
  else player.release(one);
}));
const clock = () => sound.time(), wake = () => sound.wake();
const player = new Player({ store, history: undoing, clock, wake, say });
const takes = new Takes(store, undoing);
const recorder = new Recorder(store, takes, clock);
const replay = new Replay(store, takes, sound, { clock, wake });
player.ears.push(sound, recorder);
const calls = player.calls((models) => {
  if (asked.model !== null && !models.includes(asked.model)) say(t("There is no model {name} here.", { name: asked.model }));
  return asked.model;
});
const backEnd = (player.backEnd = new (alone ? Local : Link)({
  ...calls,
  hello(message) {
    VERSION.text = message.version;
    calls.hello(message);
  },
  filled: (message) => drawNotes.filling.filled(message),
  unfilled: (message) => drawNotes.filling.unfilled(message),
}));
const page = { store, history: undoing, sound, player, takes, recorder, replay, backEnd };

if (alone) for (const id of ["scores", "views", "notation"]) $(id).remove(); // which need the server
else notation(page);
if (alone) document.querySelector("main")?.setAttribute("data-drop", "Drop a model's .onnx file, and it plays");
dialogs(page);
steering(page, say);
const drawTime = transport(page);
const drawNotes = moments(page, say);
shelf(page, files(page));
slots(page);
computerKeyboard((pitch, velocity) => player.strike(pitch, velocity), (pitch) => player.release(pitch));

store.watch(["link", "language", "model"], ({ link, model }) => {
  const words = { connecting: "connecting", connected: "connected", lost: "no server", full: "no server" };
  $("lamp").textContent = t(alone ? (model ? "ready" : "loading") : words[link]);
  $("lamp").classList.toggle("on", link === "connected" && (!alone || model !== null));
});
store.watch(["link", "language"], ({ link }) => {
  if (link === "lost") say(t("The connection is lost. Trying again…"), true);
  if (link === "full") say(t("Too many pages play already: close another one. Trying again…"), true);
  if (link === "connected") say(null);
});
store.watch(["offers"], ({ offers }) => {
  if (!offers.length) return;
  for (const element of document.querySelectorAll("[data-needs]")) {
    element.toggleAttribute("hidden", !offers.includes(/** @type {HTMLElement} */ (element).dataset.needs ?? ""));
  }
});
store.watch([...REMEMBERED], (state) => {
  localStorage.setItem("espressivo", JSON.stringify(Object.fromEntries(REMEMBERED.map((name) => [name, state[name]]))));
});

sound.context.onstatechange = () => { // a device that sleeps, or gives its sound to a call
  if (sound.context.state === "running") return;
  if (player.moving) player.stop();
  if (store.state.running) replay.pause();
};

let drawn = "";

function frame() {
  requestAnimationFrame(frame);
  const { music, time } = scene(), strength = sound.loudness();
  const picture = [time, drawNotes.stamp(), store.state.mark, music.notes.length, strength > 1e-5].join();
  if (picture === drawn) return; // nothing moves
  drawn = picture;
  drawNotes.draw(music, time);
  drawTime(time, strength);
}

// What is shown: the take that is played back, or the music so far.
function scene() {
  return store.state.replaying ? { music: replay.music, time: replay.now() } : { music: player.music, time: player.now() };
}

void takes.open();
frame();
fetch("soundfont").then(async (response) => {
  if (!response.ok) throw new Error("the server has no soundfont");
  const bank = new Bank(await response.arrayBuffer());
  bank.damaged = () => say(t("A sample of the piano cannot be decoded: some notes are not heard."));
  sound.piano.bank = bank;
  document.body.classList.add("ready");
  void sound.piano.warm([...Array(25).keys()].map((n) => 36 + 2 * n), [64]); // what is likely to be heard first
}).catch((error) => say(t("No piano is heard: {reason}. Music goes out by MIDI only.", { reason: error.message })));
if ("serviceWorker" in navigator) void navigator.serviceWorker.register(alone ? "offline.js?whole" : "offline.js");

// For tests and for the curious.
Object.assign(window, { espressivo: {
  player, recorder, replay, takes, piano: sound.piano, now: () => scene().time, loudness: () => sound.loudness(),
  get state() { return store.state; },
  get music() { return scene().music; },
} });
