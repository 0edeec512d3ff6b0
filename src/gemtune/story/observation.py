"""What one look at a job brings, in words that fit every service.

A service may show a job in up to three places. The *job* itself is the ground truth: its state, and in its final state
all of its snapshots. The *work* is what carries the job out, if the service shows that apart (the Gemini API: a
long-running operation): it knows how many steps there are and why a job failed, it can expire, and a service may not
have it at all. A *list* shows no more than states. Which request leads to which place is known to ``gemtune.looks``.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self

import attrs

from gemtune.events import JobState
from gemtune.types.batches import BatchCounts, GenerateContentBatch
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp
from gemtune.types.training import Checkpoint, DataStats
from gemtune.types.tuning import Hyperparameters, TunedModel, TuningSnapshot


@attrs.frozen
class Moment:
    """Now, by both clocks.

    Args:
        clock: Monotonic seconds, for every interval.
        utc: The local wall clock, for people and for comparison with the server's times.
    """

    clock: float
    utc: datetime

    def since(self, time: int) -> float:
        """Return how many seconds ago a time of the server's in ns was, by the local wall clock."""
        return self.utc.timestamp() - time / 1e9


class Source(enum.StrEnum):
    """The place to look at, or the place that was looked at."""

    WORK = "work"
    """What carries the job out: the total number of steps, the reason of a failure; it can expire or be missing."""
    JOB = "job"
    """The job itself: the ground truth, complete once the job has ended."""
    LIST = "list"
    """An entry of a list: name, state and time of creation."""


@attrs.frozen(kw_only=True)
class About:
    """What a job is, apart from how far it is; None for what no reply has said yet.

    Args:
        display_name: What people call the model.
        base_model: The model that is tuned.
        hyperparameters: What controls the training.
        completed: When the training ended, in ns; 0 if no reply has said so.
    """

    display_name: str | None = None
    base_model: str | None = None
    hyperparameters: Hyperparameters | None = None
    completed: int = 0

    @classmethod
    def of(cls, model: TunedModel) -> Self:
        """Return what a tuned model says."""
        task, source = model.tuning_task, model.tuned_model_source
        return cls(
            display_name=model.display_name or None,
            base_model=model.base_model or (source.tuned_model or None if source is not None else None),
            hyperparameters=task.hyperparameters if task is not None else None,
            completed=nanoseconds(task.complete_time) if task is not None else 0,
        )

    def updated(self, newer: About) -> About:
        """Return this with what a newer reply says."""
        if newer is self or newer == NOTHING:
            return self
        said = {name: value for name, value in attrs.asdict(newer, recurse=False).items() if value}
        return attrs.evolve(self, **said)


NOTHING: Final = About()
"""About a job of which nothing is known: one value for ten thousand of them."""


@attrs.frozen(kw_only=True)
class Observation:
    """What one look at a job brought.

    Args:
        source: The place that was looked at.
        at: When.
        state: The job's state; None if the reply does not say.
        job: The name of the job whose work this is; None if that goes without saying.
        work: The name of the work, from a look at it. It is opaque here: whatever the service needs to find it again.
        sought: Whether the name of the work was looked for. If it is still None, there is no such work.
        created: When the job was created, in ns; 0 if the reply does not say.
        snapshots: The cumulative snapshots; None if the look did not ask for them.
        completed_steps: Steps done; None if the reply does not say.
        total_steps: Steps in all; None if the reply does not say.
        percent: The service's own percentage; None if the reply does not say.
        done: Whether the work has ended.
        error: Why it failed.
        model: The tuned model, if the reply holds it.
        about: What the job is, if the reply says so.
        service_state: The service's own word for the state, if it has more words than ``state``.
        reason: What the job waits for or does in that state, in the service's words; it counts with ``service_state``.
        checkpoints: The checkpoints so far, deployed or not; None if the reply does not say.
        data_stats: What the service has made of the data; None if the reply does not say.
        endpoint: The full name of the endpoint that serves the model; None if the reply does not say.
        counts: How many requests of a batch are where; None if the reply does not say, or the job is no batch.
        batch: The batch, without its replies, if the reply holds it.
    """

    source: Source
    at: Moment
    state: JobState | None
    job: str | None = None
    work: str | None = None
    sought: bool = False
    created: int = 0
    snapshots: Sequence[TuningSnapshot] | None = None
    completed_steps: int | None = None
    total_steps: int | None = None
    percent: float | None = None
    done: bool = False
    error: Status | None = None
    model: TunedModel | None = None
    about: About | None = None
    service_state: str | None = None
    reason: str | None = None
    checkpoints: Sequence[Checkpoint] | None = None
    data_stats: DataStats | None = None
    endpoint: str | None = None
    counts: BatchCounts | None = None
    batch: GenerateContentBatch | None = None


@attrs.frozen(kw_only=True)
class Standing:
    """What only some services say of a job, or of some kinds of jobs; None for what no reply has said yet.

    Args:
        service_state: The service's own word for the state.
        reason: What the job waits for or does in it.
        checkpoints: The checkpoints so far, in the order of their steps.
        data_stats: What the service has made of the data.
        endpoint: The endpoint that serves the model.
        batch: The batch, without its replies.
        at: When a reply last said any of it, by the monotonic clock.
    """

    service_state: str | None = None
    reason: str | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    data_stats: DataStats | None = None
    endpoint: str | None = None
    batch: GenerateContentBatch | None = None
    at: float = -math.inf

    def updated(self, seen: Observation) -> Standing:
        """Return this with what a look says."""
        said: dict[str, object] = {}
        if seen.service_state is not None:
            said = {"service_state": seen.service_state, "reason": seen.reason}
        if seen.checkpoints is not None:
            said["checkpoints"] = _merged(self.checkpoints, seen.checkpoints)
        if seen.data_stats is not None:
            said["data_stats"] = seen.data_stats
        if seen.endpoint is not None:
            said["endpoint"] = seen.endpoint
        if seen.batch is not None:
            said["batch"] = seen.batch
        return attrs.evolve(self, **said, at=seen.at.clock) if said else self  # type: ignore[arg-type]


def _merged(known: Sequence[Checkpoint], seen: Sequence[Checkpoint]) -> tuple[Checkpoint, ...]:
    """Return all checkpoints; one that was deployed stays so, because an older state may be seen after a newer one."""
    merged = {each.checkpoint_id: each for each in known}
    for each in seen:
        if each.ready or not (each.checkpoint_id in merged and merged[each.checkpoint_id].ready):
            merged[each.checkpoint_id] = each
    return tuple(sorted(merged.values(), key=lambda each: (each.step, each.epoch)))


PLAIN: Final = Standing()
"""Of a job whose service says none of it: one value for ten thousand of them."""


@attrs.frozen
class Listed:
    """A job as a list shows it.

    Args:
        job: Its name.
        state: Its state; None if the entry does not say.
        created: When it was created, in ns; 0 if the entry does not say.
        service_state: The service's own word for the state, if it has more words than ``state``.
        reason: What the job waits for or does in it.
        about: What the job is, as far as the entry says so.
    """

    job: str
    state: JobState | None
    created: int
    service_state: str | None = None
    reason: str | None = None
    about: About | None = None

    def seen(self, now: Moment) -> Observation:
        """Return the entry as a look at its job."""
        return Observation(
            source=Source.LIST,
            at=now,
            state=self.state,
            created=self.created,
            service_state=self.service_state,
            reason=self.reason,
        )


def nanoseconds(moment: Timestamp | None) -> int:
    """Return nanoseconds since 1970, or 0 for no time and for one that 63 bits cannot hold."""
    since = 0 if moment is None else moment.nanoseconds
    return since if 0 < since < 2**63 else 0


def timestamp(since: int) -> Timestamp | None:
    """Return the inverse of ``nanoseconds``."""
    return Timestamp(since) if since else None
