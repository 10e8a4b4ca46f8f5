// Picture: tempo above, dynamics below, over the quarters of a score: as written, and as performed.

import { t } from "../words.js";

/** @typedef {import("./playing.js").Rendered} Rendered */
/** @typedef {import("./playing.js").Take} Take */

const MARGIN = 44, GAP = 26; // pixels
const OUTSIDE = 0.02, LEAST_RANGE = 0.2; // part of the tempos below what is shown, and above; logarithm up from the middle

/** @param {HTMLCanvasElement} canvas */
export function picture(canvas) {
  /** @type {Rendered | null} */
  let rendered = null;
  /** @type {Take | null} */
  let taken = null;
  const quarters = () => rendered?.beats.at(-1)?.[0] || 1;
  const width = () => canvas.clientWidth - 2 * MARGIN;
  const x = (/** @type {number} */ quarter) => MARGIN + (quarter / quarters()) * width();
  const colour = (/** @type {string} */ name) => getComputedStyle(canvas).getPropertyValue(name).trim();

  function draw() {
    const scale = devicePixelRatio, brush = canvas.getContext("2d");
    if (!brush || !canvas.clientWidth) return;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    brush.scale(scale, scale);
    if (!rendered) return;
    const half = (canvas.clientHeight - 3 * GAP) / 2, quiet = colour("--quiet"), accent = colour("--accent");
    brush.font = "12px system-ui, sans-serif";
    brush.fillStyle = quiet;
    brush.fillText(t("Quarters a minute"), MARGIN, GAP - 8);
    brush.fillText(t("Dynamics"), MARGIN, 2 * GAP + half - 8);
    brush.strokeStyle = colour("--beat");
    const every = Math.ceil(rendered.measures.length / 40);
    for (let bar = 0; bar < rendered.measures.length; bar += every) {
      const at = x(rendered.measures[bar]);
      line([[at, GAP], [at, GAP + half]]);
      line([[at, 2 * GAP + half], [at, 2 * (GAP + half)]]);
      if (bar % (5 * every) === 0) brush.fillText(String(bar + 1), at + 3, canvas.clientHeight - 6);
    }

    const tempos = (/** @type {number} */ column) => pairs(rendered?.beats ?? []).map(([a, b]) =>
      /** @type {[number, number]} */ ([a[0], (60 * (b[0] - a[0])) / Math.max(b[column] - a[column], 1e-3)]));
    const person = colour("--person").split(" ")[1], theirs = pairs(rendered.beats).flatMap(([a, b], n) => {
      const [from, to] = [taken?.beats[n] ?? NaN, taken?.beats[n + 1] ?? NaN];
      return from < to ? [/** @type {[number, number]} */ ([a[0], (60 * (b[0] - a[0])) / (to - from)])] : [];
    });
    const written = tempos(2), played = tempos(1);
    const logs = [...written, ...theirs, ...played].map(([, tempo]) => Math.log(tempo)).sort((a, b) => a - b);
    const at = (/** @type {number} */ share) => logs[Math.round(share * (logs.length - 1))];
    const middle = (at(OUTSIDE) + at(1 - OUTSIDE)) / 2, range = Math.max(LEAST_RANGE, (at(1 - OUTSIDE) - at(OUTSIDE)) / 2);
    const height = (/** @type {number} */ tempo) =>
      GAP + half / 2 - (half / 2) * Math.max(-1, Math.min(1, (Math.log(tempo) - middle) / range));
    for (const log of [middle - range, middle, middle + range]) brush.fillText(String(Math.round(Math.exp(log))), 8, height(Math.exp(log)) + 4);
    for (const [values, style] of /** @type {const} */ ([[written, quiet], [theirs, person], [played, accent]])) {
      brush.strokeStyle = style;
      line(values.flatMap(([quarter, tempo], n) =>
        [[x(quarter), height(tempo)], [x(values[n + 1]?.[0] ?? quarters()), height(tempo)]]));
    }
    const loud = (/** @type {number} */ velocity) => 2 * (GAP + half) - (half * velocity) / 127;
    for (const [n, [quarter, , , , velocity, written]] of rendered.notes.entries()) {
      brush.fillStyle = quiet;
      if (written) brush.fillRect(x(quarter) - 1, loud(written) - 1, 2, 2);
      brush.fillStyle = person;
      if (taken?.velocity[n]) brush.fillRect(x(quarter) - 1.5, loud(taken.velocity[n]) - 1.5, 3, 3);
      brush.fillStyle = accent;
      brush.fillRect(x(quarter) - 1.5, loud(velocity) - 1.5, 3, 3);
    }

    function line(/** @type {number[][]} */ points) {
      brush?.beginPath();
      for (const [a, b] of points) brush?.lineTo(a, b);
      brush?.stroke();
    }
  }

  new ResizeObserver(draw).observe(canvas);
  return {
    x,
    quarter: (/** @type {number} */ at) => ((at - MARGIN) / width()) * quarters(),
    take(/** @type {Rendered} */ music) {
      rendered = music;
      draw();
    },
    person(/** @type {Take | null} */ take) {
      taken = take;
      draw();
    },
  };
}

/** @template T @param {T[]} list @returns {[T, T][]} */
const pairs = (list) => list.slice(1).map((item, n) => [list[n], item]);
