"""Tuning jobs: how each of them is, and a short span at the end of each, linked to the one that created it.

A job takes hours, and a span that is open for hours is lost with its process, shown by no tool before it ends, and
fits into no trace. So the creation has a span, the end has a span, and a link leads from the second to the first. What
lies between is metrics: the state, the step and the loss of each job.

Watchers and handles of one client may follow the same job: each step and each end is counted once here. An end is
counted only if the job was seen before it, so that a program which looks at yesterday's jobs reports none of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from opentelemetry.trace import Link, SpanContext, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from gemtune import events
from gemtune.events import Event, JobState
from gemtune.story.history import History
from gemtune.telemetry import names
from gemtune.telemetry.guard import harmless
from gemtune.telemetry.instruments import Instruments, Row

_MOST: Final = 10_000
"""Jobs that are kept; beyond that, those that ended first are forgotten first."""
_STATES: Final[dict[type[Event], JobState]] = {
    events.Succeeded: JobState.ACTIVE,
    events.Failed: JobState.FAILED,
    events.Cancelled: JobState.CANCELLED,
    events.Deleted: JobState.DELETED,
}


@attrs.define(eq=False)
class CountedJob:
    """What is known of one job for metrics."""

    name: str
    base_model: str = ""
    creation: SpanContext | None = None
    state: JobState = JobState.UNKNOWN
    step: int = 0
    losses: dict[str, tuple[int, float]] = attrs.field(factory=dict)
    """The step and the loss after it, in training (``train``) and on the validation data (``eval``)."""
    ended: bool = False
    lost: bool = False
    """Whether it can no longer be followed or is followed no longer, so that nobody knows its state."""

    @property
    def followed(self) -> bool:
        """Whether it was seen before its end."""
        return self.creation is not None or self.state is not JobState.UNKNOWN

    def measured(self, event: events.Snapshot | events.SnapshotUpdated) -> None:
        """Take in the losses of a step."""
        self.step = max(self.step, event.step)
        for dataset, loss in (("train", event.mean_loss), ("eval", event.eval_loss)):
            if loss is not None and math.isfinite(loss) and event.step >= self.losses.get(dataset, (0, 0.0))[0]:
                self.losses[dataset] = (event.step, loss)


@attrs.define(eq=False)
class JobLedger:
    """Follows what a client learns of its jobs.

    Args:
        tracer: Makes the spans.
        instruments: Count the ends.
        provider: Which service it is.
    """

    tracer: Tracer
    instruments: Instruments
    provider: str
    _jobs: dict[str, CountedJob] = attrs.field(factory=dict, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Metrics are collected by a thread of their own."""

    def __attrs_post_init__(self) -> None:
        self.instruments.follow(self)

    @harmless
    def created(self, name: str, span: SpanContext) -> None:
        """Take in which span created a job: another one than that which had its name before."""
        with self._lock:
            self._jobs.pop(name, None)
        self._job(name).creation = span

    @harmless
    def saw(self, history: History, reported: Sequence[Event]) -> None:
        """Take in what a look has shown of a job, or that nobody looks at it any more."""
        for event in reported:
            if isinstance(event, events.Added):
                if event.origin is events.Origin.RECREATED:
                    with self._lock:
                        self._jobs.pop(event.job, None)
                continue
            job = self._job(event.job)
            job.base_model = names.exportable(history.about.base_model or "") or job.base_model
            if job.ended:
                continue
            if isinstance(event, events.StateChanged):
                job.state = event.new if not event.new.terminal or job.followed else job.state
            elif isinstance(event, events.Snapshot | events.SnapshotUpdated):
                job.measured(event)
            elif isinstance(event, events.Restarted):
                job.losses, job.step = {}, 0
            elif (state := _STATES.get(type(event))) is not None:
                self._end(job, event, state, history)
        if (known := self._jobs.get(history.name)) is not None:
            known.lost = any(isinstance(event, events.Lost) for event in reported)

    def rows(self) -> Iterator[Row]:
        """Yield the state, the step and the losses of each job that was seen."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            if not job.followed or job.lost:
                continue
            about: dict[str, str] = {names.PROVIDER: self.provider, names.JOB: names.exportable(job.name)}
            if job.base_model:
                about[names.BASE_MODEL] = job.base_model
            yield names.TUNING_STATE, 1, {**about, names.JOB_STATE: str(job.state)}
            yield names.TUNING_STEP, job.step, about
            for dataset, (_, loss) in tuple(job.losses.items()):
                yield names.TUNING_LOSS, loss, {**about, names.DATASET: dataset}

    def _job(self, name: str) -> CountedJob:
        job = self._jobs.get(name)
        if job is None:
            with self._lock:
                if len(self._jobs) >= _MOST:
                    oldest = next((each for each in self._jobs.values() if each.ended), None)
                    del self._jobs[oldest.name if oldest is not None else next(iter(self._jobs))]
                job = self._jobs[name] = CountedJob(name)
        return job

    def _end(self, job: CountedJob, event: Event, state: JobState, history: History) -> None:
        followed, job.ended, job.state = job.followed, True, state
        if not followed:
            job.state = JobState.UNKNOWN  # its end is older than this client, and not to be counted
            return
        facts: dict[str, AttributeValue] = {names.PROVIDER: self.provider, names.JOB_STATE: str(state)}
        if job.base_model:
            facts[names.BASE_MODEL] = job.base_model
        error = event.error if isinstance(event, events.Failed) else None
        if state is not JobState.ACTIVE:
            facts[names.ERROR] = f"rpc.{error.code}" if error is not None else str(state).lower()
        seconds = _seconds(history, event)
        if seconds is not None:
            self.instruments.job_duration.record(seconds, facts)
        facts |= {names.OPERATION: names.FINISH_JOB, names.JOB: names.exportable(job.name), names.JOB_STEPS: job.step}
        if seconds is not None:
            facts[names.JOB_SECONDS] = seconds
        if "train" in job.losses:
            facts[names.LOSS] = job.losses["train"][1]
        links = [Link(job.creation)] if job.creation is not None else None
        span = self.tracer.start_span(names.FINISH_JOB, attributes=facts, links=links)
        if state is JobState.FAILED:
            span.set_status(StatusCode.ERROR)
        span.end()


def _seconds(history: History, event: Event) -> float | None:
    """Return how long a job took, by the service's own times if it has said them."""
    began = history.log.now.created / 1e9
    if not began:
        began = history.born.utc.timestamp() if history.born is not None else 0.0
    if not began:
        return None
    end = (history.about.completed or 0) / 1e9 or event.observed_at.timestamp()
    return max(end - began, 0.0)
