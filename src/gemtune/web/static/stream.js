// The connection to the server: one stream of events for everything (docs/dashboard.md says which). It begins with all
// that is known; after a reconnection it goes on where it stopped, or begins again.

import { LINKS } from "./store.js";

const SILENT = 15_000; // milliseconds after which a connection without a sign of life is given up
const RETRY = [1000, 2000, 5000]; // until the next attempt, where the browser does not try by itself

/** Follow the server and put what it says into the store. */
export function follow(store) {
  let source = null;
  let failures = 0;
  let alive = performance.now();
  const handlers = {
    jobs: (value) => store.replace(value),
    job: (value) => store.changeJob(value),
    gone: (value) => store.removeJob(value),
    batch: (value) => store.changeBatch(value),
    batch_gone: (value) => store.removeBatch(value),
    sample: (value) => store.addSample(value),
    service: (value) => store.changeService(value),
    beat: ({ now }) => store.setClock(now),
  };

  function open() {
    source = new EventSource("api/events");
    alive = performance.now();
    source.addEventListener("open", live);
    source.addEventListener("error", broken);
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => {
        live();
        handle(JSON.parse(event.data));
      });
    }
  }

  /** Return why the server lets nobody in, as after a restart that has made the link of the page void; or nothing. */
  async function refused() {
    try {
      const response = await fetch("api/jobs");
      const said = response.ok ? "" : await response.text();
      return said.startsWith("{") ? JSON.parse(said).error : said;
    } catch {
      return ""; // it is not there
    }
  }

  function live() {
    failures = 0;
    alive = performance.now();
    store.changeRefusal("");
    store.changeLink(LINKS.live);
  }

  function broken() {
    store.changeLink(LINKS.reconnecting);
    alive = performance.now();
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
    refused().then((why) => store.changeRefusal(why));
    setTimeout(open, RETRY[Math.min(failures++, RETRY.length - 1)]);
  }

  setInterval(() => {
    if (source.readyState !== EventSource.OPEN || performance.now() - alive < SILENT) return;
    source.close(); // the other side has gone without a word, as behind a laptop's lid
    broken();
  }, 1000);
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && open()); // back from another page
  open();
}

/** Ask a job's model; the answer comes by the stream, to everybody who looks. */
export async function ask(name, prompt) {
  const headers = { "Content-Type": "application/json", "X-Gemtune": "1" };
  const response = await fetch("api/ask", { method: "POST", headers, body: JSON.stringify({ name, prompt }) });
  if (response.ok) return;
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? `The server answered ${response.status}.`);
}
