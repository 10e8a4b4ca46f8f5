// Takes: what has been recorded, kept by the browser (IndexedDB) as it is recorded, so that nothing
// but the latest moment can be lost. Where the browser keeps nothing, they last as long as the page.

import { t } from "./words.js";

/** @typedef {import("./music.js").HandEvent} HandEvent */
/** @typedef {import("./settings.js").Settings} Settings */
/**
 * What is kept of a take beside its events.
 * @typedef {object} Row
 * @property {string} id
 * @property {string} name
 * @property {number} began milliseconds since 1970
 * @property {number} seconds
 * @property {number} notes
 * @property {number} parts how many lists of events there are
 * @property {{ name: string, sha256: string, licence: string } | null} model that played
 * @property {number} seed
 * @property {Settings} settings at its beginning
 * @property {[number, Settings][]} changes with the seconds when they were made
 * @property {number | null} deleted when, in milliseconds since 1970
 */

const NAME = "espressivo", VERSION = 1, ROWS = "takes", PARTS = "parts";
const GONE_MS = 24 * 3600_000; // a deleted take can be had back for so long

/** Where rows and lists of events are kept, by keys. */
export class Memory {
  /** @type {Map<string, Row>} */ rows = new Map();
  /** @type {Map<string, HandEvent[]>} */ parts = new Map();

  async all() {
    return [...this.rows.values()];
  }

  async events(/** @type {Row} */ { id, parts }) {
    return Array.from({ length: parts }, (_, n) => this.parts.get(`${id} ${n}`) ?? []).flat();
  }

  async put(/** @type {Row} */ row, /** @type {HandEvent[] | null} */ events = null) {
    this.rows.set(row.id, row);
    if (events) this.parts.set(`${row.id} ${row.parts - 1}`, events);
  }

  async forget(/** @type {string} */ id) {
    this.rows.delete(id);
    for (const key of [...this.parts.keys()]) if (key.startsWith(`${id} `)) this.parts.delete(key);
  }
}

/** The same in the browser's database. */
class Database {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /** @returns {Promise<Database>} */
  static open() {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(ROWS, { keyPath: "id" });
      request.result.createObjectStore(PARTS);
    };
    return result(request).then((database) => new Database(database));
  }

  /** @returns {Promise<Row[]>} */
  all() {
    return result(this.#open("readonly").objectStore(ROWS).getAll());
  }

  /** @param {Row} row @returns {Promise<HandEvent[]>} */
  async events({ id }) {
    return (await result(this.#open("readonly").objectStore(PARTS).getAll(range(id)))).flat();
  }

  /** @param {Row} row @param {HandEvent[] | null} events @returns {Promise<void>} */
  put(row, events = null) {
    const transaction = this.#open("readwrite");
    transaction.objectStore(ROWS).put(row);
    if (events) transaction.objectStore(PARTS).put(events, [row.id, row.parts - 1]);
    return finished(transaction);
  }

  /** @param {string} id @returns {Promise<void>} */
  forget(id) {
    const transaction = this.#open("readwrite");
    transaction.objectStore(ROWS).delete(id);
    transaction.objectStore(PARTS).delete(range(id));
    return finished(transaction);
  }

  #open(/** @type {IDBTransactionMode} */ mode) {
    return this.database.transaction([ROWS, PARTS], mode);
  }
}

export class Takes {
  /** @type {Memory | Database} */ #place = new Memory();
  #spare = new Memory(); // for what the database has no room for

  /**
   * @param {import("./store.js").Store} store whose `takes` it changes
   * @param {import("./history.js").History} history
   */
  constructor(store, history) {
    this.store = store;
    this.history = history;
  }

  /** Open what was kept; without a database takes last as long as the page. */
  async open() {
    try {
      const database = await Database.open();
      for (const row of await database.all()) {
        if (row.deleted !== null && row.deleted < Date.now() - GONE_MS) await database.forget(row.id);
      }
      this.#place = database;
      this.store.change({ safe: true });
    } catch { /* in a private window, say */ }
    await this.refresh();
  }

  /** Read the list anew: another page may have changed it. */
  async refresh() {
    const rows = (await this.#all()).filter(({ deleted }) => deleted === null);
    this.store.change({ takes: rows.sort((a, b) => b.began - a.began) });
  }

  /** @param {Row} row @returns {Promise<HandEvent[]>} */
  async events(row) {
    return [...await this.#place.events(row), ...await this.#spare.events(row)];
  }

  /**
   * Keep more of a take.
   * @param {Row} row as it now is; a new one if it has no parts
   * @param {HandEvent[]} events
   * @returns {Promise<Row>}
   */
  async append(row, events) {
    const named = this.store.state.takes.find(({ id }) => id === row.id)?.name ?? row.name;
    const longer = { ...row, name: named, parts: row.parts + 1, notes: row.notes + events.filter(([, status]) => status === 0x90).length };
    this.#show(longer);
    await this.#put(longer, events);
    return longer;
  }

  /** @param {Row} row @param {string} name */
  rename(row, name) {
    const called = (/** @type {string} */ name) => () => this.#change(row.id, { name });
    this.history.add({ name: t("Name"), undo: called(row.name), redo: called(name) });
    called(name)();
  }

  /** @param {Row} row */
  remove(row) {
    const gone = () => this.#change(row.id, { deleted: Date.now() });
    const back = () => this.#change(row.id, { deleted: null });
    this.history.add({ name: t("Delete {name}", { name: row.name }), undo: back, redo: gone });
    gone();
  }

  async #change(/** @type {string} */ id, /** @type {Partial<Row>} */ part) {
    const row = (await this.#all()).find((row) => row.id === id);
    if (row) await this.#put({ ...row, ...part });
    await this.refresh();
  }

  #show(/** @type {Row} */ row) {
    const others = this.store.state.takes.filter(({ id }) => id !== row.id);
    this.store.change({ takes: [row, ...others].sort((a, b) => b.began - a.began) });
  }

  async #all() {
    const rows = new Map((await this.#place.all()).map((row) => [row.id, row]));
    for (const row of await this.#spare.all()) rows.set(row.id, row);
    return [...rows.values()];
  }

  async #put(/** @type {Row} */ row, /** @type {HandEvent[] | null} */ events = null) {
    try {
      await this.#place.put(row, events);
      if (this.#spare.rows.has(row.id)) await this.#spare.put(row);
    } catch { // the disk is full, say
      await this.#spare.put(row, events);
      this.store.change({ safe: false });
    }
  }
}

/** @param {string} id */
const range = (id) => IDBKeyRange.bound([id, 0], [id, Infinity]);

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}
