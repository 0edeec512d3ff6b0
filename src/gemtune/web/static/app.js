// The dashboard: what has changed is drawn, rows at most five times a second and curves twice, and nothing at all while
// nobody looks; only the title of the page goes on then.

import { Board, Slots } from "./board.js";
import { Compare } from "./compare.js";
import { Detail } from "./detail.js";
import { byId, say, set, show } from "./dom.js";
import { JobList } from "./list.js";
import { Side } from "./side.js";
import { Store } from "./store.js";
import { ask, follow } from "./stream.js";
import { MOST_CURVES, View } from "./view.js";
import { duration, many, percent, summary } from "./words.js";

const ROWS = 200; // milliseconds between two drawings of rows
const CURVES = 500; // and of curves

const store = new Store();
const view = new View();
const slots = new Slots();
const list = new JobList(store, view);
const board = new Board(store, view);
const detail = new Detail(store, view, {
  ask,
  slotOf: (name) => given.get(name),
  onclose: closed,
});
const compare = new Compare(store, view, { onclose: () => closed(null) });
const side = new Side(store, view, { onopen: openJob });

const due = { rows: new Set(), order: false, curves: false, batches: false, problems: false };
let drawing = null; // the time-out that draws next
let curvesAt = -Infinity;
const still = matchMedia("(prefers-reduced-motion: reduce)");
let blinked = null; // for which event
let given = slots.give([]);

function openJob(name) {
  view.change({ job: name }, { open: true });
  detail.show(name);
}

/** A sheet was closed: the address says so, and the focus goes back to where it came from. */
function closed(name) {
  view.change({ job: null, comparing: false });
  if (name) list.focus(name);
  else byId("compare-open").focus();
}

function chooseAgain(names) {
  view.change({ drawn: new Set(names.slice(0, MOST_CURVES)) });
  if (names.length > MOST_CURVES) announce(`The first ${MOST_CURVES} curves are drawn.`);
  drawChoice();
}

function drawChoice() {
  given = slots.give(view.chosen(store.jobs).slice(0, MOST_CURVES));
  list.mark(given);
  const number = given.size;
  const button = byId("compare-open");
  button.disabled = number < 2;
  say(button, number < 2 ? "Compare" : `Compare ${number}`);
  board.draw(given);
  compare.draw(given);
}

list.onopen = openJob;
list.onlight = (name) => board.chart.light(name && given.has(name) ? name : null);
list.ondraw = (name, drawn) => {
  const names = new Set(view.chosen(store.jobs));
  if (drawn) names.add(name);
  else names.delete(name);
  if (names.size > MOST_CURVES) announce(`More than ${MOST_CURVES} curves cannot be told apart: untick some first.`);
  chooseAgain([...names]);
};
list.onview = () => {
  list.restore();
  list.draw([], given);
};
byId("choose-all").addEventListener("change", (event) => {
  const others = [...given.keys()].filter((name) => !list.curved.includes(name));
  chooseAgain(event.target.checked ? [...list.curved, ...others] : others);
});
byId("compare-open").addEventListener("click", () => {
  view.change({ comparing: true, drawn: new Set(given.keys()) }, { open: true });
  compare.show(given);
});
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("jobs").focus();
});
for (const event of ["popstate", "hashchange"]) addEventListener(event, restore);

/** Show what the address says. */
function restore() {
  view.read();
  list.restore();
  list.draw([], given);
  drawChoice();
  if (!store.loaded) return;
  detail.show(view.job);
  compare.show(given);
}

function announce(text) {
  say(byId("announcer"), text);
}

const endings = [];
function announceEnds(pictures) {
  if (!endings.length) setTimeout(sayEnds, 1000); // a sweep may bring many at once: they are one sentence
  endings.push(...pictures);
}
function sayEnds() {
  const ended = endings.splice(0);
  announce(ended.length > 3 ? `${many(ended.length, "job")} ended: ${summary(ended)}` : ended.map((job) => `${job.title} ${job.word}`).join(", "));
}

store.listen((change) => {
  for (const name of change.jobs ?? []) due.rows.add(name);
  due.order ||= Boolean(change.order);
  due.curves ||= Boolean(change.jobs?.size);
  due.batches ||= Boolean(change.batches);
  due.problems ||= Boolean(change.problems);
  if (change.ended?.length) announceEnds(change.ended);
  if (change.link) announceLink();
  if (change.samples) detail.draw();
  titled();
  drawing ??= setTimeout(() => requestAnimationFrame(draw), ROWS);
});

function draw() {
  drawing = null;
  const now = performance.now();
  const names = [...due.rows];
  due.rows.clear();
  if (names.length || due.order) drawRows(names);
  due.order = false;
  if (due.curves && now - curvesAt >= CURVES) {
    due.curves = false;
    curvesAt = now;
    drawChoice();
    detail.draw();
  }
  if (due.batches) side.drawBatches();
  if (due.problems) side.drawProblems();
  due.batches = due.problems = false;
  drawHead();
  if (store.loaded && (view.job || view.comparing)) {
    detail.show(view.job);
    if (!byId("compare").open) compare.show(given);
  }
  if (due.curves) drawing = setTimeout(() => requestAnimationFrame(draw), CURVES);
}

function drawRows(names) {
  show(byId("empty"), store.loaded && !store.jobs.size);
  for (const id of ["board", "jobs"]) show(byId(id), store.jobs.size > 0);
  list.draw(names, given);
}

/** The dot blinks once when something has happened, unless the reader wants no motion. */
function blink() {
  if (!store.heard || store.heard === blinked || still.matches) return;
  blinked = store.heard;
  document.querySelector(".dot").animate({ opacity: [1, 0.25, 1] }, 500);
}

/** What moves with the time alone. */
function drawHead() {
  const now = performance.now();
  say(byId("summary"), summary(store.jobs.values()));
  set(byId("connection"), "data-link", store.link);
  const heard = store.heard == null ? "" : ` · event ${duration(Math.floor((now - store.heard) / 1000))} ago`;
  say(byId("link"), store.link + heard);
  const { outage, trouble } = store.service;
  const gone = store.link === "reconnecting" && (store.loaded || store.refusal);
  show(byId("outage"), Boolean(outage || gone));
  if (store.refusal) say(byId("outage"), store.refusal);
  else if (gone) say(byId("outage"), "The dashboard's server does not answer. What you see is the last it said; the page reconnects by itself. Jobs keep running.");
  else if (outage) say(byId("outage"), `The service does not answer${trouble ? ` (${trouble})` : ""}. gemtune keeps trying; jobs keep running.`);
  const { version, title } = store.options;
  if (title) say(document.querySelector("h1"), title);
  say(byId("about"), version ? `gemtune ${version}` : "");
}

function announceLink() {
  if (store.loaded) announce(store.link === "live" ? "Connected again." : "The connection is broken; reconnecting.");
  drawHead();
}

/** The title says how far all is, for those who look at another page meanwhile. */
function titled() {
  const running = [...store.jobs.values()].filter((job) => !job.ended);
  const shares = running.map((job) => job.share).filter((share) => share != null);
  const mean = shares.length ? percent(shares.reduce((sum, share) => sum + share, 0) / shares.length) : "";
  const text = running.length ? [mean, `${running.length} running`].filter(Boolean).join(" · ") : summary(store.jobs.values());
  const title = text ? `${text} · gemtune` : "gemtune";
  if (document.title !== title) document.title = title;
}

setInterval(() => {
  if (document.hidden) return;
  const now = performance.now();
  list.tick(now);
  side.tick(now);
  detail.tick(now);
  drawHead();
  blink();
}, 1000);

list.restore();
follow(store);
