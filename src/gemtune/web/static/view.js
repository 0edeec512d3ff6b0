// What a person has chosen to see. It stands in the address after the "#", so that a reload, a bookmark or the button
// "back" brings it back, and a link can be sent to a colleague.

export const MOST_CURVES = 24; // more lines in one chart cannot be told apart
const FIRST_CURVES = 8; // as many as there are colours

export class View {
  constructor() {
    this.read();
  }

  read() {
    const said = new URLSearchParams(location.hash.slice(1));
    this.text = said.get("find") ?? "";
    this.tones = new Set(said.get("state")?.split(",") ?? []);
    this.sort = (said.get("sort") ?? "").replace(/^-/, "");
    this.down = (said.get("sort") ?? "").startsWith("-");
    this.log = said.get("log") !== "0";
    this.drawn = said.has("draw") ? new Set(said.getAll("draw").filter(Boolean)) : null; // null: the first ones
    this.job = said.get("job"); // whose details are open
    this.comparing = said.has("compare");
    this.side = said.get("compare") === "side";
  }

  /** Return the address of what is seen with some of it changed. */
  address(changes = {}) {
    const { text, tones, sort, down, log, drawn, job, comparing, side } = { ...this, ...changes };
    const said = new URLSearchParams();
    if (text) said.set("find", text);
    if (tones.size) said.set("state", [...tones].join(","));
    if (sort) said.set("sort", (down ? "-" : "") + sort);
    if (!log) said.set("log", "0");
    if (drawn) for (const name of drawn.size ? drawn : [""]) said.append("draw", name);
    if (job) said.set("job", job);
    if (comparing) said.set("compare", side ? "side" : "over");
    return `#${said}`;
  }

  /** Change what is seen. What opens (a job, a comparison) can be left by "back"; the rest replaces the address. */
  change(changes, { open = false } = {}) {
    Object.assign(this, changes);
    history[open ? "pushState" : "replaceState"](null, "", this.address());
  }

  /** Return whether a job is among those that are listed. */
  lists(job) {
    if (this.tones.size && !this.tones.has(job.tone)) return false;
    const words = this.text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return true;
    const said = `${job.title} ${job.name} ${job.base_model} ${job.hyperparameters} ${job.word} ${job.reason}`.toLowerCase();
    return words.every((word) => said.includes(word));
  }

  /** Return the jobs that are listed, in order. The order stays as the jobs came unless another is asked for. */
  listed(jobs) {
    const found = [...jobs].filter((job) => this.lists(job));
    const key = KEYS[this.sort];
    if (!key) return found;
    const sign = this.down ? -1 : 1;
    return found
      .map((job) => [key(job), job])
      .sort(([a], [b]) => {
        if (a == null || b == null) return (a == null) - (b == null); // what is unknown comes last, both ways
        return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
      })
      .map(([, job]) => job);
  }

  /** Return the names of the jobs whose curves are drawn: those that were chosen, or else the first that have one. */
  chosen(jobs) {
    if (this.drawn) return [...this.drawn].filter((name) => jobs.has(name) && !jobs.get(name).counts);
    const all = [...jobs.values()].filter((job) => !job.counts); // a batch has no losses
    const running = all.filter((job) => job.tone === "running");
    const first = [...new Set([...running, ...all.filter((job) => job.losses.steps.length)])].slice(0, FIRST_CURVES);
    return all.filter((job) => first.includes(job)).map((job) => job.name);
  }
}

const ORDER = ["running", "waiting", "bad", "good", "over", "unseen"];
const KEYS = {
  title: (job) => job.title,
  tone: (job) => ORDER.indexOf(job.tone),
  share: (job) => job.share,
  loss: (job) => job.loss,
  lowest: (job) => job.lowest?.loss,
  time: (job) => job.eta ?? job.elapsed,
};
