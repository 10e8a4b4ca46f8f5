// What the engine of the page plays in the cases of a file, for tests/test_page_engine.py to compare
// with Python's: node tests/web/streams.js cases.json prints the events of each, and what was wrong.

import { readFileSync } from "node:fs";

import { primerIds } from "../../src/espressivo/server/web/engine/codec.js";
import { Layout } from "../../src/espressivo/server/web/engine/layout.js";
import { Philox } from "../../src/espressivo/server/web/engine/philox.js";
import { Player } from "../../src/espressivo/server/web/engine/player.js";
import { latest, performance } from "../../src/espressivo/server/web/engine/primer.js";
import { changed, USUAL } from "../../src/espressivo/server/web/engine/settings.js";
import { Stream } from "../../src/espressivo/server/web/engine/stream.js";

const { vocabularies, cases } = JSON.parse(readFileSync(process.argv[2], "utf8"));

import { Habit } from "../../src/espressivo/server/web/engine/habit.js";
import { Pointers } from "../../src/espressivo/server/web/engine/pointers.js";

// A model whose scores are rows of a table, chosen by all that it has read, and steered.
class Reader {
  mixed = 0;

  constructor(table, controls, layout) {
    Object.assign(this, { table, controls, layout, pointers: layout?.notewise ? new Pointers(layout) : null });
  }

  get logits() {
    return this.pointers?.lifted(this.expected, this.lift) ?? this.expected;
  }

  async feed(id) {
    this.mixed = (this.mixed * 31 + id + 1) % 1009;
    if (id < this.layout.size) this.pointers?.feed(id);
    this.expected = this.table[(this.mixed + 7 * (this.controls !== null)) % this.table.length];
  }

  copy() {
    return Object.assign(new Reader(), this, { pointers: this.pointers?.copy() ?? null });
  }
}

async function played({ vocabulary, stubborn, seed, primer, settings, lead, count, actions }) {
  const layout = new Layout(vocabularies[vocabulary].vocabulary);
  const table = vocabularies[vocabulary].tables[Number(stubborn)].map((row) => Float32Array.from(row));
  const source = {
    layout, controls: 50,
    async state(controls) {
      const reader = new Reader(table, controls, layout);
      await reader.feed(layout.size);
      return reader;
    },
  };
  const ids = primerIds(performance(latest(primer, 100)), layout);
  let now = 0;
  const sleep = async (seconds) => void (now += seconds);
  const player = await Player.prepared(source, changed(USUAL, settings), new Philox(seed), ids);
  const habit = layout.notewise ? new Habit(new Philox(seed, 1), player.decoder.begin, layout.rate) : null;
  const stream = new Stream(player, { habit, leadS: lead, clock: () => now, sleep });
  const events = [];
  for (let n = 0; n < count; n += 1) {
    for (const [at, what, ...given] of actions) {
      if (at !== n) continue;
      if (what === "late") now += given[0];
      else stream[what](...given);
    }
    const event = await stream.next();
    if (event === null) break;
    events.push([event.time, event.kind, event.pitch, event.velocity]);
  }
  return { primer: ids, events, recoveries: stream.recoveries };
}

const results = [];
for (const each of cases) results.push(await played(each));
process.stdout.write(JSON.stringify(results));
