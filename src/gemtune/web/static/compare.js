// The chosen jobs beside each other: their curves in one chart, or each in its own with the same axes and one cursor, and
// a table in which what differs stands out.

import { Legend } from "./board.js";
import { LossChart, curveOf } from "./chart.js";
import { byId, h, say, set, show } from "./dom.js";
import { digits, duration, lowest, steps } from "./words.js";

/** Return the rows of the table: [name, one value per job]. */
function rows(jobs) {
  const names = [...new Set(jobs.flatMap((job) => Object.keys(job.parameters ?? {})))];
  const settings = [
    ["base model", jobs.map((job) => job.base_model.replace(/^models\//, ""))],
    ...names.map((name) => [name, jobs.map((job) => job.parameters?.[name] ?? "–")]),
  ];
  return settings.map(([name, values]) => ({ name, values, differs: new Set(values).size > 1 }));
}

function results(jobs) {
  const best = (key) => {
    const values = jobs.map(key).filter((value) => value != null);
    return jobs.length > 1 && values.length ? Math.min(...values) : null;
  };
  const numbers = [
    ["loss", (job) => job.loss, (job) => digits(job.loss)],
    ["eval loss", (job) => job.eval_losses.values.at(-1), (job) => digits(job.eval_losses.values.at(-1))],
    ["lowest @ step", (job) => job.lowest?.loss, lowest],
    ["time", () => null, (job) => (job.elapsed == null ? "–" : duration(job.elapsed))],
  ];
  return [
    { name: "state", values: jobs.map((job) => job.word) },
    { name: "steps", values: jobs.map((job) => steps(job) || "–") },
    ...numbers.map(([name, key, shown]) => ({ name, values: jobs.map(shown), best: jobs.map((job) => key(job) != null && key(job) === best(key)) })),
  ].filter(({ values }) => values.some((value) => value !== "–"));
}

export class Compare {
  #charts = new Map();
  #parts = null;

  constructor(store, view, { onclose }) {
    this.store = store;
    this.view = view;
    this.dialog = byId("compare");
    this.dialog.addEventListener("close", () => {
      this.#clear();
      onclose();
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  #clear() {
    for (const chart of this.#charts.values()) chart.close();
    this.#charts.clear();
    this.#parts = null;
    this.dialog.replaceChildren();
  }

  /** Open or close, as the view says. */
  show(slots) {
    if (!this.view.comparing) {
      if (this.dialog.open) this.dialog.close();
      return;
    }
    if (!this.#parts) this.#build();
    if (!this.dialog.open) {
      this.dialog.showModal();
      this.#parts.close.focus();
    }
    this.draw(slots);
  }

  #build() {
    const title = h("h2", { id: "compare-title" });
    const side = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.#change({ side: !this.view.side }) }, "Side by side");
    const log = h("input", { type: "checkbox", onchange: (event) => this.#change({ log: event.target.checked }) });
    const close = h("button", { type: "button", "aria-label": "Close the comparison", onclick: () => this.dialog.close() }, "Close");
    const charts = h("div");
    const legend = h("ul", { class: "legend", "aria-label": "Losses of the compared jobs" });
    const head = h("tr");
    const body = h("tbody");
    const table = h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Table of hyperparameters and results" }, h("table", {}, h("thead", {}, head), body));
    const bar = h("div", { class: "bar" }, title, h("label", { class: "switch" }, log, "Log scale"), side, close);
    this.dialog.replaceChildren(h("div", { class: "sheet" }, bar, charts, legend, h("h3", {}, "Hyperparameters and results"), table));
    this.#parts = { title, side, log, close, charts, head, body, list: legend, legend: new Legend(legend, (key) => this.#charts.get("all")?.light(key)) };
  }

  #change(changes) {
    this.view.change(changes);
    this.draw(this.slots);
  }

  /** Draw what is known now. */
  draw(slots) {
    if (!this.#parts) return;
    this.slots = slots;
    const { view } = this;
    const parts = this.#parts;
    const jobs = [...slots.keys()].map((name) => this.store.jobs.get(name)).filter(Boolean);
    const curves = jobs.map((job) => curveOf(job, slots.get(job.name)));
    say(parts.title, `Compare ${jobs.length} jobs`);
    parts.log.checked = view.log;
    set(parts.side, "aria-pressed", view.side);
    this.#draw(curves);
    parts.legend.draw(curves);
    show(parts.list, !view.side);
    parts.head.replaceChildren(h("td"), ...curves.map((curve) => h("th", { scope: "col", class: "head" }, swatch(curve), ` ${curve.title}`)));
    parts.body.replaceChildren(...[...rows(jobs), ...results(jobs)].map(row));
  }

  /** One chart for all, or one for each with the same steps and a shared cursor. */
  #draw(curves) {
    const { charts } = this.#parts;
    const { side, log } = this.view;
    const keys = side ? curves.map((curve) => curve.key) : ["all"];
    const wanted = JSON.stringify([side, keys]);
    if (this.#parts.shape !== wanted) {
      this.#parts.shape = wanted;
      for (const chart of this.#charts.values()) chart.close();
      this.#charts.clear();
      set(charts, "class", side ? "multiples" : "");
      charts.replaceChildren(...keys.map((key) => this.#box(key, curves.find((curve) => curve.key === key), side)));
    }
    const total = Math.max(...curves.map((curve) => curve.total ?? 0));
    const furthest = Math.max(...curves.map(({ losses, evals }) => Math.max(losses.steps.at(-1) ?? 0, evals.steps.at(-1) ?? 0)));
    const scale = side ? bounds(curves, log) : null;
    for (const [key, chart] of this.#charts) {
      chart.bounds = scale;
      chart.furthest = side ? furthest : null;
      chart.draw(side ? curves.filter((curve) => curve.key === key).map((curve) => ({ ...curve, total })) : curves, log);
    }
  }

  #box(key, curve, side) {
    const host = h("div", { class: "chart" });
    const options = side ? { height: 170, sync: "compare", label: `Mean loss of ${curve.title} by step` } : { height: 300, onstep: (step) => this.#parts?.legend.point(step) };
    this.#charts.set(key, new LossChart(host, options));
    return side ? h("div", {}, h("h4", {}, swatch(curve), ` ${curve.title}`), host) : host;
  }
}

/** Return the lowest and the highest loss of all curves, so that charts beside each other have one scale. */
function bounds(curves, log) {
  const values = curves.flatMap(({ losses, evals }) => [...losses.values, ...evals.values]).filter((value) => !log || value > 0);
  return values.length ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : null;
}

function swatch({ slot }) {
  return h("span", { class: "swatch", "data-curve": slot % 8, "aria-hidden": "true" }, String.fromCharCode(97 + (slot % 26)));
}

function row({ name, values, differs, best = [] }) {
  const columns = values.length;
  if (differs === false) values = [values[0]]; // said once
  const cells = values.map((value, index) => h("td", { class: best[index] ? "number best" : "number" }, value || "–"));
  if (differs === false) {
    set(cells[0], "colspan", columns);
    set(cells[0], "class", columns > 1 ? "alike" : "");
    if (columns > 1) cells[0].append(" in all");
  }
  return h("tr", { class: differs ? "differs" : null }, h("th", { scope: "row" }, name, differs ? h("span", { class: "unseen" }, " (differs)") : ""), ...cells);
}
