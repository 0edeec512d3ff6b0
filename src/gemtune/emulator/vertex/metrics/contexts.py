"""Experiments and TensorBoards: where the curves of a tuning job are.

A job's experiment is a context; its run is a context below it, and a run of the TensorBoard that the experiment names.
The run has a time series for each metric. All of them follow from the job, so that nothing is kept here::

    contexts/E ─ metadata.backing_tensorboard_resource ─ tensorboards/T
    contexts/E-R (parent E)                              tensorboards/T/experiments/E/runs/R/timeSeries/S

The experiment is there when training begins, its run when the first step is over. Training metrics have one point a
step, by the same formula as everywhere here. Evaluations have one at the end of each epoch, and some steps later only.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Sequence
from typing import cast

import attrs

from gemtune.emulator.messages.codec import FrozenMessage, Value
from gemtune.emulator.vertex.filters import read_filter
from gemtune.emulator.vertex.job import VertexJob
from gemtune.emulator.vertex.names import canonical, experiment_id, last, made_id, parent_of
from gemtune.emulator.vertex.refusals import no_such
from gemtune.emulator.vertex.shelf import VertexShelf, shelf_of
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Store
from gemtune.emulator.world.surface import ends_pass
from gemtune.emulator.world.tuning import Job, StepMetrics, eval_loss_of

LOSS, ACCURACY, PREDICTIONS = (
    "total_loss", "fraction_of_correct_next_step_preds", "num_predictions",
)  # fmt: skip
_OF_ONE = re.compile(r'(?:^|\bAND )\s*parent_contexts:"([^"]+)"\s*(?:$|AND\b)')
PREFERENCE_LOSS = "/preference_optimization_train_loss"


@attrs.frozen
class Series:
    """One metric of one job."""

    job: VertexJob
    metric: str

    @property
    def id(self) -> str:
        return made_id("series", self.job.name, self.metric)

    @property
    def name(self) -> str:
        return f"{run_of(self.job)}/timeSeries/{self.id}"

    def points(self, now: int, eval_lag: int) -> list[FrozenMessage]:
        """Return the points that can be seen by now, in the order of their steps."""
        progress, job = self.job.life.progress(now), self.job.life.job
        if progress is None or job is None:
            return []
        seen: Sequence[StepMetrics] = progress.snapshots
        if self.metric.startswith("/eval_"):
            seen = [
                each
                for each in seen
                if ends_pass(job.recipe, each.step) and self._is_late_enough(job, each, now, eval_lag)
            ]
        return [self._point(job, each) for each in seen]

    def _is_late_enough(self, job: Job, step: StepMetrics, now: int, lag: int) -> bool:
        limit = self.job.life.cancelled
        return step.compute_time + lag * job.step <= (now if limit is None else min(now, limit))

    def _point(self, job: Job, step: StepMetrics) -> FrozenMessage:
        # A step never changes, so that its JSON is made once.
        key = (self.metric, step.step, step.compute_time)
        found = self.job.points.get(key)
        if found is None:
            value = _widened(_value(job, self.metric, step))
            found = FrozenMessage({"wall_time": step.compute_time, "step": step.step, "scalar": {"value": value}})
            self.job.points[key] = found
        return found


def _value(job: Job, metric: str, step: StepMetrics) -> float:
    loss = eval_loss_of(job, step.step) if metric.startswith("/eval_") else step.mean_loss
    if metric.endswith(ACCURACY):
        return math.exp(-loss / 2)
    if metric.endswith(PREDICTIONS):
        return float(job.batch_size * (16 + int(8 * job.recipe.drawn(metric, step.step))))
    return loss


def _widened(value: float) -> float:
    """Return a 32-bit float as the 64-bit one that it is: the service prints all of its digits."""
    return cast(float, struct.unpack("<f", struct.pack("<f", value))[0])


def series_of(job: VertexJob) -> list[Series]:
    """Return the metrics of a job; those of an evaluation only with a validation file."""
    checked = bool(job.spec.get("validation_dataset_uri"))
    if job.is_preference:
        names = [PREFERENCE_LOSS, *(["/eval_total_loss"] if checked else [])]
    else:
        kinds = ("train", "eval") if checked else ("train",)
        names = [f"/{kind}_{metric}" for kind in kinds for metric in (LOSS, ACCURACY, PREDICTIONS)]
    return [Series(job, name) for name in names]


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def tensorboard_of(parent: str) -> str:
    return f"{parent}/tensorboards/{made_id('tensorboard', parent)}"


def _experiment(job: VertexJob) -> str:
    return experiment_id(cast(int, job.life.training), job.number)


def _run(job: VertexJob) -> str:
    return _experiment(job).replace("experiment", "experiment-run")


def run_of(job: VertexJob) -> str:
    """Return the name of the TensorBoard's run."""
    return f"{tensorboard_of(parent_of(job.name))}/experiments/{_experiment(job)}/runs/{_run(job)}"


def _context(job: VertexJob, name: str) -> str:
    return f"{parent_of(job.name)}/metadataStores/default/contexts/{name}"


def _begun(shelf: VertexShelf, parent: str, now: int) -> Iterator[VertexJob]:
    """Return the jobs of a location that have an experiment by now."""
    return (job for job in shelf.trained(parent) if job.life.has(job.life.training, now))


def found_job(store: Store, call: MethodCall, kind: str, name: str, *, with_run: bool) -> VertexJob:
    """Return the job to whose experiment or run a name belongs; 404 without one."""
    shelf = shelf_of(store)
    experiment = name.partition("/experiments/")[2].partition("/")[0]
    job = shelf.of_experiment(parent_of(name), experiment)
    # The TensorBoard and the run in the name count as well: a wrong one is another resource.
    if job is None or not name.startswith(tensorboard_of(parent_of(name)) + "/"):
        raise no_such(kind, name)
    if not job.life.has(job.life.model if with_run else job.life.training, call.now):
        raise no_such(kind, name)
    if with_run and name.split("/")[9:10] not in ([], [_run(job)]):
        raise no_such(kind, name)
    return job


# ── the metadata store ─────────────────────────────────────────────────────────────────────────────────────────────


def _experiment_context(job: VertexJob) -> Value:
    life, name = job.life, _experiment(job)
    return {
        "name": _context(job, name), "display_name": name, "etag": str(life.training), "create_time": life.training,
        "update_time": life.training, "schema_title": "system.Experiment", "schema_version": "0.0.1",
        "metadata": {
            "experiment_deleted": False, "backing_tensorboard_resource": tensorboard_of(parent_of(job.name)),
        },
    }  # fmt: skip


def _run_context(job: VertexJob) -> Value:
    life, name = job.life, f"{_experiment(job)}-{_run(job)}"
    return {
        "name": _context(job, name), "display_name": _run(job), "etag": str(life.model), "create_time": life.model,
        "update_time": life.model, "parent_contexts": [_context(job, _experiment(job))],
        "schema_title": "system.ExperimentRun", "schema_version": "0.0.1", "metadata": {},
    }  # fmt: skip


def _contexts(shelf: VertexShelf, parent: str, now: int, text: str) -> Iterator[Value]:
    """Return the contexts of a location among which a filter has to choose."""
    jobs = _begun(shelf, parent, now)
    narrow = _OF_ONE.search(text)
    # Each of a thousand watched jobs is asked for its run: that must not cost a thousand jobs each time. Where the
    # experiment is one of several conditions that all must hold, no other job's contexts can be chosen.
    before = text[: narrow.start()] if narrow else ""
    if narrow and before.count("(") == before.count(")"):
        job = shelf.of_experiment(parent_of(canonical(narrow[1])), last(narrow[1]))
        jobs = iter([job] if job and job.life.has(job.life.training, now) and parent_of(job.name) == parent else [])
    for job in jobs:
        made = job.contexts.get(job.life.training)
        if made is None:
            made = job.contexts[job.life.training] = (_experiment_context(job), _run_context(job))
        yield made[0]
        if job.life.has(job.life.model, now):
            yield made[1]


def get_context(store: Store, call: MethodCall) -> Value:
    """Return the context of an experiment or of a run."""
    name, shelf = canonical(call.params["name"]), shelf_of(store)
    experiment, _, run = last(name).partition("-tuning-experiment-run-")
    job = shelf.of_experiment(parent_of(name), experiment)
    if job is not None and job.life.has(job.life.model if run else job.life.training, call.now):
        context = _run_context(job) if run else _experiment_context(job)
        if context["name"] == name:
            return context
    raise no_such("Context", name)


def list_contexts(store: Store, call: MethodCall) -> Value:
    """List contexts: those that a filter chooses by their schema and their parents."""
    fields = {
        name: name for name in ("name", "display_name", "schema_title", "parent_contexts", "create_time", "update_time")
    }
    text = call.query.get("filter", "")
    wanted = read_filter(text, fields)
    parent = parent_of(canonical(call.params["parent"]))
    found = [context for context in _contexts(shelf_of(store), parent, call.now, text) if wanted(context)]
    page, token = take_page(call, enumerate(found, 1), default=100, maximum=1000)
    return {"contexts": page, "next_page_token": token}


def get_artifact(store: Store, call: MethodCall) -> Value:
    """Return the artifact that leads from a run's context to the TensorBoard's run."""
    name, shelf = canonical(call.params["name"]), shelf_of(store)
    job = shelf.of_experiment(parent_of(name), last(name).partition("-tuning-experiment-run-")[0])
    if job is None or not job.life.has(job.life.model, call.now) or not name.endswith("-tb-run"):
        raise no_such("Artifact", name)
    uri = f"https://aiplatform.googleapis.com/v1/{run_of(job)}"
    return {
        "name": name, "display_name": _run(job), "uri": uri, "etag": str(job.life.model),
        "create_time": job.life.model, "update_time": job.life.model, "schema_title": "google.VertexTensorboardRun",
        "schema_version": "0.0.1", "metadata": {"resourceName": run_of(job)},
    }  # fmt: skip


def list_executions(store: Store, call: MethodCall) -> Value:  # noqa: ARG001 - a handler
    """List nothing: a tuning job's run has no executions."""
    return {}


# ── TensorBoards ───────────────────────────────────────────────────────────────────────────────────────────────────


def _tensorboard(shelf: VertexShelf, parent: str, now: int) -> Value | None:
    first = min((cast(int, job.life.training) for job in _begun(shelf, parent, now)), default=None)
    if first is None:
        return None
    return {
        "name": tensorboard_of(parent), "display_name": "Tensorboard for tuning jobs", "create_time": first,
        "update_time": first,
    }  # fmt: skip


def get_tensorboard(store: Store, call: MethodCall) -> Value:
    """Return a location's TensorBoard, which its first tuning job makes."""
    name = canonical(call.params["name"])
    found = _tensorboard(shelf_of(store), parent_of(name), call.now)
    if found is None or found["name"] != name:
        raise no_such("Tensorboard", name)
    return found


def list_tensorboards(store: Store, call: MethodCall) -> Value:
    """List the TensorBoards of a location: at most one here."""
    found = _tensorboard(shelf_of(store), canonical(call.params["parent"]), call.now)
    return {"tensorboards": [found] if found else []}


def _show_experiment(job: VertexJob) -> Value:
    name = f"{tensorboard_of(parent_of(job.name))}/experiments/{_experiment(job)}"
    return {
        "name": name, "display_name": _experiment(job), "create_time": job.life.training,
        "update_time": job.life.training,
    }  # fmt: skip


def _show_run(job: VertexJob) -> Value:
    return {
        "name": run_of(job), "display_name": _run(job), "create_time": job.life.model, "update_time": job.life.model,
    }  # fmt: skip


def get_experiment(store: Store, call: MethodCall) -> Value:
    """Return a TensorBoard's experiment."""
    name = canonical(call.params["name"])
    return _show_experiment(found_job(store, call, "TensorboardExperiment", name, with_run=False))


def list_experiments(store: Store, call: MethodCall) -> Value:
    """List the experiments of a TensorBoard."""
    parent = canonical(call.params["parent"])
    known = parent == tensorboard_of(parent_of(parent))
    jobs = list(_begun(shelf_of(store), parent_of(parent), call.now)) if known else []
    page, token = take_page(call, enumerate(jobs, 1), default=50, maximum=1000)
    return {"tensorboard_experiments": [_show_experiment(job) for job in page], "next_page_token": token}


def get_run(store: Store, call: MethodCall) -> Value:
    """Return a run."""
    return _show_run(found_job(store, call, "TensorboardRun", canonical(call.params["name"]), with_run=True))


def list_runs(store: Store, call: MethodCall) -> Value:
    """List the runs of an experiment: one, once the first step is over."""
    job = found_job(store, call, "TensorboardExperiment", canonical(call.params["parent"]), with_run=False)
    return {"tensorboard_runs": [_show_run(job)] if job.life.has(job.life.model, call.now) else []}
