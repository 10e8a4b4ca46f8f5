// Take: what has been played, by the model and by a person. Times are seconds of the piece.

const NOTE_OFF = 0x80, NOTE_ON = 0x90, CONTROL = 0xb0, SUSTAIN = 64;
const KEPT_S = 30 * 60; // older notes are forgotten

export class Take {
  constructor() {
    this.notes = []; // { start, end, pitch, velocity, hand }; end is null while it sounds
    this.pedals = []; // { start, end, hand }
    this.open = [new Map(), new Map()];
    this.down = [null, null];
    this.end = 0; // seconds; nothing happened later
  }

  // Keep an event [time_s, status, data1, data2] of the model (hand 0) or a person (1).
  add([time, status, one, two], hand = 0) {
    this.end = Math.max(this.end, time);
    if (status === CONTROL) {
      this.#press(two >= 64, time, hand);
      return;
    }
    const sounding = this.open[hand].get(one);
    if (sounding) sounding.end = Math.max(time, sounding.start);
    this.open[hand].delete(one);
    if (status === NOTE_ON && two > 0) {
      const note = { start: time, end: null, pitch: one, velocity: two, hand };
      this.notes.push(note);
      this.open[hand].set(one, note);
      if (this.notes[0].start < time - KEPT_S - 60) this.#forget(time - KEPT_S);
    }
  }

  // Make it end at a time: what comes later has not been played, what sounds then ends.
  cut(time) {
    for (const list of ["notes", "pedals"]) {
      this[list] = this[list].filter((each) => each.start < time);
      for (const each of this[list]) if (each.end === null || each.end > time) each.end = time;
    }
    this.open.forEach((open) => open.clear());
    this.down = [null, null];
    this.end = time;
  }

  // Events that begin within a span, in order of time; what sounds at its end ends there.
  events(from = 0, to = Infinity) {
    const last = Math.min(to, this.end);
    const found = [];
    for (const { start, end, pitch, velocity } of this.notes) {
      if (start < from || start >= to) continue;
      found.push([start, NOTE_ON, pitch, velocity], [Math.min(end ?? last, last), NOTE_OFF, pitch, 0]);
    }
    for (const { start, end } of this.pedals) {
      if ((end ?? last) < from || start >= to) continue;
      found.push([Math.max(start, from), CONTROL, SUSTAIN, 127], [Math.min(end ?? last, last), CONTROL, SUSTAIN, 0]);
    }
    // A note that ends comes before one of its pitch that begins.
    return found.sort((a, b) => a[0] - b[0] || (a[1] === NOTE_ON) - (b[1] === NOTE_ON));
  }

  #press(down, time, hand) {
    if (down === (this.down[hand] !== null)) return;
    if (down) {
      this.down[hand] = { start: time, end: null, hand };
      this.pedals.push(this.down[hand]);
    } else {
      this.down[hand].end = time;
      this.down[hand] = null;
    }
  }

  #forget(before) {
    this.notes = this.notes.filter((note) => note.start >= before || note.end === null);
    this.pedals = this.pedals.filter((pedal) => pedal.start >= before || pedal.end === null);
  }
}
