// The card with the curves of the chosen jobs, one over the other, and the legend with their values at the cursor.

import { LossChart, curveOf, valueAt } from "./chart.js";
import { byId, h, say, set, show } from "./dom.js";
import { digits } from "./words.js";

/** A legend: per curve its colour, its name, and its values at a step or at the end. */
export class Legend {
  #lines = new Map();
  #curves = [];
  #step = null;

  constructor(list, onlight = () => {}) {
    this.list = list;
    this.onlight = onlight;
    this.at = h("li", { class: "at dim" });
    list.replaceChildren(this.at);
  }

  draw(curves) {
    this.#curves = curves;
    const keys = new Set(curves.map((curve) => curve.key));
    for (const [key, line] of this.#lines) {
      if (keys.has(key)) continue;
      line.element.remove();
      this.#lines.delete(key);
    }
    for (const curve of curves) {
      const line = this.#line(curve.key);
      set(line.swatch, "data-curve", curve.slot % 8);
      say(line.swatch, String.fromCharCode(97 + (curve.slot % 26)));
      say(line.title, curve.title);
    }
    this.at.after(...curves.map((curve) => this.#lines.get(curve.key).element));
    this.point(this.#step);
  }

  #line(key) {
    if (!this.#lines.has(key)) {
      const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
      const title = h("span", { class: "title" });
      const value = h("span", { class: "number" });
      const element = h("li", {}, swatch, title, value);
      element.addEventListener("pointerenter", () => this.onlight(key));
      element.addEventListener("pointerleave", () => this.onlight(null));
      this.#lines.set(key, { element, swatch, title, value });
    }
    return this.#lines.get(key);
  }

  /** Show the values at a step; null shows the last ones. */
  point(step) {
    this.#step = step;
    say(this.at, step == null ? "latest" : `at step ${step}`);
    for (const { key, losses, evals } of this.#curves) {
      const train = step == null ? losses.values.at(-1) : valueAt(losses, step);
      const held = step == null ? evals.values.at(-1) : valueAt(evals, step);
      say(this.#lines.get(key).value, evals.steps.length ? `${digits(train)} · eval ${digits(held)}` : digits(train));
    }
  }
}

/** Which colour a drawn job has: the lowest that is free when it is chosen, and the same for as long as it is drawn. */
export class Slots {
  #slots = new Map();

  /** Return name → number of the colour, for the names that are drawn. */
  give(names) {
    const wanted = new Set(names);
    for (const name of this.#slots.keys()) if (!wanted.has(name)) this.#slots.delete(name);
    const taken = new Set(this.#slots.values());
    let free = 0;
    for (const name of names) {
      if (this.#slots.has(name)) continue;
      while (taken.has(free)) free += 1;
      taken.add(free);
      this.#slots.set(name, free);
    }
    return this.#slots;
  }
}

export class Board {
  constructor(store, view) {
    this.store = store;
    this.view = view;
    this.chart = new LossChart(byId("board-chart"), { height: 300, onstep: (step) => this.legend.point(step) });
    this.legend = new Legend(byId("legend"), (key) => this.chart.light(key));
    byId("log").addEventListener("change", (event) => {
      view.change({ log: event.target.checked });
      this.draw(this.slots);
    });
  }

  draw(slots) {
    this.slots = slots;
    byId("log").checked = this.view.log;
    const jobs = [...slots.keys()].map((name) => this.store.jobs.get(name)).filter(Boolean);
    const curves = jobs.map((job) => curveOf(job, slots.get(job.name)));
    this.chart.draw(curves, this.view.log);
    this.legend.draw(curves);
    show(this.legend.list, curves.length > 0);
    show(byId("key"), curves.some((curve) => curve.evals.steps.length)); // one kind of line needs no explanation
    say(this.chart.hint, this.store.jobs.size && !curves.length ? "No job is chosen: tick some below." : "No snapshot yet: the first one comes some seconds after the training starts.");
  }
}
