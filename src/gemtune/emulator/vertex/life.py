"""The life of a tuning job on Vertex AI as a function of time, around the formula that all tuning here follows.

::

    created ─ started ─ slot ─────── data read ─ training ─ first step ──── steps ──── deployed ─ ended
     PENDING  RUNNING   quota is     statistics  experiment  model          checkpoints, one       endpoint
                        had          (or FAILED)                            after the other

A job waits for its slot while the quota is used up. Half-way to the statistics its service account appears. Each
checkpoint is deployed to an endpoint of its own, one after the other, while training goes on; the last one is the
default, so that the job's endpoint comes last. Whatever moves, moves ``updateTime``, but for CANCELLING, which does not
(observed). What never happens has the instant None.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

import attrs

from gemtune.emulator.world.clock import SECOND, nanoseconds
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.surface import DEFAULT_ADAPTER
from gemtune.emulator.world.tuning import Job, JobFate, JobProgress
from gemtune.emulator.world.typed import check

_PHASE_STEPS, _CANCELLING_STEPS = 10, 2
_UNSEEN_UPDATE = SECOND + 74_000_000  # updateTime was seen to move so long after the start, and nothing else with it
_INTERNAL = "Internal error occurred. Contact Vertex AI."
_UNDEPLOYED = "Failed to create endpoint. Tuned model is uploaded and can be accessed through Model Registry."
_MANY = 10


@attrs.frozen(kw_only=True)
class Durations:
    """The durations of one job, in nanoseconds; settled when it is created."""

    pending: int
    phase: int
    capacity: int
    cancelling: int
    endpoint_lag: int
    step: int
    refresh: int

    @classmethod
    def of(cls, settings: Settings) -> Durations:
        """Return what the settings say now."""
        step = nanoseconds(settings.step_seconds)
        phase, cancelling = settings.phase_seconds, settings.cancelling_seconds
        return cls(
            pending=nanoseconds(settings.queue_seconds),
            phase=_PHASE_STEPS * step if phase is None else nanoseconds(phase),
            capacity=nanoseconds(settings.capacity_seconds),
            cancelling=_CANCELLING_STEPS * step if cancelling is None else nanoseconds(cancelling),
            endpoint_lag=nanoseconds(settings.endpoint_lag_seconds),
            step=step,
            refresh=nanoseconds(settings.refresh_seconds),
        )

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(Durations))


@attrs.frozen(kw_only=True)
class TuningPlan:
    """What is settled about a job when it is created.

    Args:
        name: of the job.
        examples: that it trains on.
        epochs: passes over them.
        batch_size: examples of a step.
        created: when, in nanoseconds.
        seed: of the losses.
        durations: of its phases.
        fate: what a test wants to happen to it.
        checkpoints: whether all are kept, the last one only, or none (the base model has no checkpoints).
        data_error: (google.rpc code, message) if the data cannot be used.
        rate: of learning, as a multiple of the service's default.
        adapter: the size of the adapter.
    """

    name: str
    examples: int
    epochs: int
    batch_size: int
    created: int
    seed: int
    durations: Durations
    fate: JobFate
    checkpoints: Literal["all", "last", "none"] = "all"
    data_error: tuple[int, str] | None = None
    rate: float = 1.0
    adapter: int = DEFAULT_ADAPTER

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(TuningPlan))
        self.trained_from(self.created)  # an impossible plan is refused here, and not by a later look

    @property
    def started(self) -> int:
        return self.created + self.durations.pending

    def trained_from(self, instant: int) -> Job:
        """Return the steps of a training that begins then."""
        durations = self.durations
        return Job(
            name=self.name, examples=self.examples, epochs=self.epochs, batch_size=self.batch_size, created=instant,
            queue=0, step=durations.step, refresh=durations.refresh, seed=self.seed, fate=self.fate,
            rate=self.rate, adapter=self.adapter,
        )  # fmt: skip

    def kept(self, total_steps: int) -> list[tuple[int, int, int]]:
        """Return (number, epoch, step) of each checkpoint: one an epoch, or about ten; the last one always."""
        if self.checkpoints == "none":
            return [(0, self.epochs, total_steps)]
        if self.epochs < _MANY:
            epochs = list(range(1, self.epochs + 1))
        else:
            epochs = sorted({-(-self.epochs * part // _MANY) for part in range(1, _MANY + 1)})
        steps = [
            (number, epoch, -(-self.examples * epoch // self.batch_size)) for number, epoch in enumerate(epochs, 1)
        ]
        return steps[-1:] if self.checkpoints == "last" else steps


@attrs.frozen
class Deployed:
    """A checkpoint that has its own endpoint since an instant; number 0 is the one of a model without checkpoints."""

    number: int
    epoch: int
    step: int
    at: int


@attrs.frozen(kw_only=True)
class Life:
    """When what happens to a job; instants in nanoseconds, None for never."""

    created: int
    started: int | None = None
    slot: int | None = None
    account: int | None = None
    data_read: int | None = None
    training: int | None = None
    trained: int | None = None
    model: int | None = None
    deployed: tuple[Deployed, ...] = ()
    endpoint: int | None = None
    ended: int | None = None
    end_state: str = "SUCCEEDED"
    error: tuple[int, str] | None = None
    cancelled: int | None = None
    job: Job | None = None

    @cached_property
    def _moves(self) -> list[int]:
        seen = [self.started + _UNSEEN_UPDATE] if self.started is not None else []
        limit = self.ended if self.cancelled is None else self.cancelled
        instants = (
            self.created, self.started, *seen, self.account, self.data_read, self.training, self.model,
            *(each.at for each in self.deployed), self.endpoint,
        )  # fmt: skip
        early = [each for each in instants if each is not None and (limit is None or each <= limit)]
        late = [each for each in (self.ended, self.endpoint) if each is not None]
        return sorted(early + late)

    def has(self, instant: int | None, now: int) -> bool:
        """Return whether something has happened by now."""
        return instant is not None and instant <= now

    def state(self, now: int) -> str:
        """Return the state without its prefix."""
        if self.has(self.ended, now):
            return self.end_state
        if self.has(self.cancelled, now):
            return "CANCELLING"
        return "RUNNING" if self.has(self.started, now) else "PENDING"

    def phase(self, now: int) -> str | None:
        """Return what a RUNNING job is doing, in v1beta1's words without their prefix."""
        if self.state(now) != "RUNNING":
            return None
        if not self.has(self.slot, now):
            return "WAITING_FOR_QUOTA"
        if not self.has(self.data_read, now):
            return "PROCESSING_DATASET"
        if not self.has(self.training, now):
            return "WAITING_FOR_CAPACITY"
        return "POST_PROCESSING" if self.has(self.trained, now) else "TUNING"

    def updated(self, now: int) -> int:
        """Return the time of the latest change."""
        return next((each for each in reversed(self._moves) if each <= now), self.created)

    def checkpoints(self, now: int) -> Iterator[Deployed]:
        """Return the checkpoints that have an endpoint by now."""
        return (each for each in self.deployed if each.at <= now)

    def progress(self, now: int) -> JobProgress | None:
        """Return where the training stands; None before it began."""
        if self.job is None or not self.has(self.training, now):
            return None
        return self.job.progress(now, self.cancelled if self.has(self.cancelled, now) else None)


def live(plan: TuningPlan, slot: int | None, cancelled: int | None) -> Life:
    """Return the life of a job.

    Args:
        plan: of the job.
        slot: when the quota admits it; None if that is not to be foreseen.
        cancelled: when a cancellation was asked for, if it was.
    """
    life = Life(created=plan.created, started=plan.started, slot=slot)
    if slot is not None:
        life = _work(plan, life, slot)
    return life if cancelled is None else _cut(plan, life, cancelled)


def _work(plan: TuningPlan, life: Life, slot: int) -> Life:
    durations = plan.durations
    life = attrs.evolve(life, account=slot + durations.phase // 2)
    if plan.fate.stuck_ingestion:
        return life
    read = slot + durations.phase
    if plan.data_error is not None:
        return attrs.evolve(life, ended=read, end_state="FAILED", error=plan.data_error)
    job = plan.trained_from(read + durations.capacity)
    life = attrs.evolve(
        life,
        data_read=read,
        training=job.started,
        job=job,
        model=job.completes(1),
        trained=job.completes(job.total_steps),
    )
    if plan.fate.fail_at_step is not None and job.finished is not None:
        message = plan.fate.message if plan.fate.message != JobFate().message else _INTERNAL
        return attrs.evolve(life, ended=job.finished, end_state="FAILED", error=(plan.fate.code, message))
    deployed: list[Deployed] = []
    for number, epoch, step in plan.kept(job.total_steps):
        trained = job.completes(step)
        if trained is None:
            return attrs.evolve(life, deployed=tuple(deployed))
        at = max(trained, deployed[-1].at if deployed else 0) + durations.phase
        deployed.append(Deployed(number, epoch, step, -(-at // 1000) * 1000))
    end = deployed[-1].at
    if plan.fate.endpoint_fails:
        return attrs.evolve(life, ended=end, end_state="FAILED", error=(13, _UNDEPLOYED))
    if plan.fate.hollow:
        return attrs.evolve(life, ended=end)
    return attrs.evolve(life, deployed=tuple(deployed), ended=end, endpoint=end + durations.endpoint_lag)


def _cut(plan: TuningPlan, life: Life, cancelled: int) -> Life:
    """Return a life of which nothing happens after a cancellation but its end."""
    instants = ("started", "slot", "account", "data_read", "training", "trained", "model")
    never: dict[str, Any] = {
        name: None for name in instants if (at := getattr(life, name)) is not None and at > cancelled
    }
    deployed = tuple(each for each in life.deployed if each.at <= cancelled)
    return attrs.evolve(
        life, **never, deployed=deployed, endpoint=None, ended=cancelled + plan.durations.cancelling,
        end_state="CANCELLED", error=(1, "CANCELED"), cancelled=cancelled,
    )  # fmt: skip
