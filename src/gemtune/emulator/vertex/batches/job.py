"""One batch prediction job: what it was asked for, what becomes of it when, and what was written in the end."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, cast

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.vertex.job import check_message
from gemtune.emulator.world.batches.plan import BatchCourse, BatchLife, batch_life
from gemtune.emulator.world.tuning import JobFate
from gemtune.emulator.world.typed import check, fits

MOST_PARTIAL = 20
_NAME = re.compile(r"projects/\d+/locations/[^/]+/batchPredictionJobs/\d+")
_OBJECT = re.compile(r"gs://([^/]+)/(.+)", re.DOTALL)


def object_of(uri: str) -> tuple[str, str] | None:
    """Return the bucket and the name of an object's address; None if it is none."""
    match = _OBJECT.fullmatch(uri)
    return (match[1], match[2]) if match else None


def _pair(error: Any) -> Any:
    return None if error is None else tuple(error)


def _pairs(errors: Any) -> list[Any]:
    return [tuple(each) for each in errors]  # lists, in a state file


@attrs.frozen(kw_only=True)
class PredictionOutcome:
    """What was written once a job was over.

    Args:
        directory: ``gs://`` and the folder of the results; empty if there are none.
        successful: requests with an answer.
        failed: requests without one.
        failures: (google.rpc code, message) of the first of those.
        error: the same of the whole job, if it failed only here.
    """

    directory: str = ""
    successful: int = 0
    failed: int = 0
    failures: list[tuple[int, str]] = attrs.field(factory=list, converter=_pairs)
    error: tuple[int, str] | None = attrs.field(default=None, converter=_pair)

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(PredictionOutcome))


@attrs.define(kw_only=True, eq=False)
class PredictionJob:
    """One batch prediction job.

    Args:
        number: orders the jobs by their creation.
        plan: of what becomes of it.
        given: the request's message, under proto names.
        source: the address of its requests.
        target: the address under which a folder for its results is made.
        tuned: the tuning job behind the model that it asks; None for a base model.
        version: of that model.
        email: who asks.
        lag: how long after its end its results appear, in nanoseconds.
        partial: whether it is PARTIALLY_SUCCEEDED if a request fails.
        cancelled: when a cancellation was asked for.
        outcome: what was written, once it is over.
    """

    number: int
    plan: BatchCourse
    given: Value
    source: str
    target: str
    tuned: str | None
    version: str
    email: str
    lag: int
    partial: bool
    cancelled: int | None = None
    outcome: PredictionOutcome | None = None
    _lived: tuple[int | None, BatchLife] | None = attrs.field(default=None, init=False, repr=False)
    _failing: Sequence[int] | None = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check(self, "number", "source", "target", "tuned", "version", "email", "lag", "partial", "cancelled")
        if (
            self.lag < 0
            or not _NAME.fullmatch(self.name)
            or not object_of(self.source)
            or not fits(self.labels, dict[str, str])
        ):
            raise ValueError(f"{self.name!r:.100} is no name, {self.source!r:.100} no object, or a label no string")

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def model(self) -> str:
        """The name that it asks."""
        return cast(str, self.given["model"])

    @property
    def labels(self) -> dict[str, str]:
        return cast("dict[str, str]", self.given.get("labels") or {})

    @property
    def life(self) -> BatchLife:
        """What becomes of it, as far as it can be foreseen now."""
        if self._lived is None or self._lived[0] != self.cancelled:
            self._lived = (self.cancelled, batch_life(self.plan, self.cancelled))
        life = self._lived[1]
        if self.outcome is not None and self.outcome.error is not None:
            return attrs.evolve(life, end_state="FAILED", error=self.outcome.error)
        if self.partial and self.outcome is not None and self.outcome.failed and life.end_state == "SUCCEEDED":
            return attrs.evolve(life, end_state="PARTIALLY_SUCCEEDED")
        return life

    def is_due(self, now: int) -> bool:
        """Return whether it is over, and its results are still to be written."""
        return self.outcome is None and self.life.ended is not None and self.life.ended + self.lag <= now

    def counts(self, now: int) -> tuple[int, int]:
        """Return how many requests have an answer by now, and how many have failed."""
        if self.outcome is not None and (self.life.ended or 0) <= now:
            return self.outcome.successful, self.outcome.failed
        finished = self.life.finished(now)
        if not self.plan.failed:
            return finished, 0
        if self._failing is None:
            places = (at for at, number in enumerate(self.plan.order()) if self.plan.fails(number))
            self._failing = array("L", places)
        failed = bisect_left(self._failing, finished)
        return finished - failed, failed


def dump_prediction(job: PredictionJob) -> dict[str, object]:
    """Return a job as JSON."""
    parts = ("plan", "outcome")
    plain = {f.name: getattr(job, f.name) for f in attrs.fields(PredictionJob) if f.init and f.name not in parts}
    outcome = None if job.outcome is None else attrs.asdict(job.outcome)
    return plain | {"plan": attrs.asdict(job.plan), "outcome": outcome}


def restore_prediction(values: dict[str, Any]) -> PredictionJob:
    """Return a job from JSON; raises ValueError, TypeError or LookupError if it is damaged."""
    plan, outcome = dict(values["plan"]), values["outcome"]
    plan["fate"], plan["error"] = JobFate(**plan["fate"]), _pair(plan["error"])
    check_message("BatchPredictionJob", values["given"])
    if not fits(values["given"].get("model"), str) or not fits(values["given"].get("display_name"), str):
        raise ValueError("a batch has no model, or no name")
    kept = None if outcome is None else PredictionOutcome(**outcome)
    return PredictionJob(**(values | {"plan": BatchCourse(**plan), "outcome": kept}))
