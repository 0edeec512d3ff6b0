// The connection to the server: one stream of events for everything. It begins with all that is known, after a
// reconnection as well, so that a page that slept through a restart shows no ghosts.

import { LINKS } from "./store.js";

const RETRY = [1000, 2000, 5000]; // milliseconds until the next attempt, where the browser has given up

const asking = async (response) => {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error ?? `The server answered ${response.status}.`);
  return body;
};

/** Follow the server and put what it says into the store. */
export function follow(store) {
  let failures = 0;
  const handlers = {
    state: (value) => store.replace(value),
    jobs: (value) => store.changeJobs(value),
    gone: (value) => store.removeJob(value.name),
    batch: (value) => store.changeBatch(value),
    outages: (value) => store.changeOutages(value),
    beat: () => store.beat(),
  };
  const open = () => {
    const source = new EventSource("events");
    source.addEventListener("open", () => {
      failures = 0;
      store.changeLink(LINKS.live);
    });
    source.addEventListener("error", () => {
      store.changeLink(LINKS.reconnecting);
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
      setTimeout(open, RETRY[Math.min(failures++, RETRY.length - 1)]);
    });
    for (const [kind, handle] of Object.entries(handlers)) source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
    return source;
  };
  const source = open();
  addEventListener("pagehide", () => source.close());
}

/** Ask a job's model a prompt; the answer goes into the store as well. */
export async function ask(store, name, prompt) {
  const sample = await asking(
    await fetch("ask", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ job: name, prompt }) }),
  );
  store.changeSamples(name, [sample, ...(store.samples.get(name) ?? [])]);
  return sample;
}
