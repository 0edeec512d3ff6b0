// The cards beside the curves: batches with their progress, and what has gone wrong.

import { byId, h, say, set, show } from "./dom.js";
import { count, digits, duration, many } from "./words.js";

const FEW = 4;

/** Return `3,150 of 5,000 answered · 2 failed · 118/s · 16 s left · waiting for the consumer`. */
export function batchLine(batch, seconds) {
  const done = batch.total == null ? `${count(batch.done)} answered` : `${count(batch.done)} of ${count(batch.total)} answered`;
  const parts = [done];
  if (batch.failed) parts.push(`${count(batch.failed)} failed`);
  if (batch.ended) parts.push(`took ${duration(batch.elapsed)}`);
  else {
    if (batch.rate) parts.push(`${digits(batch.rate, 3)}/s`);
    if (batch.eta != null) parts.push(`${duration(batch.eta - seconds)} left`);
    if (batch.parked) parts.push(`${count(batch.parked)} parked`);
    if (batch.held_back) parts.push(batch.held_back);
  }
  return parts.join(" · ");
}

export class Side {
  #batches = new Map();
  #all = false;

  constructor(store, view, { onopen }) {
    this.store = store;
    this.view = view;
    this.onopen = onopen;
    byId("all-problems").addEventListener("click", () => {
      this.#all = !this.#all;
      this.drawProblems();
    });
  }

  drawBatches() {
    const { batches } = this.store;
    show(byId("batches"), batches.size > 0);
    for (const [id, parts] of this.#batches) {
      if (batches.has(id)) continue;
      parts.element.remove();
      this.#batches.delete(id);
    }
    for (const [id, batch] of batches) {
      const parts = this.#batch(id);
      say(parts.title, batch.title);
      set(parts.progress, "aria-label", `Progress of ${batch.title}`);
      set(parts.progress, "data-tone", batch.ended ? (batch.failed ? "bad" : "good") : batch.held_back ? "waiting" : "running");
      set(parts.progress, "value", batch.share == null ? null : batch.share.toFixed(4));
      show(parts.progress, batch.share != null);
      if (parts.element.parentElement == null) byId("batch-list").append(parts.element);
    }
    this.tick(performance.now());
  }

  #batch(id) {
    if (!this.#batches.has(id)) {
      const title = h("strong");
      const progress = h("progress", { max: "1" });
      const line = h("p", { class: "dim more" });
      this.#batches.set(id, { element: h("li", {}, title, progress, line), title, progress, line });
    }
    return this.#batches.get(id);
  }

  tick(now) {
    for (const [id, { line }] of this.#batches) {
      const batch = this.store.batches.get(id);
      if (batch) say(line, batchLine(batch, (now - batch.drawnAt) / 1000));
    }
  }

  drawProblems() {
    const bad = [...this.store.jobs.values()].filter((job) => job.tone === "bad" || job.trouble);
    const outages = [...this.store.outages].reverse();
    const number = bad.length + outages.length;
    show(byId("problems"), number > 0);
    say(byId("problems-title"), many(number, "problem"));
    const items = [...outages.map((outage) => this.#outage(outage)), ...bad.map((job) => this.#job(job))];
    byId("problem-list").replaceChildren(...(this.#all ? items : items.slice(0, FEW)));
    show(byId("all-problems"), number > FEW);
    say(byId("all-problems"), this.#all ? "Show fewer" : `Show all ${number}`);
  }

  #outage({ message, since, until }) {
    const from = since ? new Date(since).toLocaleTimeString() : "";
    const when = until ? `${from} to ${new Date(until).toLocaleTimeString()}` : `since ${from}`;
    return h("li", {}, h("strong", {}, until ? "Outage, over" : "Outage"), h("span", { class: "dim more" }, from ? ` ${when}` : ""), h("p", { class: "more" }, message));
  }

  #job(job) {
    const open = (event) => {
      event.preventDefault();
      this.onopen(job.name);
    };
    const link = h("a", { href: this.view.address({ job: job.name }), onclick: open }, job.title);
    return h("li", {}, link, h("span", { class: "dim more" }, ` ${job.word}`), h("p", { class: "reason more" }, job.reason || job.trouble || "no reason was given"));
  }
}
