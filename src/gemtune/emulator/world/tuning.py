"""A tuning job as a pure function of time.

Nothing is learned and nothing runs: where a job stands follows from when it was created and what time it is. So a
thousand jobs cost nothing while nobody looks, a stepped clock may jump over a week, a lagging replica is simply asked
at an earlier time, and a job in a state file needs no more than its plan to continue.

- A job of S steps starts ``queue_seconds`` after its creation and is over exactly S · ``step_seconds`` later.
- S = ceil(N · epochs / batch size) for N examples; a step's epoch is floor(step · batch size / N). Both are the
  service's: 15 examples, 5 epochs and batches of 4, as in its tutorial, are 19 steps.
- The losses of a step follow from the hyperparameters by the formulas of ``surface.py``. They are the same whoever
  looks, whenever, and in whichever order.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import attrs

from gemtune.emulator.messages.codec import FrozenMessage
from gemtune.emulator.world import surface
from gemtune.emulator.world.clock import LATEST, nanoseconds
from gemtune.emulator.world.typed import check

MOST_STEPS = 100_000  # a few bytes of a request ("epochCount") must not become snapshots without an end
_MICROSECOND = 1_000
# Real steps are not evenly spaced. A step reports at its end or up to this part of it earlier, and never
# before the step before it.
_JITTER = 0.4


def total_steps(examples: int, epochs: int, batch_size: int) -> int:
    """Return the steps of a whole run: ceil(examples · epochs / batch size)."""
    return -(-examples * epochs // batch_size)


def epoch_of(step: int, examples: int, batch_size: int) -> int:
    """Return the whole passes over the data after a step (steps count from 1)."""
    return step * batch_size // examples


@attrs.frozen(kw_only=True)
class JobFate:
    """What a test wants to happen to the next tuning job, or to a batch, whose steps are its requests.

    Args:
        fail_at_step: the job fails instead of completing this step; 0 fails it before the first.
        code: of the failed operation, a google.rpc number (13 is INTERNAL).
        message: of the failed operation.
        restart_at_step: after this step the job starts over, once; its steps come again with later times.
        stall_at_step: the job never goes beyond this step.
        losses: reported instead of the formula's, from step 1; the last one is repeated.
        expire_at_step: after this step the operation is forgotten (404); the model and its job go on.
        delete_at_step: after this step the model is gone, as if somebody else had deleted it.
        hollow: the model becomes ACTIVE without snapshots or times, and inference on it is a 500 (seen in 2024). On
            Vertex AI the job succeeds, and its model never gets an endpoint.
        stuck_ingestion: Vertex AI: the job runs, and never gets as far as the statistics of its data.
        endpoint_fails: Vertex AI: training succeeds, the deployment does not: FAILED, with a model.
        dropped_examples: Vertex AI: these examples (from 1) are left out of the training, and counted.
    """

    fail_at_step: int | None = None
    code: int = 13
    message: str = "An internal error has occurred during tuning."
    restart_at_step: int | None = None
    stall_at_step: int | None = None
    losses: tuple[float, ...] = attrs.field(default=(), converter=tuple)
    expire_at_step: int | None = None
    delete_at_step: int | None = None
    hollow: bool = False
    stuck_ingestion: bool = False
    endpoint_fails: bool = False
    dropped_examples: tuple[int, ...] = attrs.field(default=(), converter=tuple)

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(JobFate))
        steps = (self.fail_at_step, self.restart_at_step, self.stall_at_step, self.expire_at_step, self.delete_at_step)
        if any(number < 1 for number in self.dropped_examples):
            raise ValueError(f"examples are counted from 1, not from {min(self.dropped_examples)}")
        if any(step is not None and step < 0 for step in steps):
            raise ValueError(f"a step of a job's fate must be at least 0, not {min(s for s in steps if s is not None)}")


@attrs.frozen
class StepMetrics:
    """The metrics of one step."""

    step: int
    epoch: int
    mean_loss: float
    compute_time: int

    @cached_property
    def message(self) -> FrozenMessage:
        """The TuningSnapshot message."""
        return FrozenMessage(attrs.asdict(self))


@attrs.frozen(kw_only=True)
class JobProgress:
    """Where a job stands: its state, visible snapshots and times (nanoseconds since 1970)."""

    state: Literal["CREATING", "ACTIVE", "FAILED"]
    snapshots: tuple[StepMetrics, ...]
    start_time: int | None
    complete_time: int | None
    error: tuple[int, str] | None = None

    @property
    def done(self) -> bool:
        return self.state != "CREATING"


@attrs.frozen(kw_only=True)
class Job:
    """The plan of one tuning job; times in nanoseconds, the rate as a multiple of the service's default."""

    name: str
    examples: int
    epochs: int
    batch_size: int
    created: int
    queue: int
    step: int
    refresh: int
    seed: int
    fate: JobFate = attrs.field(factory=JobFate)
    rate: float = 1.0
    adapter: int = surface.DEFAULT_ADAPTER
    _runs: dict[int, list[StepMetrics]] = attrs.field(factory=dict, init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        check(self, *(f.name for f in attrs.fields(Job) if f.init))
        sizes, times = (
            (self.examples, self.epochs, self.batch_size),
            (self.created, self.queue, self.step, self.refresh),
        )
        if self.adapter < 1 or not 0 < self.rate <= surface.HIGHEST_RATE:
            raise ValueError(
                f"a job with {self.rate} times the default rate or adapters of {self.adapter} is impossible"
            )
        if min(sizes) < 1 or min(times) < 0 or self.created > LATEST or self.total_steps > MOST_STEPS:
            raise ValueError(f"a job of {sizes} examples, epochs and batch size at {times} ns is impossible")

    @classmethod
    def plan(cls, *, queue_seconds: float, step_seconds: float, refresh_seconds: float, **facts: object) -> Job:
        """Return a plan whose durations are given in seconds."""
        times = {"queue": queue_seconds, "step": step_seconds, "refresh": refresh_seconds}
        return cls(**{key: nanoseconds(seconds) for key, seconds in times.items()}, **facts)  # type: ignore[arg-type]

    @cached_property
    def recipe(self) -> surface.Recipe:
        """What its losses follow from."""
        return surface.Recipe(
            seed=self.seed, name=self.name, examples=self.examples, batch_size=self.batch_size, rate=self.rate,
            adapter=self.adapter,
        )  # fmt: skip

    @property
    def total_steps(self) -> int:
        return total_steps(self.examples, self.epochs, self.batch_size)

    @property
    def started(self) -> int:
        """When the first run begins."""
        return self.created + self.queue

    @property
    def _run_start(self) -> int:
        """When the run that counts began: the second one if the job restarts."""
        return self.started + (self.fate.restart_at_step or 0) * self.step

    @property
    def finished(self) -> int | None:
        """When the job ends, in whole microseconds; None if it never does."""
        fate, last = self.fate, self.total_steps
        if fate.stall_at_step is not None and fate.stall_at_step < last:
            return None
        if fate.fail_at_step is not None:
            last = min(last, max(0, fate.fail_at_step - 1))
        end = self._run_start + last * self.step
        # The service's times are whole microseconds; rounded up, so that no snapshot is later than the end.
        return -(-end // _MICROSECOND) * _MICROSECOND

    def completes(self, step: int) -> int | None:
        """When a step of the run that counts is over; None if the job's fate keeps it from that."""
        fate = self.fate
        limits = (fate.stall_at_step, None if fate.fail_at_step is None else max(0, fate.fail_at_step - 1))
        if any(limit is not None and step > limit for limit in limits):
            return None
        return self._run_start + step * self.step

    @property
    def expires(self) -> int | None:
        """When the operation is forgotten; None if it never is."""
        return self._after(self.fate.expire_at_step)

    @property
    def deleted(self) -> int | None:
        """When somebody else deletes the model; None if nobody does."""
        return self._after(self.fate.delete_at_step)

    def _after(self, step: int | None) -> int | None:
        return None if step is None else self._run_start + step * self.step

    def progress(self, now: int, cancelled_at: int | None = None) -> JobProgress:
        """Return where the job stands at ``now``; nothing moves after ``cancelled_at``."""
        if cancelled_at is not None:
            seen = self._snapshots(min(now, cancelled_at))
            start = self._start_time(cancelled_at)
            error = (1, "The operation was cancelled.")
            return JobProgress(
                state="FAILED", snapshots=seen, start_time=start, complete_time=cancelled_at, error=error
            )
        finished = self.finished
        if finished is None or now < finished:
            return JobProgress(
                state="CREATING",
                snapshots=self._snapshots(_refreshed(self, now)),
                start_time=self._start_time(now),
                complete_time=None,
            )
        if self.fate.hollow:
            return JobProgress(state="ACTIVE", snapshots=(), start_time=None, complete_time=None)
        failed = self.fate.fail_at_step is not None
        return JobProgress(
            state="FAILED" if failed else "ACTIVE",
            snapshots=self._snapshots(now),
            start_time=self.started,
            complete_time=finished,
            error=(self.fate.code, self.fate.message) if failed else None,
        )

    def snapshot(self, step: int, run_start: int) -> StepMetrics:
        """Return the report of one step of the run that began at ``run_start``."""
        earlier = int(self.recipe.drawn("time", step, run_start) * _JITTER * self.step)
        time = run_start + step * self.step - earlier
        return StepMetrics(step, epoch_of(step, self.examples, self.batch_size), loss_of(self, step), time)

    def _snapshots(self, now: int) -> tuple[StepMetrics, ...]:
        start, limit = self._run_start, self.total_steps
        if now < start:  # before a restart: the first run, whose steps come again later with other times
            start, limit = self.started, self.fate.restart_at_step or 0
        elif self.fate.fail_at_step is not None:
            limit = min(limit, max(0, self.fate.fail_at_step - 1))
        if self.fate.stall_at_step is not None:
            limit = min(limit, self.fate.stall_at_step)
        if now < start:
            return ()
        steps = min(limit, (now - start) // self.step) if self.step else limit
        # Steps never change, so each is computed once and later looks cost a slice.
        run = self._runs.setdefault(start, [])
        run.extend(self.snapshot(step, start) for step in range(len(run) + 1, steps + 1))
        return tuple(run[:steps])

    def _start_time(self, now: int) -> int | None:
        return self.started if now >= self.started else None


def loss_of(job: Job, step: int) -> float:
    """Return the loss of one step of a job."""
    if job.fate.losses:
        return job.fate.losses[min(step, len(job.fate.losses)) - 1]
    return surface.train_loss(job.recipe, step)


def eval_loss_of(job: Job, step: int) -> float:
    """Return the loss on held-out examples after one step of a job."""
    held_out = surface.held_out(job.recipe, step, loss_of(job, step))
    return held_out if job.fate.losses else held_out + surface.overfitting(job.recipe, step)


def _refreshed(job: Job, now: int) -> int:
    """Return when what is visible of a running job was refreshed last."""
    return now if not job.refresh else job.created + (now - job.created) // job.refresh * job.refresh
