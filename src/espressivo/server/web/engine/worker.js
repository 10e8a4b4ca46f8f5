// Worker: the engine of a page without a server, on a thread of its own. `site.json` says which
// models there are and what can be steered; ONNX Runtime and models are fetched from beside it.

import { Network } from "./network.js";
import { Session } from "./session.js";

/**
 * What `espressivo page` has written beside the page.
 * @typedef {object} Site
 * @property {string} version
 * @property {{ name: string, file: string }[]} models
 * @property {import("../settings.js").Control[]} controls
 */

const [GZIP, ZIPPED] = [0x1f, 0x8b]; // with which a compressed file begins

const place = (/** @type {string} */ file) => new URL(`../${file}`, import.meta.url).href;

/** A file from beside the page, which hosts may have taken out of its compression. */
async function content(/** @type {string} */ file) {
  const response = await fetch(place(file));
  if (!response.ok) throw new Error(`${file} cannot be fetched: the host answers ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes[0] !== GZIP || bytes[1] !== ZIPPED) return bytes;
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** The models that can be chosen, each loaded when it first is. */
class Models {
  /** @type {Map<string, Network>} */ #loaded = new Map();

  /** @param {Site["models"]} bundled @param {Promise<import("./network.js").Runtime>} runtime which may still be on its way */
  constructor(bundled, runtime) {
    this.bundled = bundled;
    this.runtime = runtime;
  }

  get names() {
    return [...new Set([...this.bundled.map(({ name }) => name), ...this.#loaded.keys()])];
  }

  async get(/** @type {string} */ name) {
    const loaded = this.#loaded.get(name), bundled = this.bundled.find((model) => model.name === name);
    if (loaded) return loaded;
    if (!bundled) throw new Error(`name must be one of ${this.names.join(", ")}, not '${name}'`);
    return this.add(name, await content(bundled.file));
  }

  async add(/** @type {string} */ name, /** @type {Uint8Array<ArrayBuffer>} */ content) {
    const network = await Network.open(content, name, await this.runtime);
    this.#loaded.set(name, network);
    return network;
  }
}

async function onnxRuntime() {
  const [runtime, wasmBinary] = await Promise.all([import(place("onnxruntime/ort.js")), content("onnxruntime/ort.wasm.gz")]);
  Object.assign(runtime.env.wasm, { numThreads: 1, wasmBinary });
  return runtime;
}

async function begun() {
  const runtime = onnxRuntime();
  runtime.catch(() => {}); // whoever waits for it is told
  /** @type {Site} */
  const { version, models, controls } = JSON.parse(new TextDecoder().decode(await content("site.json")));
  const session = new Session(new Models(models, runtime), controls, (message) => postMessage(message));
  await session.greet(version);
  return session;
}

// Messages are done one after another, from the first on, which may come before it is ready.
let done = begun();
done.catch((error) => postMessage({ type: "error", run: null, message: String(error.message ?? error) }));
addEventListener("message", ({ data }) => {
  done = done.then(async (session) => {
    await session.handle(data);
    return session;
  });
  done.catch(() => {}); // it has been told
});
