// What is known, and who has to hear when it changes. It knows no element and no address.

export const LINKS = { connecting: "connecting", live: "live", reconnecting: "reconnecting" };

const OUTAGES = 20; // as many are remembered

export class Store {
  #listeners = [];

  constructor() {
    this.jobs = new Map(); // name → picture of the job, and drawnAt: when it was true, by this page's clock
    this.batches = new Map(); // id → picture of the batch, and drawnAt
    this.outages = []; // {message, since, until} in milliseconds since 1970: those that this page saw, the newest last
    this.samples = new Map(); // name of a job → [{prompt, answer, note}], the newest first
    this.options = {}; // what the server says of itself
    this.service = {}; // and of the service
    this.link = LINKS.connecting;
    this.refusal = ""; // why the server answers and says nothing
    this.heard = null; // when something happened last, by this page's clock
    this.loaded = false;
    this.ahead = 0; // by how many seconds the server's clock is ahead of this one's
  }

  /** Call a function with {jobs: names, order, batches, problems, samples, link, ended: pictures} after each change. */
  listen(listener) {
    this.#listeners.push(listener);
  }

  #say(change) {
    for (const listener of this.#listeners) listener(change);
  }

  #hear(change) {
    this.heard = performance.now();
    this.#say(change);
  }

  /** Set the difference between the clocks. */
  setClock(now) {
    this.ahead = now - Date.now() / 1000;
  }

  #dated(value) {
    const age = value.at == null ? 0 : Date.now() / 1000 + this.ahead - value.at;
    return { ...value, drawnAt: performance.now() - Math.max(age, 0) * 1000 };
  }

  /** Take in everything at once, as after a connection: what is not in it does not exist any more. */
  replace({ now, jobs, batches = [], samples = {}, service = {}, options = {} }) {
    this.setClock(now);
    const names = new Set([...this.jobs.keys(), ...jobs.map((job) => job.name)]);
    const ended = jobs.filter((job) => job.ended && this.jobs.has(job.name) && !this.jobs.get(job.name).ended);
    this.jobs = new Map(jobs.map((job) => [job.name, this.#dated(job)]));
    this.batches = new Map(batches.map((batch) => [batch.id, this.#dated(batch)]));
    this.samples = new Map(Object.entries(samples).map(([name, asked]) => [name, [...asked].reverse()]));
    this.options = options;
    this.loaded = true;
    this.changeService(service);
    this.#hear({ jobs: names, batches: true, problems: true, samples: true, order: true, ended });
  }

  /** Take in a job: of its curves only what is new, which follows the first `kept` points of those that are here. */
  changeJob(picture) {
    const before = this.jobs.get(picture.name);
    const job = this.#dated(picture);
    for (const curve of ["losses", "eval_losses"]) job[curve] = grown(before?.[curve], picture[curve]);
    this.jobs.set(job.name, job);
    const ended = job.ended && before && !before.ended ? [job] : [];
    const problems = ["tone", "reason", "trouble"].some((fact) => job[fact] !== before?.[fact]);
    this.#hear({ jobs: new Set([job.name]), order: !before, problems, ended });
  }

  removeJob({ name }) {
    if (this.jobs.delete(name)) this.#hear({ jobs: new Set([name]), order: true, problems: true });
  }

  changeBatch(batch) {
    this.batches.set(batch.id, this.#dated(batch));
    this.#hear({ batches: true });
  }

  removeBatch({ id }) {
    if (this.batches.delete(id)) this.#hear({ batches: true });
  }

  addSample({ name, ...sample }) {
    this.samples.set(name, [sample, ...(this.samples.get(name) ?? [])]);
    this.#hear({ samples: true });
  }

  changeService(service) {
    this.service = service;
    const last = this.outages.at(-1);
    const lasting = last && last.until == null;
    const message = service.trouble || "no answer";
    if (service.outage && lasting) last.message = message;
    else if (service.outage) this.outages = [...this.outages, { message, since: Date.now(), until: null }].slice(-OUTAGES);
    else if (lasting) last.until = Date.now();
    if (service.outage || lasting) this.#say({ problems: true });
  }

  changeRefusal(why) {
    if (this.refusal === why) return;
    this.refusal = why;
    this.#say({ link: true });
  }

  changeLink(link) {
    if (this.link === link) return;
    this.link = link;
    this.#say({ link: true });
  }
}

/** Return a curve with its new end. */
function grown(before, { kept = 0, steps, values }) {
  if (!kept || !before) return { steps, values };
  return { steps: [...before.steps.slice(0, kept), ...steps], values: [...before.values.slice(0, kept), ...values] };
}
