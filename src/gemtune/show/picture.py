"""What a person sees of a job or of a batch at one moment: one value, which terminal, notebook and dashboard draw.

None of them reads anything else, so that they agree on words, colours, numbers and curves. A picture is made from what
is known already: nothing is asked, and nothing waits. Whatever the service said stands in it as it came; who draws it
escapes it for a terminal or a page.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import attrs

from gemtune import events
from gemtune.events import JobState
from gemtune.plain import plain
from gemtune.types.batches import BatchCounts, BatchState
from gemtune.types.training import Checkpoint
from gemtune.types.tuning import Hyperparameters, TuningSnapshot

Point: TypeAlias = tuple[int, float]
"""A step, and a loss after it."""

MOST_POINTS: Final = 400
"""How many points of a curve a picture has at most: about as many as a screen can show."""

_WAITS: Final = re.compile(r"TUNING_JOB_STATE_(WAITING_FOR_[A-Z_]+)")


class Tone(enum.StrEnum):
    """What the colour of a state means."""

    UNSEEN = "unseen"
    """Nobody has looked yet."""
    WAITING = "waiting"
    """It waits for a place, or has not begun to train."""
    RUNNING = "running"
    GOOD = "good"
    BAD = "bad"
    """It failed, or cannot be seen."""
    OVER = "over"
    """Somebody ended it: cancelled or deleted."""


@attrs.frozen(kw_only=True)
class JobPicture:
    """One job at one moment: a tuning job, or a batch that the service runs.

    Args:
        name: Its full name.
        title: What people call it: its display name, or else what tells its name from others.
        base_model: The model that is tuned, or asked; empty while unknown.
        hyperparameters: What controls the training, such as ``5 epochs · batch 4 · rate 0.001``; empty while unknown.
        parameters: The same as names and values, for a table: ``("batch", "4")``.
        state: The state.
        word: The same in the words of people: ``waiting for quota``, ``running``, ``succeeded``.
        tone: What its colour means.
        reason: Why it failed or cannot be seen; empty otherwise.
        trouble: Why it cannot be looked at at present, or why its losses cannot be seen, even after its end; empty
            otherwise.
        completed: Steps done; of a batch, requests with a reply or an error.
        total: Steps or requests in all; None while unknown.
        share: How much is done, from 0 to 1; None while unknown.
        eta: Seconds until the last step or request; None while unknown.
        elapsed: Seconds since it was created, or from then to its end; None while unknown.
        looked_at: When somebody looked last, in UTC; None if nobody has.
        losses: The mean losses by step, at most ``MOST_POINTS``.
        eval_losses: Those on the validation data, if the service measures them.
        checkpoints: The checkpoints so far.
        counts: How many requests of a batch are where; None of a tuning job.
    """

    name: str
    title: str
    base_model: str = ""
    hyperparameters: str = ""
    parameters: Sequence[tuple[str, str]] = ()
    state: JobState = JobState.UNKNOWN
    word: str = "not seen yet"
    tone: Tone = Tone.UNSEEN
    reason: str = ""
    trouble: str = ""
    completed: int = 0
    total: int | None = None
    share: float | None = None
    eta: float | None = None
    elapsed: float | None = None
    looked_at: datetime | None = None
    losses: Sequence[Point] = ()
    eval_losses: Sequence[Point] = ()
    checkpoints: Sequence[Checkpoint] = ()
    counts: BatchCounts | None = None

    @property
    def unit(self) -> str:
        """What ``completed`` and ``total`` count."""
        return "steps" if self.counts is None else "requests"

    @property
    def failed(self) -> int:
        """How many requests of a batch have failed."""
        return 0 if self.counts is None else self.counts.failed

    @property
    def ended(self) -> bool:
        """Whether the job has ended, or cannot be seen any more."""
        return self.tone in {Tone.GOOD, Tone.BAD, Tone.OVER}

    @property
    def loss(self) -> float | None:
        """The mean loss of the last step."""
        return self.losses[-1][1] if self.losses else None

    @property
    def lowest(self) -> Point | None:
        """The step with the lowest loss: on the validation data, if that is measured, or else in training."""
        return min(self.eval_losses or self.losses, key=lambda point: point[1], default=None)

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON values, for a page; curves as two lists each."""
        fields = attrs.asdict(self, recurse=False)
        curves = {name: fields.pop(name) for name in ("losses", "eval_losses")}
        del fields["checkpoints"], fields["parameters"]
        said = {name: plain(value) for name, value in fields.items()}
        lowest = self.lowest
        return {
            **said,
            "parameters": dict(self.parameters),
            "checkpoints": [checkpoint.to_dict() for checkpoint in self.checkpoints],
            "unit": self.unit,
            "ended": self.ended,
            "loss": self.loss,
            "lowest": None if lowest is None else {"step": lowest[0], "loss": lowest[1]},
            **{
                name: {"steps": [s for s, _ in curve], "values": [v for _, v in curve]}
                for name, curve in curves.items()
            },
        }


@attrs.frozen(kw_only=True)
class BatchPicture:
    """One batch at one moment.

    Args:
        title: What it is called: the model, or the name of a file.
        done: Prompts answered, those of earlier runs included.
        failed: Prompts that failed.
        total: Prompts in all; None while unknown.
        in_flight: Requests under way.
        parked: Prompts that wait for the end of an outage or a push-back.
        jobs: Batches that the service works on for it.
        jobs_waiting: Batches that wait until the service has room for them.
        rate: Prompts a second, over the last half minute.
        eta: Seconds until the end; None while unknown.
        elapsed: Seconds since it began.
        tokens: Tokens of the prompts and the answers.
        held_back: What holds it back at present; empty if nothing does.
        ended: Whether it is over.
    """

    title: str
    done: int = 0
    failed: int = 0
    total: int | None = None
    in_flight: int = 0
    parked: int = 0
    jobs: int = 0
    jobs_waiting: int = 0
    rate: float = 0.0
    eta: float | None = None
    elapsed: float = 0.0
    tokens: int = 0
    held_back: str = ""
    ended: bool = False

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None while unknown."""
        return min((self.done + self.failed) / self.total, 1.0) if self.total else None

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {**attrs.asdict(self), "share": self.share}


def awaited(reason: str | None) -> str:
    """Return what a job waits for, such as ``waiting for quota``; empty if the service gives another reason or none."""
    waits = _WAITS.fullmatch(reason or "")
    return waits[1].lower().replace("_", " ") if waits else ""


def short(name: str) -> str:
    """Return what tells a job from others: the last part of its name."""
    return name.rpartition("/")[2]


def toned(state: JobState, outcome: events.Event | None, *, steps: int, reason: str | None = None) -> tuple[str, Tone]:
    """Return a state in the words of people, and what its colour means.

    Args:
        state: The state.
        outcome: The terminal event, once there is one.
        steps: How many steps are done.
        reason: What the service says about the state.
    """
    match outcome:
        case events.Succeeded():
            return "succeeded", Tone.GOOD
        case events.Failed():
            return "failed", Tone.BAD
        case events.Cancelled() | events.Deleted():
            return outcome.kind, Tone.OVER
        case events.Lost():
            return "out of sight", Tone.BAD
    match state:
        case JobState.UNKNOWN:
            return "not seen yet", Tone.UNSEEN
        case JobState.CREATING:
            return ("running", Tone.RUNNING) if steps else (awaited(reason) or "starting", Tone.WAITING)
        case JobState.ACTIVE:
            return "succeeded", Tone.GOOD
        case JobState.FAILED:
            return "failed", Tone.BAD
        case JobState.CANCELLED | JobState.DELETED:
            return str(state).lower(), Tone.OVER
    return str(state).lower(), Tone.RUNNING  # a word of the service that this version does not know


_OF_BATCHES: Final = {
    BatchState.UNSPECIFIED: ("not seen yet", Tone.UNSEEN),
    BatchState.QUEUED: ("waiting", Tone.WAITING),
    BatchState.PENDING: ("waiting", Tone.WAITING),
    BatchState.SUCCEEDED: ("succeeded", Tone.GOOD),
    BatchState.PARTIALLY_SUCCEEDED: ("partly succeeded", Tone.GOOD),
    BatchState.FAILED: ("failed", Tone.BAD),
    BatchState.EXPIRED: ("expired", Tone.BAD),
    BatchState.CANCELLED: ("cancelled", Tone.OVER),
}


def batch_toned(state: BatchState) -> tuple[str, Tone]:
    """Return a batch's state in the words of people, and what its colour means."""
    return _OF_BATCHES.get(state, (str(state).lower(), Tone.RUNNING))


def jobs_of(pictures: Sequence[JobPicture]) -> str:
    """Return how many jobs there are, and of which kind: ``1 tuning job``, ``3 batches``, ``4 jobs``."""
    kinds = {picture.unit for picture in pictures}
    noun, many = ("batch", "batches") if kinds == {"requests"} else ("job", "jobs")
    word = noun if len(pictures) == 1 else many
    return f"{len(pictures):,} {word if 'requests' in kinds else f'tuning {word}'}"


def counted_in(pictures: Sequence[JobPicture]) -> str:
    """Return what a column says that shows how far jobs are: ``step``, ``requests``, or ``count`` of some of either."""
    kinds = {picture.unit for picture in pictures}
    return "count" if len(kinds) > 1 else "requests" if kinds == {"requests"} else "step"


def parameters(used: Hyperparameters | None) -> tuple[tuple[str, str], ...]:
    """Return hyperparameters as names and values, such as ``("batch", "4")``; only those that are set."""
    if used is None:
        return ()
    rate, times = used.learning_rate, used.learning_rate_multiplier
    said = {
        "epochs": used.epoch_count and str(used.epoch_count),
        "batch": used.batch_size and str(used.batch_size),
        "rate": rate is not None and f"{rate:g}",
        "× the default rate": times is not None and f"{times:g}",
        "adapter": used.adapter_size and str(used.adapter_size),
        "beta": used.beta is not None and f"{used.beta:g}",
    }
    return tuple((name, value) for name, value in said.items() if value)


def settings(used: Hyperparameters | None) -> str:
    """Return hyperparameters as people say them: ``5 epochs · batch 4 · rate 0.001``; empty if there are none."""
    return " · ".join(_said(name, value) for name, value in parameters(used))


def _said(name: str, value: str) -> str:
    if name == "epochs":
        return f"{value} epoch{'s' if value != '1' else ''}"
    return f"{value} {name}" if name.startswith("×") else f"{name} {value}"


def reason_of(outcome: events.Event | None) -> str:
    """Return why a job has no model, in the service's words; empty if it has one, or none was given."""
    match outcome:
        case events.Failed(reason=reason):
            return reason or "the service gave no reason"
        case events.Lost(reason=why, message=message):
            return message or str(why).replace("_", " ")
    return ""


def curves(snapshots: Iterable[TuningSnapshot]) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Return the mean losses and the losses on the validation data by step, thinned to what a screen can show."""
    train: list[Point] = []
    evals: list[Point] = []
    for snapshot in snapshots:
        if math.isfinite(snapshot.mean_loss):
            train.append((snapshot.step, snapshot.mean_loss))
        eval_loss = snapshot.eval_loss
        if eval_loss is not None and math.isfinite(eval_loss):
            evals.append((snapshot.step, eval_loss))
    return thinned(sorted(train)), thinned(sorted(evals))


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """Return at most so many of the points, first and last included.

    Of each run of neighbours it keeps the lowest and the highest, so that no spike and no lowest loss is lost.
    """
    if len(points) <= most:
        return tuple(points)
    inner, runs = points[1:-1], (most - 2) // 2
    kept: list[Point] = [points[0]]
    for number in range(runs):
        run = inner[number * len(inner) // runs : (number + 1) * len(inner) // runs]
        kept += sorted({min(run, key=lambda point: point[1]), max(run, key=lambda point: point[1])})
    return (*kept, points[-1])
