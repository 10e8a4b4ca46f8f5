import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import { GERMAN, speak, t } from "../../src/espressivo/server/web/words.js";

const SERVER = new URL("../../src/espressivo/server/", import.meta.url);
const read = (name) => readFileSync(new URL(name, SERVER), "utf8");
const scripts = ["web/", "web/score/"].flatMap((folder) => readdirSync(new URL(folder, SERVER)).filter((name) => name.endsWith(".js") && name !== "words.js").map((name) => read(folder + name)));
const bodies = ["web/index.html", "web/score/index.html"].map((name) => read(name).replace(/<!--[^]*?-->/g, "")).map((text) => text.slice(text.indexOf("<body>")));
const page = bodies.join("\n");
const controls = read("controls.py");

test("everything that the pages' files and their modules say is there in German", () => {
  const texts = [...page.matchAll(/>([^<]+)</g)].map(([, text]) => text.trim().replace(/\s+/g, " "));
  const attributes = [...page.matchAll(/(?:title|aria-label|data-drop)="([^"]+)"/g)].map(([, text]) => text);
  const spoken = scripts.flatMap((script) => [...script.matchAll(/\bt\("([^"]+)"/g)].map(([, text]) => text));
  const untranslated = /^(|espressivo|MIDI|MIDI ↓|WAV ↓|✕|‹|›|\?|[\d:]+|English|Deutsch|R|M|N|Escape|Z, X|A W S E D F …)$/;
  const missing = [...texts, ...attributes, ...spoken].filter((text) => !(text in GERMAN) && !untranslated.test(text));
  assert.deepEqual(missing, []);
});

test("every control is named and explained in German", () => {
  const labels = [...controls.matchAll(/Control\("\w+", "([^"]+)"/g)].map(([, label]) => label);
  const hints = [...controls.matchAll(/^_[A-Z_, ]+ = (.+)$/gm)].flatMap(([, line]) => [...line.matchAll(/"([^"]+)"/g)].map(([, hint]) => hint));
  assert.ok(labels.length >= 12 && hints.length >= 11);
  assert.deepEqual([...labels, ...hints].filter((text) => !(text in GERMAN)), []);
});

test("nothing is translated that is not said, and parts stay", () => {
  const all = [...scripts, page, controls].join("\n").replace(/\s+/g, " ");
  const parts = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).toSorted();
  for (const [english, german] of Object.entries(GERMAN)) {
    assert.ok(all.includes(english), english);
    assert.deepEqual(parts(german), parts(english), english);
  }
});

test("the page speaks German to whoever does, and else English", () => {
  assert.equal(speak("de-AT"), "de");
  assert.equal(t("Go on from {time}", { time: "0:05" }), "Weiter ab 0:05");
  assert.equal(speak("fr"), "en");
  assert.equal(t("Go on from {time}", { time: "0:05" }), "Go on from 0:05");
});
