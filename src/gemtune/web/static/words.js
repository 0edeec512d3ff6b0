// Numbers and times as people say them: the same as in the terminal and in notebooks (gemtune/show).

/** Return seconds as people say them: `8 s`, `3 min 20 s`, `2 h 05 min`. */
export function duration(seconds) {
  const whole = Math.max(Math.ceil(seconds), 0);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** Return a number with so many significant digits, as Python's `.4g` writes it; a dash for none. */
export function digits(value, count = 4) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 10 ** count)) {
    const [mantissa, power] = value.toExponential(count - 1).split("e");
    return `${Number(mantissa)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
  }
  return String(Number(value.toPrecision(count)));
}

/** Return a count with commas: `3,150`. */
export const count = (value) => Math.round(value).toLocaleString("en-US");

/** Return a share from 0 to 1 as `46 %`. */
export const percent = (share) => (share == null ? "" : `${Math.floor(share * 100 + 1e-9)} %`);

/** Return `1 job`, `2 jobs`. */
export const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

// The states that a person filters by, in the order in which they want attention.
export const TONES = ["running", "waiting", "bad", "good", "over", "unseen"];
export const TONE_WORDS = {
  running: "running",
  waiting: "waiting",
  bad: "failed",
  good: "succeeded",
  over: "cancelled",
  unseen: "not seen yet",
};

/** Return how many jobs there are of each state, such as `2 running · 1 failed`. */
export function summary(jobs) {
  const counts = new Map();
  for (const { tone } of jobs) counts.set(tone, (counts.get(tone) ?? 0) + 1);
  return TONES.filter((tone) => counts.has(tone)).map((tone) => `${counts.get(tone)} ${TONE_WORDS[tone]}`).join(" · ");
}

/** Return what is said of a job's time: `32 s left`, `took 1 min 06 s`, `for 28 s`. */
export function time(job, seconds) {
  if (job.ended) return job.elapsed == null ? "" : `took ${duration(job.elapsed)}`;
  if (job.eta != null) return `${duration(job.eta - seconds)} left`;
  return job.elapsed == null ? "" : `for ${duration(job.elapsed + seconds)}`;
}

/** Return `23/50`, `23`, or nothing. */
export function steps(job) {
  if (job.total) return `${Math.min(job.completed, job.total)}/${job.total}`;
  return job.completed ? String(job.completed) : "";
}

/** Return how many requests of a batch have failed: `2 failed`, or nothing. */
export const failed = (job) => (job.counts?.failed ? `${job.counts.failed} failed` : "");

/** Return `0.5614 @ 31`. */
export const lowest = (job) => (job.lowest ? `${digits(job.lowest.loss)} @ ${job.lowest.step}` : "–");
