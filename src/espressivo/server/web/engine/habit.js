// Habit: brings short passages back every now and then, as people do; a port of
// `espressivo.play.form.Habit`.

import { round } from "./numbers.js";

const LAGS_S = [2, 4, 8, 16, 32, 60];
const LAG_RUNS = [1.29, 1.0, 0.88, 0.75, 0.24]; // returns a minute with lags between these
const WAIT_S = 8; // on average, until something comes back
const LENGTHS_LED_S = [1, 1.4, 2, 3, 6]; // quartiles of how long

export class Habit {
  #rng;
  #rate;
  /** @type {number | null} */ #until = null; // the step up to which a passage is brought back
  #due;
  #begin;
  #returned;

  /**
   * @param {{ random(): number }} rng
   * @param {number} begin the step from which on it brings something back
   * @param {number} rate steps a second
   * @param {(at: number, from: number, length: number) => void} [returned] is told of what comes back, in seconds
   */
  constructor(rng, begin, rate, returned = () => {}) {
    this.#rng = rng;
    this.#begin = begin;
    this.#rate = rate;
    this.#returned = returned;
    this.#due = this.#later(begin);
  }

  /** Begin or end what its time has come for. */
  look(/** @type {import("./player.js").Player} */ player) {
    const { now } = player.decoder;
    if (this.#until !== null) {
      if (player.led && now < this.#until) return;
      player.letGo();
      this.#until = null;
      this.#due = this.#later(now);
    } else if (now >= this.#due) {
      const lag = round(this.#rate * this.#lagS()), length = Math.min(round(this.#rate * this.#lengthS()), lag);
      this.#due = this.#later(now);
      if (now < lag) return;
      this.#until = now + length + this.#rate;
      player.lead(lag, length);
      const at = now - this.#begin;
      this.#returned(at / this.#rate, (at - lag) / this.#rate, length / this.#rate);
    }
  }

  #later(/** @type {number} */ now) {
    return now - round(this.#rate * WAIT_S * Math.log(1 - this.#rng.random()));
  }

  #lagS() {
    let at = this.#rng.random() * LAG_RUNS.reduce((sum, runs) => sum + runs), which = 0;
    for (let reached = LAG_RUNS[0]; which < LAG_RUNS.length - 1 && at >= reached; reached += LAG_RUNS[which]) which += 1;
    const [least, most] = LAGS_S.slice(which, which + 2);
    return least * (most / least) ** this.#rng.random();
  }

  #lengthS() {
    const at = this.#rng.random() * (LENGTHS_LED_S.length - 1);
    const [least, most] = LENGTHS_LED_S.slice(Math.floor(at), Math.floor(at) + 2);
    return least + (most - least) * (at % 1);
  }
}
