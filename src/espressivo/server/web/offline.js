// Offline: a service worker that keeps the page and its piano, for when the server is out of reach.
// What the server has comes first, so that a new version is seen at once. A page without a server
// asks for all of its files to be kept, by ?whole.

/** @typedef {{ respondWith(response: Promise<Response>): void, request: Request }} Fetched */
/** @typedef {{ waitUntil(done: Promise<unknown>): void }} Installed */

const KEPT = "espressivo";

self.addEventListener("install", (event) => {
  if (location.search === "?whole") /** @type {Installed} */ (/** @type {unknown} */ (event)).waitUntil(whole());
});

self.addEventListener("fetch", (event) => {
  const { request } = /** @type {Fetched} */ (/** @type {unknown} */ (event));
  const mine = request.method === "GET" && new URL(request.url).origin === location.origin;
  if (mine) /** @type {Fetched} */ (/** @type {unknown} */ (event)).respondWith(answered(request));
});

/** @param {Request} request */
async function answered(request) {
  const cache = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

async function whole() {
  const { files } = await (await fetch("site.json")).json();
  await (await caches.open(KEPT)).addAll(files);
}
