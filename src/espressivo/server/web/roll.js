// Roll: notes that rise from the keyboard as they are played, louder ones brighter.

const LOWEST = 21, HIGHEST = 108, WHITE = [0, 2, 4, 5, 7, 9, 11];
const SECONDS = 11; // from the keyboard to the top
const NARROW_PX = 640;
const PHONE_RANGE = [48, 76]; // keys that a thumb can hit

const isWhite = (pitch) => WHITE.includes(pitch % 12);

export class Roll {
  // `strike(pitch, velocity)`, `release(pitch)` and `marked(secondsBack)` are called.
  constructor(canvas, take, actions) {
    Object.assign(this, { canvas, take, actions, now: 0, back: 0, mark: null, near: false });
    this.context = canvas.getContext("2d");
    this.pointers = new Map();
    this.lit = new Map();
    new ResizeObserver(() => this.#measure()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#measure());
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.#up(event));
    canvas.addEventListener("wheel", (event) => this.scroll(-event.deltaY / 100), { passive: true });
    this.#measure();
  }

  // Show few large keys, or all.
  zoom(near) {
    this.near = near;
    this.#measure();
  }

  // Look further back, in seconds.
  scroll(seconds) {
    this.back = Math.max(0, Math.min(this.back + seconds, this.now - 1));
  }

  #measure() {
    const { canvas } = this, ratio = (this.ratio = devicePixelRatio || 1);
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(canvas);
    this.colour = (name) => style.getPropertyValue(name).trim();
    this.theme = Object.fromEntries(["roll", "lane", "line", "beat", "ivory", "ebony", "key-edge", "ink", "quiet", "felt"]
      .map((name) => [name, this.colour(`--${name}`)]));
    this.shades = ["--notes", "--person"].map((name) => gradient(this.colour(name).split(/\s+/)));
    [this.low, this.high] = this.near ? PHONE_RANGE : [LOWEST, HIGHEST];
    this.keysHeight = Math.max(64, Math.min(118, this.height * 0.2));
    this.lane = this.width < NARROW_PX ? 10 : 18;
    this.#lay();
    this.still = this.#drawStill();
    this.stamp = performance.now(); // another than before: what has been drawn must be drawn anew
  }

  // Places of the keys: white ones side by side, black ones between.
  #lay() {
    const whites = [];
    for (let pitch = this.low; pitch <= this.high; pitch++) if (isWhite(pitch)) whites.push(pitch);
    const wide = (this.width - this.lane) / whites.length;
    this.keys = new Map();
    whites.forEach((pitch, n) => this.keys.set(pitch, { x: this.lane + n * wide, width: wide }));
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      if (isWhite(pitch) || !this.keys.has(pitch - 1)) continue;
      const left = this.keys.get(pitch - 1);
      this.keys.set(pitch, { x: left.x + wide * 0.7, width: wide * 0.6 });
    }
  }

  draw(now) {
    this.now = now;
    const { context, height, width, keysHeight, theme, lane } = this;
    const floor = height - keysHeight, view = now - this.back, scale = floor / SECONDS;
    const y = (time) => floor - (view - time) * scale;
    context.fillStyle = theme.roll;
    context.fillRect(0, 0, width, floor);
    this.#grid(view, y, floor);
    context.fillStyle = theme.lane;
    context.fillRect(0, 0, lane - 2, floor);
    context.fillStyle = theme.felt;
    const pedals = this.#visible(this.take.pedals, view);
    for (const { start, end } of pedals) {
      const top = y(start), bottom = Math.min(y(end ?? view), floor);
      context.fillRect(2, top, lane - 6, bottom - top);
    }
    this.lit.clear();
    for (const note of this.#visible(this.take.notes, view)) this.#note(note, y, floor, view, pedals);
    if (this.mark !== null) this.#drawMark(y(this.mark), view);
    this.#keyboard(floor);
  }

  // Those of a list, which is nearly in order of time, that can be seen.
  #visible(list, view) {
    const found = [];
    for (let n = list.length - 1; n >= 0 && list[n].start > view - SECONDS - 30; n--) {
      const { start, end } = list[n];
      if (start <= view && (end ?? view) >= view - SECONDS) found.push(list[n]);
    }
    return found;
  }

  #grid(view, y, floor) {
    const { context, theme, width, lane } = this;
    for (const [pitch, { x }] of this.keys) {
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

  #note(note, y, floor, view, pedals) {
    const place = this.keys.get(note.pitch);
    if (!place) return;
    const { context } = this;
    const sounding = note.end === null || note.end > view;
    const top = y(note.start), bottom = sounding ? floor : y(note.end);
    const colour = this.shades[note.hand][note.velocity];
    const inset = isWhite(note.pitch) ? place.width * 0.14 : 0;
    context.fillStyle = colour;
    context.beginPath();
    const wide = Math.max(2, place.width - 2 * inset);
    context.roundRect(place.x + inset, top, wide, Math.max(2, bottom - top - 1), Math.min(3, wide / 2));
    context.fill();
    const held = !sounding && pedals.find(({ start, end, hand }) => hand === note.hand && start <= note.end && (end ?? view) > note.end);
    if (held) { // the strings sound on under the pedal
      context.globalAlpha = 0.22;
      context.fillRect(place.x + place.width / 2 - wide / 4, bottom, wide / 2, Math.min(y(held.end ?? view), floor) - bottom);
      context.globalAlpha = 1;
    }
    if (sounding && this.back === 0) this.lit.set(note.pitch, colour);
  }

  #drawMark(at, view) {
    const { context, theme, width, lane } = this;
    context.fillStyle = theme.ink;
    context.fillRect(lane, Math.round(at), width - lane, 1.5);
    context.textAlign = "left";
    context.font = "12px system-ui, sans-serif";
    context.fillText(`${clock(this.mark)}`, lane + 8, at - 6);
  }

  // The keyboard at rest is drawn once; lit keys are drawn over it, each with its black neighbours.
  #keyboard(floor) {
    const { context, width, keysHeight } = this;
    context.drawImage(this.still, 0, floor, width, keysHeight);
    if (!this.lit.size) return;
    context.save();
    context.translate(0, floor);
    for (const white of [true, false]) {
      for (const [pitch, colour] of this.lit) {
        if (isWhite(pitch) === white) this.#key(context, pitch, colour);
        for (const beside of white && isWhite(pitch) ? [pitch - 1, pitch + 1] : []) {
          if (!isWhite(beside) && !this.lit.has(beside)) this.#key(context, beside);
        }
      }
    }
    context.globalAlpha = 0.4;
    for (const [pitch, colour] of this.lit) { // their light falls on the felt
      const { x, width: wide } = this.keys.get(pitch);
      context.fillStyle = colour;
      context.fillRect(x - 2, -3, wide + 4, 6);
    }
    context.restore();
  }

  // The keyboard at rest, on a canvas of its own.
  #drawStill() {
    const still = new OffscreenCanvas(Math.max(1, this.canvas.width), Math.max(1, Math.round(this.keysHeight * this.ratio)));
    const context = still.getContext("2d"), { theme, width, keysHeight } = this;
    context.scale(this.ratio, this.ratio);
    context.fillStyle = theme.ebony;
    context.fillRect(0, 0, width, keysHeight);
    for (const white of [true, false]) {
      for (const pitch of this.keys.keys()) if (isWhite(pitch) === white) this.#key(context, pitch);
    }
    context.fillStyle = theme.felt;
    context.fillRect(0, 0, width, 3);
    return still;
  }

  #key(context, pitch, lit) {
    const place = this.keys.get(pitch);
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
    context.fillStyle = theme["key-edge"];
    context.font = `${Math.min(11, place.width * 0.62)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(`C${pitch / 12 - 1}`, place.x + place.width / 2, keysHeight - 9);
  }

  // The key at a point and how hard it is struck there: nearer the front, louder.
  #touched(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top - (this.height - this.keysHeight);
    if (y < 0) return null;
    const inside = ([pitch, { x: left, width }]) => x >= left && x < left + width && (isWhite(pitch) || y < this.keysHeight * 0.62);
    const hits = [...this.keys].filter(inside).map(([pitch]) => pitch);
    const pitch = hits.find((pitch) => !isWhite(pitch)) ?? hits[0];
    const deep = y / (this.keysHeight * (isWhite(pitch) ? 1 : 0.62));
    return pitch === undefined ? null : { pitch, velocity: Math.round(40 + 70 * Math.min(1, deep)) };
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const key = this.#touched(event);
    this.pointers.set(event.pointerId, { pitch: key?.pitch ?? null, y: event.clientY, moved: 0 });
    if (key) this.actions.strike(key.pitch, key.velocity);
  }

  #move(event) {
    const pointer = this.pointers.get(event.pointerId);
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

  #up(event) {
    const pointer = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!pointer) return;
    if (pointer.pitch !== null) {
      this.actions.release(pointer.pitch);
    } else if (pointer.moved < 5) {
      const box = this.canvas.getBoundingClientRect(), floor = this.height - this.keysHeight;
      const time = this.now - this.back - ((floor - (event.clientY - box.top)) / floor) * SECONDS;
      this.actions.marked(Math.max(0, time));
    }
  }
}

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// 128 colours, one for each velocity, between colours given as #rrggbb.
function gradient(stops) {
  const parts = stops.map((stop) => [1, 3, 5].map((n) => parseInt(stop.slice(n, n + 2), 16)));
  return Array.from({ length: 128 }, (_, velocity) => {
    const at = Math.max(0, Math.min(1, (velocity - 16) / 92)) * (parts.length - 1);
    const n = Math.min(Math.floor(at), parts.length - 2);
    return `rgb(${parts[n].map((from, c) => Math.round(from + (at - n) * (parts[n + 1][c] - from))).join(" ")})`;
  });
}
