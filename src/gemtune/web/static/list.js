// The table of jobs. A job has a <tbody> of its own: its row, and below it the reason if it failed. Only what has
// changed is touched, so that 200 jobs cost no more than those that move.

import { byId, h, say, set, show } from "./dom.js";
import { TONES, TONE_WORDS, digits, failed, lowest, many, steps, time } from "./words.js";

const GLYPHS = { unseen: "○", waiting: "◌", running: "●", good: "✓", bad: "✗", over: "■" };
const SVG = "http://www.w3.org/2000/svg";

/** Return a state as a coloured word. */
export function pill() {
  return h("span", { class: "pill" });
}

export function showState(element, job) {
  say(element, job.word);
  set(element, "data-tone", job.tone);
  set(element, "data-glyph", GLYPHS[job.tone] ?? "○");
}

/** Return the points of a small curve, 64 by 18. */
function sparkline({ values }) {
  if (values.length < 2) return "";
  const stride = Math.max(Math.floor(values.length / 32), 1);
  const kept = values.filter((_, index) => index % stride === 0 || index === values.length - 1);
  const logs = kept.map((value) => Math.log(Math.max(value, 1e-9)));
  const low = Math.min(...logs);
  const height = Math.max(...logs) - low || 1;
  return logs.map((value, index) => `${((64 * index) / (logs.length - 1)).toFixed(1)},${(17 - (16 * (value - low)) / height).toFixed(1)}`).join(" ");
}

class Row {
  #curve = null;

  constructor(name, table) {
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab or window, as with any link
      event.preventDefault();
      table.onopen(name);
    };
    const cell = (kind, ...children) => h("td", { role: "cell", class: kind }, ...children);
    this.box = h("input", { type: "checkbox", class: "curve", onchange: () => table.ondraw(name, this.box.checked) });
    this.link = h("a", { href: "#", onclick: open });
    this.dim = h("span", { class: "dim" });
    this.pill = pill();
    this.progress = h("progress", { max: "1" });
    this.steps = h("span", { class: "number" });
    this.loss = h("span", { class: "number" });
    this.line = document.createElementNS(SVG, "polyline");
    this.spark = document.createElementNS(SVG, "svg");
    this.spark.setAttribute("class", "spark");
    this.spark.setAttribute("viewBox", "0 0 64 18");
    this.spark.setAttribute("aria-hidden", "true");
    this.spark.append(this.line);
    this.lowest = h("span", { class: "number" });
    this.time = h("span", { class: "number" });
    this.why = h("td", { role: "cell", colspan: "6" });
    this.whyRow = h("tr", { role: "row", class: "why", hidden: true }, h("td", { role: "cell", class: "pick" }), this.why);
    this.element = h(
      "tbody",
      { role: "rowgroup" },
      h(
        "tr",
        { role: "row", class: "main" },
        cell("pick", this.box),
        cell("job", this.link, this.dim),
        cell("state", this.pill),
        cell("progress", h("div", { class: "headway" }, this.progress, this.steps)),
        cell("loss", h("div", { class: "losses" }, this.loss, this.spark)),
        cell("lowest", this.lowest),
        cell("time", this.time),
      ),
      this.whyRow,
    );
    this.element.addEventListener("pointerenter", () => table.onlight(name));
    this.element.addEventListener("pointerleave", () => table.onlight(null));
    this.element.addEventListener("focusin", () => table.onlight(name));
    this.element.addEventListener("focusout", () => table.onlight(null));
  }

  draw(job, address) {
    say(this.link, job.title);
    set(this.link, "href", address);
    say(this.dim, job.hyperparameters || job.base_model);
    set(this.dim, "title", job.name);
    showState(this.pill, job);
    set(this.progress, "data-tone", job.tone);
    show(this.progress, job.share != null);
    if (job.share != null) set(this.progress, "value", job.share.toFixed(4));
    set(this.progress, "aria-label", `Progress of ${job.title}`);
    say(this.steps, steps(job));
    say(this.loss, failed(job) || digits(job.loss)); // a batch has no loss
    this.loss.classList.toggle("bare", Boolean(job.counts));
    say(this.lowest, lowest(job));
    show(this.box, !job.counts);
    set(this.box, "aria-label", `Draw the curve of ${job.title}`);
    const why = job.reason || job.trouble;
    say(this.why, why);
    show(this.whyRow, Boolean(why));
    const { values } = job.losses;
    const curve = `${values.length} ${values.at(-1)}`;
    if (curve !== this.#curve) this.line.setAttribute("points", sparkline(job.losses));
    this.#curve = curve;
  }

  /** Show the time, which passes while nothing else happens. */
  tick(job, now) {
    say(this.time, time(job, (now - job.drawnAt) / 1000));
  }

  mark(slot) {
    this.box.checked = slot != null;
    set(this.box, "data-curve", slot == null ? null : slot % 8);
    set(this.box, "data-letter", slot == null ? null : String.fromCharCode(97 + (slot % 26)));
  }
}

export class JobList {
  #rows = new Map();
  #shown = [];

  constructor(store, view) {
    this.store = store;
    this.view = view;
    this.table = byId("table");
    this.onopen = this.ondraw = this.onlight = this.onview = () => {};
    this.#controls();
  }

  #controls() {
    const { view } = this;
    const find = byId("find");
    const change = (changes) => {
      view.change(changes);
      this.onview();
    };
    find.addEventListener("input", () => change({ text: find.value }));
    byId("sort").addEventListener("change", (event) => change({ sort: event.target.value, down: false }));
    for (const head of this.table.querySelectorAll("[data-sort]")) {
      const sort = head.dataset.sort;
      head.firstElementChild.addEventListener("click", () => {
        if (view.sort !== sort) change({ sort, down: false });
        else change(view.down ? { sort: "", down: false } : { down: true });
      });
    }
    byId("show-all").addEventListener("click", () => {
      change({ text: "", tones: new Set() });
      find.focus();
    });
    this.chips = new Map(
      TONES.map((tone) => {
        const toggle = () => {
          const tones = new Set(view.tones);
          if (!tones.delete(tone)) tones.add(tone);
          change({ tones });
        };
        return [tone, h("button", { type: "button", "data-tone": tone, onclick: toggle })];
      }),
    );
    byId("states").append(...this.chips.values());
  }

  /** Show what was chosen, as after a reload. */
  restore() {
    const { view } = this;
    if (byId("find").value !== view.text) byId("find").value = view.text;
    byId("sort").value = view.sort;
    for (const head of this.table.querySelectorAll("[data-sort]"))
      set(head, "aria-sort", head.dataset.sort === view.sort ? (view.down ? "descending" : "ascending") : null);
  }

  /** Draw the jobs with these names; `slots` says which curves are drawn, and in which colour. */
  draw(names, slots) {
    const { jobs } = this.store;
    for (const name of names) {
      const job = jobs.get(name);
      if (job) this.#row(name).draw(job, this.view.address({ job: name }));
      else this.#rows.get(name)?.element.remove(), this.#rows.delete(name);
    }
    this.#order();
    this.mark(slots);
    this.#count();
    this.tick(performance.now());
  }

  #row(name) {
    if (!this.#rows.has(name)) this.#rows.set(name, new Row(name, this));
    return this.#rows.get(name);
  }

  #order() {
    const listed = this.view.listed(this.store.jobs.values()).map((job) => job.name);
    show(byId("nothing"), !listed.length && this.store.jobs.size > 0);
    const old = this.#shown;
    this.#shown = listed;
    if (listed.length === old.length && listed.every((name, index) => name === old[index])) return;
    const wanted = new Set(listed);
    for (const name of old) if (!wanted.has(name)) this.#rows.get(name)?.element.remove();
    let before = this.table.tHead;
    for (const name of listed) {
      const { element } = this.#rows.get(name);
      if (before.nextElementSibling !== element) {
        const focused = element.contains(document.activeElement) ? document.activeElement : null;
        before.after(element);
        focused?.focus({ preventScroll: true }); // moving an element takes the focus from it
      }
      before = element;
    }
  }

  mark(slots) {
    for (const [name, row] of this.#rows) row.mark(slots.get(name));
    const { curved } = this;
    const drawn = curved.filter((name) => slots.has(name)).length;
    const all = byId("choose-all");
    all.checked = drawn > 0 && drawn === curved.length;
    all.indeterminate = drawn > 0 && drawn < curved.length;
  }

  #count() {
    const counts = new Map();
    for (const { tone } of this.store.jobs.values()) counts.set(tone, (counts.get(tone) ?? 0) + 1);
    for (const [tone, chip] of this.chips) {
      const number = counts.get(tone) ?? 0;
      const pressed = this.view.tones.has(tone);
      say(chip, `${number} ${TONE_WORDS[tone]}`);
      show(chip, pressed || (number > 0 && counts.size > 1));
      set(chip, "aria-pressed", pressed);
    }
    const { length } = this.#shown;
    const all = this.store.jobs.size;
    say(byId("jobs-title"), length === all ? many(all, "job") : `${length} of ${many(all, "job")}`);
  }

  /** Return the names of the jobs that are listed and may have a curve, from top to bottom. */
  get curved() {
    return this.#shown.filter((name) => !this.store.jobs.get(name)?.counts);
  }

  /** Let the time pass. */
  tick(now) {
    for (const name of this.#shown) this.#rows.get(name).tick(this.store.jobs.get(name), now);
  }

  /** Put the focus on a job, as after its details were closed. */
  focus(name) {
    this.#rows.get(name)?.link.focus();
  }
}
