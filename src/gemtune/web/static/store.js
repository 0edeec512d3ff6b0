// What is known, and who has to hear when it changes. It knows no element and no address.

export const LINKS = { connecting: "connecting", live: "live", reconnecting: "reconnecting" };

export class Store {
  #listeners = [];

  constructor() {
    this.jobs = new Map(); // name → picture of the job, and at: when it was drawn, in milliseconds of this page
    this.batches = new Map(); // id → picture of the batch, and at
    this.outages = []; // {message, since, until}: the newest last
    this.samples = new Map(); // name of a job → [{prompt, answer, error}], the newest first
    this.about = {}; // what the server says of itself
    this.link = LINKS.connecting;
    this.heard = null; // when something came last, in milliseconds of this page
    this.loaded = false;
  }

  /** Call a function with {jobs: names, batches, outages, samples, link, ended: pictures} after each change. */
  listen(listener) {
    this.#listeners.push(listener);
  }

  #say(change) {
    for (const listener of this.#listeners) listener(change);
  }

  /** Take in everything at once, as after a connection: what is not in it does not exist any more. */
  replace({ jobs = [], batches = [], outages = [], about = {} }) {
    const names = new Set(this.jobs.keys());
    const ended = jobs.filter((job) => job.ended && this.jobs.has(job.name) && !this.jobs.get(job.name).ended);
    this.jobs = this.#kept(jobs, (job) => job.name);
    this.batches = this.#kept(batches, (batch) => batch.id);
    this.outages = outages;
    this.about = { ...this.about, ...about };
    this.heard = performance.now();
    this.loaded = true;
    for (const name of this.jobs.keys()) names.add(name);
    this.#say({ jobs: names, batches: true, outages: true, samples: true, order: true, ended });
  }

  #kept(values, key) {
    const at = performance.now();
    return new Map(values.map((value) => [key(value), { ...value, at }]));
  }

  /** Take in pictures of jobs that have changed. */
  changeJobs(pictures) {
    const ended = [];
    let order = false;
    for (const picture of pictures) {
      const before = this.jobs.get(picture.name);
      if (picture.ended && before && !before.ended) ended.push(picture);
      order ||= !before;
      this.jobs.set(picture.name, { ...picture, at: performance.now() });
    }
    this.#hear({ jobs: new Set(pictures.map((picture) => picture.name)), order, ended });
  }

  removeJob(name) {
    if (this.jobs.delete(name)) this.#hear({ jobs: new Set([name]), order: true });
  }

  changeBatch(batch) {
    this.batches.set(batch.id, { ...batch, at: performance.now() });
    this.#hear({ batches: true });
  }

  removeBatch(id) {
    if (this.batches.delete(id)) this.#hear({ batches: true });
  }

  changeOutages(outages) {
    this.outages = outages;
    this.#hear({ outages: true });
  }

  changeSamples(name, samples) {
    this.samples.set(name, samples);
    this.#say({ samples: true });
  }

  /** Something came, if only a sign of life. */
  #hear(change) {
    this.heard = performance.now();
    this.#say(change);
  }

  beat() {
    this.#hear({});
  }

  changeLink(link) {
    if (this.link === link) return;
    this.link = link;
    this.#say({ link: true });
  }
}
