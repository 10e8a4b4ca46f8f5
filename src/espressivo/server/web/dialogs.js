// Dialogs: which model plays, instruments by MIDI, help, and the language.

import { labels } from "./address.js";
import { $, show } from "./page.js";
import { speak, t, translate } from "./words.js";

/** @param {import("./page.js").Page} page */
export function dialogs({ store, player, sound: { midi } }) {
  const choice = $("model", HTMLSelectElement), output = $("output", HTMLSelectElement), language = $("language", HTMLSelectElement);
  choice.onchange = () => player.chooseModel(choice.value);
  store.watch(["models", "model"], ({ models, model }) => {
    choice.replaceChildren(...labels(models).map((label, n) => new Option(label, models[n])));
    if (model) choice.value = model.name;
  });

  $("about").onclick = () => show($("card", HTMLDialogElement));
  store.watch(["model", "language"], ({ model }) => {
    if (!model) return;
    $("licence").textContent = model.licence;
    const facts = [["Name", model.title], ["Licence", model.licence], ["Learned from", model.trained_on], ["SHA-256", model.sha256]];
    $("facts").replaceChildren(...facts.filter(([, fact]) => fact).flatMap(([name, fact]) => pair(t(name), fact)));
    $("meanings").replaceChildren(...model.controls.flatMap(({ label, hint }) => pair(t(label), t(hint))));
  });

  $("help").onclick = () => show($("keys", HTMLDialogElement));
  addEventListener("keydown", (event) => {
    if (event.key !== "?" || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    $("help").click();
  });

  language.onchange = () => store.change({ language: language.value });
  store.watch(["language"], (state) => {
    language.value = speak(state.language);
    translate(document.body);
  });

  const listInstruments = () => {
    const names = midi.inputs.map((input) => input.name).join(", ");
    $("inputs").textContent = names ? t("Listening to {names}.", { names }) : t("No MIDI keyboard is connected.");
    const options = midi.outputs.map(({ id, name }) => new Option(name ?? id, id, false, id === midi.output?.id));
    output.replaceChildren(new Option(t("nothing"), ""), ...options);
  };
  midi.changed = listInstruments;
  output.onchange = () => midi.choose(output.value);
  $("midi").onclick = async () => {
    listInstruments();
    show($("instruments", HTMLDialogElement));
    if (!midi.possible) $("inputs").textContent = t("This browser does not speak MIDI: Chrome, Edge and Firefox do.");
    else if (!midi.access) await midi.open().catch(() => ($("inputs").textContent = t("The browser was not allowed to use MIDI.")));
  };
}

/** @param {string} name @param {string} fact */
function pair(name, fact) {
  const pair = [document.createElement("dt"), document.createElement("dd")];
  [pair[0].textContent, pair[1].textContent] = [name, fact];
  return pair;
}
