// Loss curves of one or more jobs, drawn by uPlot: training solid, validation dashed, a dot at the lowest loss.

import { h, set, show } from "./dom.js";
import { digits } from "./words.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const probe = h("i", { hidden: true });

/** Return a colour variable as a colour of the present theme: a canvas knows no light-dark(). */
function ink(name) {
  document.body.append(probe);
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** Return the value of a curve at a step, or the last one before it. */
export function valueAt({ steps, values }, step) {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle + 1;
    else high = middle;
  }
  return low ? values[low - 1] : null;
}

const MANTISSAS = [[1], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9]];

/** Return a few round values between two, as a logarithmic axis shows them. */
export function logTicks(low, high) {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) powers.push(power);
  for (const mantissas of MANTISSAS) {
    const found = powers.flatMap((power) => mantissas.map((first) => first * 10 ** power));
    const inside = found.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
    if (inside.length >= 4) return inside;
  }
  return [0, 1, 2, 3].map((part) => low * (high / low) ** (part / 3));
}

/** Return where the axis of steps ends: at the last step, or at a half, a quarter … of it while no curve is there yet. */
export function lastStep(total, furthest) {
  let end = Math.max(total, furthest, 2);
  while (end / 2 >= furthest * 1.1 && end > 10) end /= 2;
  return Math.ceil(end);
}

export class LossChart {
  #plot = null;
  #shape = "";
  #curves = [];
  #lit = null;
  #ink = {};

  /** Draw into an element; `onstep` is called with the step under the cursor, or null. */
  constructor(host, { height = 280, onstep = () => {}, sync = null, label = "Mean loss by step" } = {}) {
    this.host = host;
    this.height = height;
    this.onstep = onstep;
    this.sync = sync;
    this.label = label;
    this.bounds = null; // lowest and highest loss of the axis; null: of these curves
    this.furthest = null; // the last step that a curve has reached; null: of these curves
    this.hint = h("p", { class: "hint" }, "No snapshot yet: the first one comes some seconds after the training starts.");
    this.canvas = h("div", { role: "img", tabindex: "0" });
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    host.replaceChildren(this.hint, this.canvas);
    this.resized = new ResizeObserver(() => {
      if (this.#plot && host.clientWidth) this.#plot.setSize(this.#size());
    });
    this.resized.observe(host);
    this.themed = matchMedia("(prefers-color-scheme: dark)");
    this.retheme = () => {
      this.#shape = "";
      this.draw(this.#curves, this.log);
    };
    this.themed.addEventListener("change", this.retheme);
  }

  close() {
    this.resized.disconnect();
    this.themed.removeEventListener("change", this.retheme);
    this.#plot?.destroy();
    this.#plot = null;
  }

  #size() {
    return { width: this.host.clientWidth, height: this.height };
  }

  /** Draw curves: [{key, title, slot, losses, evals, total, lowest}]. */
  draw(curves, log) {
    this.#curves = curves;
    this.log = log;
    const filled = curves.filter((curve) => curve.losses.steps.length || curve.evals.steps.length);
    show(this.hint, !filled.length);
    show(this.canvas, filled.length > 0);
    if (!filled.length || !this.host.clientWidth) return;
    const shape = JSON.stringify([log, filled.map((curve) => [curve.key, curve.slot, curve.evals.steps.length > 0])]);
    const data = this.#data(filled);
    if (shape === this.#shape && this.#plot) this.#plot.setData(data);
    else this.#make(shape, filled, data);
    this.#describe(filled);
  }

  #data(filled) {
    const positive = (value) => (this.log && value <= 0 ? null : value);
    const tables = filled.flatMap(({ losses, evals }) =>
      [losses, ...(evals.steps.length ? [evals] : [])].map(({ steps, values }) => [steps, values.map(positive)]),
    );
    const last = Math.max(...filled.map((curve) => curve.total ?? 0));
    const joined = uPlot.join(tables);
    const steps = joined[0];
    this.steps = [Math.min(steps[0], 1), lastStep(last, this.furthest ?? steps.at(-1))];
    return joined;
  }

  #make(shape, filled, data) {
    this.#plot?.destroy();
    this.#shape = shape;
    this.#ink = { dim: ink("--dim"), grid: ink("--grid"), card: ink("--card") };
    const series = filled.flatMap((curve) => {
      const stroke = css(`--curve-${curve.slot % 8}`);
      const points = { show: (plot, index) => plot.data[index].reduce((sum, value) => sum + (value != null), 0) === 1, size: 6, fill: stroke };
      const train = { stroke, width: 2, points, key: curve.key };
      const evals = { ...train, width: 1.6, dash: [6, 4] };
      return curve.evals.steps.length ? [train, evals] : [train];
    });
    const axis = { stroke: this.#ink.dim, font: "12px system-ui, sans-serif", grid: { stroke: this.#ink.grid, width: 1 }, ticks: { show: false } };
    const log = this.log;
    this.#plot = new uPlot(
      {
        ...this.#size(),
        padding: [10, 14, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 }, ...(this.sync ? { sync: { key: this.sync, setSeries: false } } : {}) },
        scales: {
          x: { time: false, range: () => this.steps },
          y: log
            ? { distr: 3, range: (_, low, high) => (low == null ? [0.1, 1] : spread(...(this.bounds ?? [low, high]))) }
            : { range: (_, low, high) => (low == null ? [0, 1] : padded(...(this.bounds ?? [low, high]))) },
        },
        axes: [
          { ...axis, size: 30, space: 60, incrs: [1, 2, 5].flatMap((first) => [0, 1, 2, 3, 4, 5, 6].map((power) => first * 10 ** power)).sort((a, b) => a - b) },
          {
            ...axis,
            size: 58,
            space: 34,
            values: (_, splits) => splits.map((value) => digits(value, 3)),
            ...(log ? { splits: (_, __, low, high) => logTicks(low, high), filter: (_, splits) => splits } : {}),
          },
        ],
        series: [{}, ...series],
        hooks: {
          setCursor: [(plot) => this.onstep(plot.cursor.idx == null ? null : plot.data[0][plot.cursor.idx])],
          draw: [(plot) => this.#dots(plot)],
        },
      },
      data,
      this.canvas,
    );
    this.#light();
  }

  /** A dot at the lowest loss of each curve. */
  #dots(plot) {
    const { ctx } = plot;
    ctx.save();
    ctx.setLineDash([]); // of the curve that was drawn last
    for (const curve of this.#curves) {
      if (!curve.lowest || (this.log && curve.lowest.loss <= 0)) continue;
      ctx.globalAlpha = this.#lit && this.#lit !== curve.key ? 0.25 : 1;
      ctx.beginPath();
      ctx.arc(plot.valToPos(curve.lowest.step, "x", true), plot.valToPos(curve.lowest.loss, "y", true), 4 * devicePixelRatio, 0, 7);
      ctx.fillStyle = css(`--curve-${curve.slot % 8}`);
      ctx.fill();
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.strokeStyle = this.#ink.card;
      ctx.stroke();
    }
    ctx.restore();
  }

  #describe(filled) {
    const said = filled.slice(0, 8).map((curve) => `${curve.title}: ${digits(curve.losses.values.at(-1) ?? curve.evals.values.at(-1))}`);
    set(this.canvas, "aria-label", `${this.label}, ${this.log ? "logarithmic" : "linear"} scale. Latest: ${said.join("; ")}. Left and right move the cursor.`);
  }

  /** Show one curve before the others; null shows all alike. */
  light(key) {
    if (this.#lit === key) return;
    this.#lit = key;
    this.#light();
  }

  #light() {
    if (!this.#plot) return;
    for (const series of this.#plot.series.slice(1)) series.alpha = this.#lit && series.key !== this.#lit ? 0.2 : 1;
    this.#plot.redraw(false);
  }

  #key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!move || !this.#plot) return;
    event.preventDefault();
    const steps = this.#plot.data[0];
    const now = this.#plot.cursor.idx ?? steps.length - 1;
    const next = Math.min(Math.max(now + move, 0), steps.length - 1);
    this.#plot.setCursor({ left: this.#plot.valToPos(steps[next], "x"), top: 10 });
  }
}

function padded(low, high) {
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(low - room, 0) : low - room, high + room];
}

function spread(low, high) {
  const factor = Math.max((high / low) ** 0.06, 1.02);
  return [low / factor, high * factor];
}

/** Return what a chart draws of a job. */
export function curveOf(job, slot) {
  return { key: job.name, title: job.title, slot, losses: job.losses, evals: job.eval_losses, total: job.total, lowest: job.lowest };
}
