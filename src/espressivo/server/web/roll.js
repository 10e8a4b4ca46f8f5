// Roll: notes that rise from the keyboard as they are played, louder ones brighter. A moment of them
// can be chosen, by pointer or keys, to go on from.

import { clock, Music } from "./music.js";

/** @typedef {import("./music.js").Note} Note */
/** @typedef {import("./music.js").Pedal} Pedal */
/**
 * What is called when somebody touches it.
 * @typedef {object} Actions
 * @property {(pitch: number, velocity: number) => void} strike
 * @property {(pitch: number) => void} release
 * @property {(time: number, further: boolean) => void} marked a moment is chosen, perhaps as the other
 *   end of a passage
 */

const LOWEST = 21, HIGHEST = 108, WHITE = [0, 2, 4, 5, 7, 9, 11];
const SECONDS = 11; // from the keyboard to the top
const NARROW_PX = 640;
const PHONE_RANGE = [48, 76]; // keys that a thumb can hit

const isWhite = (/** @type {number} */ pitch) => WHITE.includes(pitch % 12);

export class Roll {
  music = new Music();
  now = 0; // seconds of the music
  back = 0; // how many seconds further back it looks
  near = false;
  /** @type {number | null} */ mark = null;
  /** @type {[number, number] | null} */ passage = null; // from and to
  /** @type {Map<number, { pitch: number | null, y: number, moved: number }>} */ #pointers = new Map();
  /** @type {Map<number, string>} */ #lit = new Map(); // pitches that sound, and their colours
  /** @type {Map<number, { x: number, width: number }>} */ #keys = new Map(); // by pitch
  width = 0; // in pixels of the page, as all that follows
  height = 0;
  keysHeight = 0;
  lane = 0; // the width of the lane for the pedal
  low = LOWEST; // the keys that are shown
  high = HIGHEST;
  stamp = 0; // another than before: what has been drawn must be drawn anew

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Actions} actions
   */
  constructor(canvas, actions) {
    this.canvas = canvas;
    this.actions = actions;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.still = new OffscreenCanvas(1, 1); // the keyboard at rest
    this.ratio = 1;
    this.theme = colours(canvas);
    new ResizeObserver(() => this.measure()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.measure());
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of /** @type {const} */ (["pointerup", "pointercancel"])) canvas.addEventListener(kind, (event) => this.#up(event));
    canvas.addEventListener("wheel", (event) => this.scroll(-event.deltaY / 100), { passive: true });
    this.measure();
  }

  /**
   * Look further back.
   * @param {number} seconds
   */
  scroll(seconds) {
    this.back = Math.max(0, Math.min(this.back + seconds, this.now - 1));
  }

  /**
   * Look so that a moment is seen.
   * @param {number} time
   */
  reveal(time) {
    const view = this.now - this.back;
    if (time > view) this.back = Math.max(0, this.now - time);
    if (time < view - SECONDS + 1) this.back = this.now - time - SECONDS + 1;
  }

  measure() {
    const { canvas } = this, ratio = (this.ratio = devicePixelRatio || 1);
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.theme = colours(canvas);
    [this.low, this.high] = this.near ? PHONE_RANGE : [LOWEST, HIGHEST];
    this.keysHeight = Math.max(64, Math.min(118, this.height * 0.2));
    this.lane = this.width < NARROW_PX ? 10 : 18;
    this.#lay();
    this.still = this.#drawStill();
    this.stamp = performance.now();
  }

  // Places of the keys: white ones side by side, black ones between.
  #lay() {
    const whites = [];
    for (let pitch = this.low; pitch <= this.high; pitch++) if (isWhite(pitch)) whites.push(pitch);
    const wide = (this.width - this.lane) / whites.length;
    this.#keys = new Map();
    whites.forEach((pitch, n) => this.#keys.set(pitch, { x: this.lane + n * wide, width: wide }));
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      if (isWhite(pitch) || !this.#keys.has(pitch - 1)) continue;
      const left = this.#place(pitch - 1);
      this.#keys.set(pitch, { x: left.x + wide * 0.7, width: wide * 0.6 });
    }
  }

  /**
   * @param {Music} music
   * @param {number} now
   */
  draw(music, now) {
    this.music = music;
    this.now = now;
    const { context, height, width, keysHeight, theme, lane } = this;
    const floor = height - keysHeight, view = now - this.back, scale = floor / SECONDS;
    const y = (/** @type {number} */ time) => floor - (view - time) * scale;
    context.fillStyle = theme.roll;
    context.fillRect(0, 0, width, floor);
    this.#grid(view, y, floor);
    context.fillStyle = theme.lane;
    context.fillRect(0, 0, lane - 2, floor);
    context.fillStyle = theme.felt;
    if (this.passage !== null) {
      const [top, bottom] = this.passage.map(y);
      context.globalAlpha = 0.14;
      context.fillStyle = theme.ink;
      context.fillRect(lane, top, width - lane, Math.min(bottom, floor) - top);
      context.globalAlpha = 1;
    }
    const pedals = this.#visible(this.music.pedals, view);
    for (const { start, end } of pedals) {
      const top = y(start), bottom = Math.min(y(end ?? view), floor);
      context.fillRect(2, top, lane - 6, bottom - top);
    }
    this.#lit.clear();
    for (const note of this.#visible(this.music.notes, view)) this.#note(note, y, floor, view, pedals);
    for (const passage of this.music.passages) this.#letter(passage, y, floor);
    if (this.mark !== null) this.#drawMark(this.mark, y(this.mark));
    this.#keyboard(floor);
  }

  // Those of a list, which is nearly in order of time, that can be seen.
  /** @template {Note | Pedal} T @param {T[]} list @param {number} view @returns {T[]} */
  #visible(list, view) {
    /** @type {T[]} */
    const found = [];
    for (let n = list.length - 1; n >= 0 && list[n].start > view - SECONDS - 30; n--) {
      const { start, end } = list[n];
      if (start <= view && (end ?? view) >= view - SECONDS) found.push(list[n]);
    }
    return found;
  }

  #grid(/** @type {number} */ view, /** @type {(time: number) => number} */ y, /** @type {number} */ floor) {
    const { context, theme, width, lane } = this;
    for (const [pitch, { x }] of this.#keys) {
      if (pitch % 12 !== 0) continue;
      context.fillStyle = theme.line;
      context.fillRect(Math.round(x), 0, 1, floor);
    }
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    for (let second = Math.max(0, Math.ceil(view - SECONDS)); second <= view; second++) {
      const five = second % 5 === 0, at = Math.round(y(second));
      context.fillStyle = five ? theme.beat : theme.line;
      context.fillRect(lane, at, width - lane, 1);
      if (!five || at < 14) continue;
      context.fillStyle = theme.quiet;
      context.fillText(clock(second), width - 8, at - 4);
    }
  }

  /** @param {Note} note @param {(time: number) => number} y @param {number} floor @param {number} view @param {Pedal[]} pedals */
  #note(note, y, floor, view, pedals) {
    const place = this.#keys.get(note.pitch);
    if (!place) return;
    const { context } = this;
    const end = note.end ?? Infinity, sounding = end > view;
    const top = y(note.start), bottom = sounding ? floor : y(end);
    const colour = this.theme.shades[note.hand][note.velocity];
    const inset = isWhite(note.pitch) ? place.width * 0.14 : 0;
    context.fillStyle = colour;
    context.beginPath();
    const wide = Math.max(2, place.width - 2 * inset);
    context.roundRect(place.x + inset, top, wide, Math.max(2, bottom - top - 1), Math.min(3, wide / 2));
    context.fill();
    const held = !sounding && pedals.find((pedal) => pedal.hand === note.hand && pedal.start <= end && (pedal.end ?? view) > end);
    if (held) { // the strings sound on under the pedal
      context.globalAlpha = 0.22;
      context.fillRect(place.x + place.width / 2 - wide / 4, bottom, wide / 2, Math.min(y(held.end ?? view), floor) - bottom);
      context.globalAlpha = 1;
    }
    if (sounding && this.back === 0) this.#lit.set(note.pitch, colour);
  }

  // The letter of a passage that comes back, beside a line as long as it lasts.
  /** @param {import("./music.js").Passage} passage @param {(time: number) => number} y @param {number} floor */
  #letter({ start, end, letter }, y, floor) {
    const { context, theme, lane } = this, top = y(start), bottom = Math.min(y(end), floor);
    if (bottom < 0 || top > floor) return;
    context.fillStyle = theme.ink;
    context.fillRect(lane + 2, top, 2, bottom - top);
    context.textAlign = "left";
    context.font = "bold 14px system-ui, sans-serif";
    context.fillText(letter, lane + 9, Math.max(top, 0) + 14);
  }

  #drawMark(/** @type {number} */ mark, /** @type {number} */ at) {
    const { context, theme, width, lane } = this;
    context.fillStyle = theme.ink;
    context.fillRect(lane, Math.round(at), width - lane, 1.5);
    context.textAlign = "left";
    context.font = "12px system-ui, sans-serif";
    context.fillText(clock(mark), lane + 8, at - 6);
  }

  // The keyboard at rest is drawn once; lit keys are drawn over it, each with its black neighbours.
  #keyboard(/** @type {number} */ floor) {
    const { context, width, keysHeight } = this;
    context.drawImage(this.still, 0, floor, width, keysHeight);
    if (!this.#lit.size) return;
    context.save();
    context.translate(0, floor);
    for (const white of [true, false]) {
      for (const [pitch, colour] of this.#lit) {
        if (isWhite(pitch) === white) this.#key(context, pitch, colour);
        for (const beside of white && isWhite(pitch) ? [pitch - 1, pitch + 1] : []) {
          if (!isWhite(beside) && !this.#lit.has(beside)) this.#key(context, beside);
        }
      }
    }
    context.globalAlpha = 0.4;
    for (const [pitch, colour] of this.#lit) { // their light falls on the felt
      const { x, width: wide } = this.#place(pitch);
      context.fillStyle = colour;
      context.fillRect(x - 2, -3, wide + 4, 6);
    }
    context.restore();
  }

  #place(/** @type {number} */ pitch) {
    return this.#keys.get(pitch) ?? { x: 0, width: 0 };
  }

  // The keyboard at rest, on a canvas of its own.
  #drawStill() {
    const still = new OffscreenCanvas(Math.max(1, this.canvas.width), Math.max(1, Math.round(this.keysHeight * this.ratio)));
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (still.getContext("2d"));
    const { theme, width, keysHeight } = this;
    context.scale(this.ratio, this.ratio);
    context.fillStyle = theme.ebony;
    context.fillRect(0, 0, width, keysHeight);
    for (const white of [true, false]) {
      for (const pitch of this.#keys.keys()) if (isWhite(pitch) === white) this.#key(context, pitch);
    }
    context.fillStyle = theme.felt;
    context.fillRect(0, 0, width, 3);
    return still;
  }

  /** @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context @param {number} pitch @param {string} [lit] its colour if it sounds */
  #key(context, pitch, lit) {
    const place = this.#keys.get(pitch);
    if (!place) return;
    const { theme, keysHeight } = this, white = isWhite(pitch);
    const tall = white ? keysHeight - 5 : (keysHeight - 3) * 0.62;
    context.fillStyle = white ? theme.ivory : theme.ebony;
    if (lit) {
      const glow = context.createLinearGradient(0, 0, 0, tall);
      glow.addColorStop(0, lit);
      glow.addColorStop(1, white ? theme.ivory : lit);
      context.fillStyle = glow;
    }
    context.beginPath();
    context.roundRect(place.x + 0.5, 3, place.width - 1, tall, [0, 0, 3, 3]);
    context.fill();
    if (!white || pitch % 12 || place.width <= 11) return;
    context.fillStyle = theme.edge;
    context.font = `${Math.min(11, place.width * 0.62)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(`C${pitch / 12 - 1}`, place.x + place.width / 2, keysHeight - 9);
  }

  // The key at a point and how hard it is struck there: nearer the front, louder.
  #touched(/** @type {PointerEvent} */ event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top - (this.height - this.keysHeight);
    if (y < 0) return null;
    /** @param {[number, { x: number, width: number }]} key */
    const inside = ([pitch, { x: left, width }]) => x >= left && x < left + width && (isWhite(pitch) || y < this.keysHeight * 0.62);
    const hits = [...this.#keys].filter(inside).map(([pitch]) => pitch);
    const pitch = hits.find((pitch) => !isWhite(pitch)) ?? hits[0];
    const deep = y / (this.keysHeight * (isWhite(pitch) ? 1 : 0.62));
    return pitch === undefined ? null : { pitch, velocity: Math.round(40 + 70 * Math.min(1, deep)) };
  }

  #down(/** @type {PointerEvent} */ event) {
    this.canvas.setPointerCapture(event.pointerId);
    const key = this.#touched(event);
    this.#pointers.set(event.pointerId, { pitch: key?.pitch ?? null, y: event.clientY, moved: 0 });
    if (key) this.actions.strike(key.pitch, key.velocity);
  }

  #move(/** @type {PointerEvent} */ event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) return;
    if (pointer.pitch === null) { // the roll is drawn along
      const scale = (this.height - this.keysHeight) / SECONDS;
      this.scroll((event.clientY - pointer.y) / scale);
      pointer.moved += Math.abs(event.clientY - pointer.y);
      pointer.y = event.clientY;
      return;
    }
    const key = this.#touched(event); // a finger slides from key to key
    if (!key || key.pitch === pointer.pitch) return;
    this.actions.release(pointer.pitch);
    pointer.pitch = key.pitch;
    this.actions.strike(key.pitch, key.velocity);
  }

  #up(/** @type {PointerEvent} */ event) {
    const pointer = this.#pointers.get(event.pointerId);
    this.#pointers.delete(event.pointerId);
    if (!pointer) return;
    if (pointer.pitch !== null) {
      this.actions.release(pointer.pitch);
    } else if (pointer.moved < 5) {
      const box = this.canvas.getBoundingClientRect(), floor = this.height - this.keysHeight;
      const time = this.now - this.back - ((floor - (event.clientY - box.top)) / floor) * SECONDS;
      this.actions.marked(Math.max(0, time), event.shiftKey);
    }
  }
}

/** @param {Element} canvas whose style has them */
function colours(canvas) {
  const style = getComputedStyle(canvas), of = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  return {
    roll: of("roll"), lane: of("lane"), line: of("line"), beat: of("beat"), ivory: of("ivory"), ebony: of("ebony"),
    edge: of("key-edge"), ink: of("ink"), quiet: of("quiet"), felt: of("felt"),
    shades: ["notes", "person"].map((name) => gradient(of(name).split(/\s+/))), // by hand and velocity
  };
}

// 128 colours, one for each velocity, between colours given as #rrggbb.
/** @param {string[]} stops */
function gradient(stops) {
  const parts = stops.map((stop) => [1, 3, 5].map((n) => parseInt(stop.slice(n, n + 2), 16)));
  return Array.from({ length: 128 }, (_, velocity) => {
    const at = Math.max(0, Math.min(1, (velocity - 16) / 92)) * (parts.length - 1);
    const n = Math.min(Math.floor(at), parts.length - 2);
    return `rgb(${parts[n].map((from, c) => Math.round(from + (at - n) * (parts[n + 1][c] - from))).join(" ")})`;
  });
}
