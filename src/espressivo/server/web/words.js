// Words: what the page says in another language than English. The English text is the key, so what
// is not in the table is said in English.

/** @type {Record<string, string>} */
export const GERMAN = {
  "Model": "Modell",
  "About": "Info",
  "Name, licence and origin of the model": "Name, Lizenz und Herkunft des Modells",
  "Open…": "Öffnen…",
  "Go on from a MIDI file or a recording": "Eine MIDI-Datei oder Tonaufnahme fortsetzen",
  "A recording": "Eine Tonaufnahme",
  "Cancel": "Abbrechen",
  "{name} is being sent…": "{name} wird gesendet …",
  "{name} waits for others…": "{name} wartet auf andere …",
  "{name} is being heard…": "{name} wird angehört …",
  "{name} is being heard: {done} of {all}": "{name} wird angehört: {done} von {all}",
  "{name} cannot be heard: the server ended it.": "{name} ist nicht zu hören: Der Server hat abgebrochen.",
  "Recordings are heard by the server: pip install 'espressivo[transcribe]' there.":
    "Tonaufnahmen hört der Server: dort pip install 'espressivo[transcribe]'.",
  "This recording is too large: at most 128 MB are taken.": "Diese Tonaufnahme ist zu groß: höchstens 128 MB.",
  "Open model…": "Modell öffnen…",
  "Play with a model of your own, an .onnx file": "Mit einem eigenen Modell spielen, einer .onnx-Datei",
  "Takes": "Aufnahmen",
  "What was recorded (N)": "Was aufgenommen wurde (N)",
  "Instruments by MIDI": "MIDI-Instrumente",
  "View": "Ansicht", "Roll": "Rolle", "Notation": "Noten",
  "What was played, as notes on staves": "Was gespielt wurde, als Noten",
  "Write anew": "Neu schreiben",
  "What has been played since is written, too": "Auch was seither gespielt wurde, wird geschrieben",
  "The notes are being written…": "Die Noten werden geschrieben…",
  "Page {page} of {pages}": "Seite {page} von {pages}",
  "{meter}, {tempo} beats a minute.": "{meter}, {tempo} Schläge in der Minute.",
  "These are the latest five minutes.": "Das sind die letzten fünf Minuten.",
  "Keys": "Tasten",
  "Fewer, larger keys": "Weniger, größere Tasten",
  "Language": "Sprache",
  "Help: keys, knobs, language (?)": "Hilfe: Tasten, Regler, Sprache (?)",
  "Help": "Hilfe",
  "Piano roll: notes rise from the keyboard as they are played. Up and down choose a moment to go on from, Enter goes on.":
    "Notenrolle: Töne steigen von der Klaviatur auf, wie sie gespielt werden. Auf und Ab wählen einen Moment, Eingabe spielt von dort weiter.",
  "Press play": "Drück auf Play",
  "and the piano plays for ever.": "und das Klavier spielt endlos.",
  "Or begin yourself, on these keys, on your computer's, on a MIDI keyboard, or by dropping a MIDI file or a recording: when you pause, it goes on.":
    "Oder fang selbst an: auf diesen Tasten, der Computertastatur, einem MIDI-Keyboard oder mit einer MIDI-Datei oder Tonaufnahme, die du hierher ziehst. Machst du eine Pause, spielt es weiter.",
  "Or begin yourself, on these keys, on your computer's or on a MIDI keyboard: when you pause, it goes on. A model of your own plays when you drop its .onnx file here.":
    "Oder fang selbst an: auf diesen Tasten, der Computertastatur oder einem MIDI-Keyboard. Machst du eine Pause, spielt es weiter. Ein eigenes Modell spielt, wenn du seine .onnx-Datei hierher ziehst.",
  "Drop a model's .onnx file, and it plays": "Die .onnx-Datei eines Modells loslassen, und es spielt",
  "Drop it, and the model goes on": "Loslassen, und das Modell spielt weiter",
  "Back to now": "Zurück zum Jetzt",
  "now": "jetzt",
  "A moment or a passage": "Ein Moment oder eine Stelle",
  "Passage from here": "Stelle von hier",
  "Then choose where it ends (Shift and arrows, or Shift and click)": "Danach wählen, wo sie endet (Umschalt und Pfeiltasten oder Umschalt und Klick)",
  "passage {from} to {to}": "Stelle von {from} bis {to}",
  "Keep": "Behalten", "left hand": "linke Hand", "right hand": "rechte Hand", "rhythm": "Rhythmus",
  "Fill": "Füllen",
  "The passage is invented anew (Enter)": "Die Stelle wird neu erfunden (Eingabe)",
  "Vary": "Variieren",
  "A third of its notes are": "Ein Drittel ihrer Töne",
  "{span}: {number} of {count}": "{span}: {number} von {count}",
  "The one before": "Die vorige", "The next one": "Die nächste",
  "Playing…": "Spielt …", "Another": "Noch eine", "Use it": "Nehmen",
  "Passage {number}": "Stelle {number}",
  "A passage anew": "Eine Stelle neu",
  "Shift and arrows": "Umschalt und Pfeiltasten",
  "choose a passage of the notes, which Enter invents anew": "wählen eine Stelle der Rolle, die Eingabe neu erfindet",
  "Between two passages": "Zwischen zwei Stellen",
  "Keep the marked passage, or the last ten seconds, to play like it":
    "Die markierte Stelle oder die letzten zehn Sekunden behalten, um wie sie zu spielen",
  "From A to B": "Von A nach B",
  "Free": "Frei", "Empty both, and play freely": "Beide leeren und frei spielen",
  "Slot {letter}: {name}": "Platz {letter}: {name}", "Slot {letter}: empty": "Platz {letter}: leer",
  "{percent} % of the way from A to B": "{percent} % des Weges von A nach B",
  "A slot takes at most a minute.": "Ein Platz fasst höchstens eine Minute.",
  "Nothing is played there.": "Dort wird nichts gespielt.",
  "Play": "Wiedergabe",
  "Play or stop (Space)": "Wiedergabe oder Stopp (Leertaste)",
  "Stop": "Stopp",
  "Back five seconds": "Fünf Sekunden zurück",
  "Back five seconds, and on differently (Backspace)": "Fünf Sekunden zurück und anders weiter (Rücktaste)",
  "Record": "Aufnehmen",
  "Record (R)": "Aufnehmen (R)",
  "Panic: silence at once": "Panik: sofort Stille",
  "Silence at once (Escape)": "Sofort Stille (Escape)",
  "Volume": "Lautstärke",
  "Mute": "Stumm",
  "Mute the piano of this page (M)": "Das Klavier dieser Seite stummschalten (M)",
  "Undo": "Rückgängig",
  "Undo: {name} (Ctrl+Z)": "Rückgängig: {name} (Strg+Z)",
  "Redo": "Wiederholen",
  "Redo: {name} (Ctrl+Shift+Z)": "Wiederholen: {name} (Strg+Umschalt+Z)",
  "New": "Neu",
  "Forget all, and begin anew": "Alles vergessen und neu beginnen",
  "Answer": "Antworten",
  "When you pause, the model goes on": "Machst du eine Pause, spielt das Modell weiter",
  "Download what was recorded last, or else all, as MIDI": "Die letzte Aufnahme oder sonst alles als MIDI herunterladen",
  "Download what was recorded last, or else all, as sound": "Die letzte Aufnahme oder sonst alles als Klang herunterladen",
  "How it plays": "Spielweise",
  "Playback": "Abspielen",
  "Moment of the take": "Moment der Aufnahme",
  "Loop": "Schleife",
  "Back to the piano": "Zurück zum Klavier",
  "Done": "Fertig",
  "Send to": "Senden an",
  "nothing": "nichts",
  "Listening to {names}.": "Hört auf {names}.",
  "No MIDI keyboard is connected.": "Kein MIDI-Keyboard ist angeschlossen.",
  "This browser does not speak MIDI: Chrome, Edge and Firefox do.": "Dieser Browser spricht kein MIDI: Chrome, Edge und Firefox können es.",
  "The browser was not allowed to use MIDI.": "Der Browser durfte MIDI nicht benutzen.",
  "The recordings are kept by this browser.": "Die Aufnahmen bewahrt dieser Browser auf.",
  "This browser keeps no recordings: save them as files before you leave.": "Dieser Browser bewahrt keine Aufnahmen auf: Speichere sie als Dateien, bevor du gehst.",
  "Nothing has been recorded yet: press R while it plays.": "Noch ist nichts aufgenommen: Drück R, während es spielt.",
  "Keep what was played": "Gespieltes behalten",
  "Name": "Name",
  "Listen": "Anhören",
  "Delete": "Löschen",
  "Delete {name}": "{name} löschen",
  "{name} is deleted.": "{name} ist gelöscht.",
  "{length}, {notes} notes, {when}": "{length}, {notes} Töne, {when}",
  "being recorded": "wird aufgenommen",
  "Take {number}": "Aufnahme {number}",
  "Space": "Leertaste", "Backspace": "Rücktaste", "Arrows": "Pfeiltasten", "Ctrl+Z, Ctrl+Shift+Z": "Strg+Z, Strg+Umschalt+Z",
  "play, stop": "Wiedergabe, Stopp",
  "silence at once": "sofort Stille",
  "back five seconds, and on differently": "fünf Sekunden zurück und anders weiter",
  "record": "aufnehmen",
  "the takes": "die Aufnahmen",
  "mute": "stumm",
  "undo, redo": "rückgängig, wiederholen",
  "the piano, from C": "das Klavier, ab C",
  "an octave down, up": "eine Oktave tiefer, höher",
  "turn the knob that is chosen, or choose a moment in the notes, from which Enter goes on; Tab chooses":
    "drehen den gewählten Regler oder wählen einen Moment in der Rolle, von dem Eingabe weiterspielt; Tab wählt",
  "this page": "diese Seite",
  "Knobs": "Regler",
  "The address of this page holds how it is set.": "Die Adresse dieser Seite enthält die Einstellungen.",
  "Perform a score": "Noten spielen lassen",
  "Licence": "Lizenz", "Learned from": "Gelernt aus",
  "What it plays comes under its licence.": "Was es spielt, steht unter seiner Lizenz.",
  "connecting": "verbindet", "connected": "verbunden", "no server": "kein Server", "loading": "lädt", "ready": "bereit",
  "The connection is lost. Trying again…": "Die Verbindung ist abgebrochen. Neuer Versuch …",
  "Too many pages play already: close another one. Trying again…": "Zu viele Seiten spielen schon: Schließ eine andere. Neuer Versuch …",
  "The server cannot be reached.": "Der Server ist nicht erreichbar.",
  "Nothing has been played yet.": "Noch ist nichts gespielt.",
  "There is no piano to render with.": "Es fehlt das Klavier, um Klang zu erzeugen.",
  "A model of your own plays by espressivo serve --model FILE.": "Ein eigenes Modell spielt mit espressivo serve --model DATEI.",
  "This page opens models (.onnx), and no other files.": "Diese Seite öffnet Modelle (.onnx) und keine anderen Dateien.",
  "There are no piano notes in this file.": "In dieser Datei sind keine Klaviertöne.",
  "This file is too large: at most 4 MB are taken.": "Diese Datei ist zu groß: höchstens 4 MB.",
  "The file cannot be read: {reason}": "Die Datei ist nicht lesbar: {reason}",
  "The first ten minutes were written: longer sound does not fit.": "Geschrieben sind die ersten zehn Minuten: mehr Klang passt nicht.",
  "No piano is heard: {reason}. Music goes out by MIDI only.": "Kein Klavier ist zu hören: {reason}. Musik geht nur über MIDI hinaus.",
  "A sample of the piano cannot be decoded: some notes are not heard.": "Ein Klang des Klaviers ist nicht lesbar: Manche Töne sind nicht zu hören.",
  "There is no model {name} here.": "Ein Modell {name} gibt es hier nicht.",
  "{name} {value} is out of range: it is {used}": "{name} {value} liegt außerhalb: es gilt {used}",
  "{name} cannot be {value}": "{name} kann nicht {value} sein",
  "Go on from {time}": "Weiter ab {time}",
  "Open a file": "Datei öffnen",
  // Controls, as the server names them, and their units.
  "Boldness": "Kühnheit",
  "low plays it safe, high is wild (temperature)": "wenig spielt sicher, viel wild (temperature)",
  "Variety": "Vielfalt",
  "how many of the less likely notes may come (top-p)": "wie viele der weniger wahrscheinlichen Töne kommen dürfen (top-p)",
  "Caution": "Vorsicht",
  "leaves out what is far less likely than the likeliest (min-p)": "lässt weg, was viel unwahrscheinlicher ist als das Wahrscheinlichste (min-p)",
  "Guidance": "Führung",
  "Returns": "Wiederkehr",
  "how much of what it has played comes back, and how literally": "wie viel von Gespieltem wiederkehrt, und wie wörtlich",
  "how closely it follows what you request; other than 1 takes twice the work": "wie genau es deinen Wünschen folgt; anders als 1 kostet doppelte Arbeit",
  "Density": "Dichte", "notes a second": "Töne in der Sekunde",
  "Onset rate": "Anschläge", "moments a second at which notes begin": "Momente in der Sekunde, in denen Töne beginnen",
  "Loudness": "Dynamik", "how hard the keys are struck": "wie fest die Tasten angeschlagen werden",
  "Polyphony": "Stimmen", "notes that sound at once, at most": "Töne, die höchstens zugleich klingen",
  "Lowest": "Tiefster", "Highest": "Höchster",
  "the lowest key that it strikes": "die tiefste Taste, die es anschlägt",
  "the highest key that it strikes": "die höchste Taste, die es anschlägt",
  "Pitches": "Tonvorrat", "notes that it may play, and how gladly": "Töne, die es spielen darf, und wie gern",
  "Manner of": "In der Art von", "in whose manner it plays": "in wessen Art es spielt",
  "notes/s": "Töne/s", "onsets/s": "Anschl./s", "notes": "Töne",
  "free": "frei", "anyone": "niemand Bestimmtes", "Root": "Grundton", "Scale": "Tonleiter", "scale": "Tonleiter",
  "all": "alle", "major": "Dur", "minor": "Moll", "dorian": "dorisch", "pentatonic": "pentatonisch", "blues": "Blues",
  "whole tone": "Ganzton",
  // The page of scores.
  "Open score…": "Noten öffnen…",
  "Add a take…": "Aufnahme dazu…",
  "Draw somebody's performance of this score too, a MIDI file": "Auch zeichnen, wie jemand diese Noten spielt, eine MIDI-Datei",
  "Download it as MIDI, in which time runs evenly": "Als MIDI herunterladen, in dem die Zeit gleichmäßig läuft",
  "MIDI with bars ↓": "MIDI mit Takten ↓",
  "Download it as MIDI, in which notes stay on the grid and tempos carry the timing":
    "Als MIDI herunterladen, in dem die Töne auf dem Raster bleiben und Tempi das Timing tragen",
  "Drop a score here: MIDI from a notation program or a DAW, or MusicXML.":
    "Noten hierher ziehen: MIDI aus einem Notensatzprogramm oder einer DAW, oder MusicXML.",
  "Moment of the score, in quarters": "Stelle der Noten, in Vierteln",
  "Dials": "Regler", "Timing": "Timing", "Dynamics": "Dynamik", "Articulation": "Artikulation", "Pedal": "Pedal", "Freedom": "Freiheit",
  "Keep tempo": "Tempo behalten", "Keep dynamics": "Dynamik behalten", "Keep pedal": "Pedal behalten",
  "Another take": "Noch einmal", "Draw anew what is free": "Neu würfeln, was frei ist",
  "Quarters a minute": "Viertel pro Minute",
  "Only {part} % of the notes are found in {name}: it is of another score.":
    "Nur {part} % der Töne finden sich in {name}: Das gehört zu anderen Noten.",
  "No piano is heard: {error}.": "Kein Klavier ist zu hören: {error}.",
};

let german = false;

/**
 * Speak a language from now on, or English where there is none such.
 * @param {string} code such as "de-AT"
 * @returns {"en" | "de"}
 */
export function speak(code) {
  german = code.startsWith("de");
  return language();
}

const language = () => (german ? "de" : "en");

/**
 * A text in the language of the page, its {parts} filled in.
 * @param {string} english
 * @param {Record<string, string>} parts
 */
export function t(english, parts = {}) {
  const text = german ? GERMAN[english] ?? english : english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => parts[name] ?? whole);
}

const ATTRIBUTES = ["title", "aria-label", "data-drop"];
/** @type {WeakMap<Node, Record<string, string>>} */
const originals = new WeakMap();

/**
 * Say what an element holds in the language of the page; texts that were written in English by the
 * page's file are known by their nodes, so that it can be done again.
 * @param {Element} root
 */
export function translate(root) {
  document.documentElement.lang = language();
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const english = originals.get(node) ?? written(node);
    originals.set(node, english);
    for (const [name, text] of Object.entries(english)) {
      if (node instanceof Element) node.setAttribute(name, t(text));
      else node.nodeValue = (node.nodeValue ?? "").replace(/^(\s*)[^]*?(\s*)$/, (_, before, after) => before + t(text) + after);
    }
  }
}

/** @param {Node} node @returns {Record<string, string>} */
function written(node) {
  if (!(node instanceof Element)) {
    const text = (node.nodeValue ?? "").trim().replace(/\s+/g, " ");
    return text in GERMAN ? { text } : {};
  }
  const texts = ATTRIBUTES.map((name) => [name, node.getAttribute(name) ?? ""]);
  return Object.fromEntries(texts.filter(([, text]) => text in GERMAN));
}
