// Everything about one job, in a sheet at the side: facts, curve, checkpoints, how to get at it from elsewhere, and,
// once it has a model, questions to it.

import { Legend } from "./board.js";
import { LossChart, curveOf } from "./chart.js";
import { byId, copies, h, say, show } from "./dom.js";
import { pill, showState } from "./list.js";
import { digits, duration, lowest, percent, steps, time } from "./words.js";

const quoted = (text) => (/^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export class Detail {
  #name = null;
  #parts = null;

  /** `ask(name, prompt)` returns a promise of an answer; `slotOf(name)` the number of a colour; `onclose` is called after the sheet is closed. */
  constructor(store, view, { ask, slotOf, onclose }) {
    this.store = store;
    this.view = view;
    this.ask = ask;
    this.slotOf = slotOf; // the colour that the job has elsewhere on the page
    this.dialog = byId("detail");
    this.dialog.addEventListener("close", () => {
      const name = this.#name;
      this.#clear();
      onclose(name);
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // outside of the sheet
    });
  }

  #clear() {
    this.#parts?.chart.close();
    this.#parts = this.#name = null;
    this.dialog.replaceChildren();
  }

  /** Show a job, or close. */
  show(name) {
    const known = name && this.store.jobs.has(name);
    if (!known) {
      if (this.dialog.open && (!name || this.store.loaded)) this.dialog.close();
      return;
    }
    if (name !== this.#name) {
      this.#clear();
      this.#name = name;
      this.#build(name);
      if (!this.dialog.open) this.dialog.showModal();
      this.#parts.close.focus();
    }
    this.draw();
  }

  #build(name) {
    const title = h("h2", { id: "detail-title" });
    const state = pill();
    const reason = h("p", { class: "reason", hidden: true });
    const facts = h("dl", { class: "facts" });
    const host = h("div", { class: "chart" });
    const legend = h("ul", { class: "legend", "aria-label": "Losses" });
    const checkpoints = h("tbody");
    const checkpointed = h(
      "section",
      { hidden: true },
      h("h3", {}, "Checkpoints"),
      h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ...["Id", "Epoch", "Step", "Endpoint"].map((word) => h("th", { scope: "col" }, word)))), checkpoints),
    );
    const lines = [
      ["terminal", `gemtune jobs watch ${quoted(name)}`],
      ["Python", `job = client.job(${JSON.stringify(name)})`],
    ].map(([where, line]) => h("div", { class: "copy" }, h("pre", {}, h("code", {}, line)), copies(line, `the line for ${where}`)));
    const asking = this.#asking(name);
    const close = h("button", { type: "button", "aria-label": "Close the details", onclick: () => this.dialog.close() }, "Close");
    const ended = h("p", { class: "dim" });
    this.dialog.replaceChildren(
      h("div", { class: "sheet" }, h("div", { class: "bar" }, title, state, close), ended, reason, facts, host, legend, asking.section, checkpointed, h("h3", {}, "Get at it from elsewhere"), ...lines),
    );
    const chart = new LossChart(host, { height: 240, onstep: (step) => this.#parts?.legend.point(step) });
    this.#parts = { title, state, close, ended, reason, facts, host, chart, checkpoints, checkpointed, asking, legend: new Legend(legend), drawn: "" };
  }

  #asking(name) {
    const prompt = h("textarea", { "aria-label": "Prompt for the tuned model", placeholder: "Ask the tuned model" });
    const button = h("button", { type: "submit", class: "strong" }, "Ask");
    const trouble = h("p", { class: "reason", role: "alert", hidden: true });
    const form = h("form", { class: "ask" }, prompt, button, trouble);
    const closed = h("p", { class: "dim", hidden: true });
    const answers = h("ul", { class: "answers", "aria-live": "polite" });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!prompt.value.trim() || button.disabled) return;
      button.disabled = true;
      say(button, "Asking …");
      show(trouble, false);
      try {
        await this.ask(name, prompt.value);
        prompt.value = "";
      } catch (error) {
        say(trouble, error.message);
        show(trouble, true);
      }
      button.disabled = false;
      say(button, "Ask");
    });
    prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    return { section: h("section", { hidden: true }, h("h3", {}, "Answers"), form, closed, answers), form, closed, answers };
  }

  /** Draw what is known now. */
  draw() {
    const job = this.store.jobs.get(this.#name);
    if (!job || !this.#parts) return;
    const parts = this.#parts;
    say(parts.title, job.title);
    showState(parts.state, job);
    say(parts.reason, job.reason || job.trouble);
    show(parts.reason, Boolean(job.reason || job.trouble));
    this.#facts(job);
    const curve = curveOf(job, this.slotOf(job.name) ?? 0);
    show(parts.host, !job.counts); // a batch has no losses
    parts.chart.draw([curve], this.view.log);
    parts.legend.draw([curve]);
    show(parts.legend.list, job.losses.steps.length > 0);
    show(parts.checkpointed, job.checkpoints.length > 0);
    const cells = (checkpoint) => [checkpoint.checkpoint_id, checkpoint.epoch, checkpoint.step, checkpoint.endpoint ?? "not deployed"];
    parts.checkpoints.replaceChildren(...job.checkpoints.map((checkpoint) => h("tr", {}, ...cells(checkpoint).map((value) => h("td", {}, String(value ?? ""))))));
    this.#answers(job);
    this.tick(performance.now());
  }

  #facts(job) {
    const facts = [
      ["Name", job.name],
      ["Base model", job.base_model],
      ["Hyperparameters", job.hyperparameters],
      [job.counts ? "Requests" : "Steps", job.total ? `${steps(job)} (${percent(job.share)})` : steps(job)],
      ["Failed", job.counts?.failed ? String(job.counts.failed) : ""],
      ["Loss", job.loss == null ? "" : digits(job.loss)],
      ["Eval loss", job.eval_losses.values.length ? digits(job.eval_losses.values.at(-1)) : ""],
      ["Lowest @ step", job.lowest ? lowest(job) : ""],
    ].filter(([, value]) => value);
    const said = JSON.stringify(facts);
    if (said === this.#parts.drawn) return;
    this.#parts.drawn = said;
    this.#parts.facts.replaceChildren(...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  #answers(job) {
    const { asking } = this.#parts;
    const asks = Boolean(this.store.options.allow_asking);
    const answers = job.tone === "good" && !job.counts; // a batch has results, and no model
    show(asking.section, answers || this.store.samples.has(job.name));
    show(asking.form, asks && answers);
    show(asking.closed, !asks);
    say(asking.closed, "This dashboard only shows. Start it with --allow-asking, or mount it with allow_asking=True, to ask models here.");
    const samples = this.store.samples.get(job.name) ?? [];
    if (asking.shown === samples) return;
    asking.shown = samples;
    asking.answers.replaceChildren(
      ...samples.map(({ prompt, answer, note }) =>
        h("li", {}, h("p", { class: "dim" }, prompt), h("p", {}, answer), note ? h("p", { class: "dim" }, note) : ""),
      ),
    );
  }

  /** Let the time pass. */
  tick(now) {
    const job = this.store.jobs.get(this.#name);
    if (!job || !this.#parts) return;
    const passed = (now - job.drawnAt) / 1000;
    const looked = job.looked_at ? Math.max((Date.now() - Date.parse(job.looked_at)) / 1000 + this.store.ahead, 0) : null;
    const parts = [time(job, passed)];
    if (!job.ended && job.eta != null && job.elapsed != null) parts.push(`running ${duration(job.elapsed + passed)}`);
    if (!job.ended && looked != null) parts.push(`looked ${duration(Math.floor(looked))} ago`);
    say(this.#parts.ended, parts.filter(Boolean).join(" · "));
  }
}
