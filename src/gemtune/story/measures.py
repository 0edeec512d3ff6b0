"""Values of a snapshot that may come later than its step: which are there, and which were dealt with.

The Gemini API says all of a step at once. On other services the loss on the validation data, or the accuracy, of a step
may appear some looks after its loss. Such a value is reported once, as an update of the step. So it takes two things
that a plain job does not need and does not pay for: a log with a *row* for each report, be it the snapshot itself or
more of it (``MeasuredRows``), and for each value the steps of which it was dealt with (``MeasuredSteps``), which is
what a cursor says::

    step        1    2    3    4          row    0    1    2    3    4
    loss        .9   .8   .6   .5         step   1    2    3    4    2
    eval_loss        .85                                              eval_loss .85: an update

What was said once does not change: only what was missing can be an update. So a look at an older state says nothing
new.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Iterable
from typing import Final

import attrs

from gemtune.story.cursor import Runs
from gemtune.types.training import SnapshotMetrics
from gemtune.types.tuning import MeasuredSnapshot, TuningSnapshot

# The bit of a value is that of its place; the loss comes last.
NAMES: Final = ("accuracy", "predictions", "eval_loss", "eval_accuracy", "eval_predictions")
LOSS: Final = 1 << len(NAMES)
_NONE: Final = SnapshotMetrics()
_HASHED: Final = 2**30


def bits_of(loss: float, metrics: SnapshotMetrics) -> int:
    """Return which values are there."""
    bits = 0 if math.isnan(loss) else LOSS
    for place, name in enumerate(NAMES):
        if getattr(metrics, name) is not None:
            bits |= 1 << place
    return bits


def restricted(snapshot: TuningSnapshot, bits: int) -> TuningSnapshot:
    """Return a snapshot with some of its values only."""
    metrics = snapshot.metrics
    if metrics is None:
        return snapshot
    left_out = {name: None for place, name in enumerate(NAMES) if not bits >> place & 1}
    loss = snapshot.mean_loss if bits & LOSS else math.nan
    kept = attrs.evolve(metrics, **left_out)  # type: ignore[arg-type]
    return MeasuredSnapshot(snapshot.step, snapshot.epoch, loss, snapshot.compute_time, metrics=kept)


def completed(loss: float, metrics: SnapshotMetrics, seen: TuningSnapshot) -> tuple[float, SnapshotMetrics] | None:
    """Return what is known of a step with what a look adds to it; None if it adds nothing."""
    shown = seen.metrics or _NONE
    more: dict[str, float] = {}
    if shown is not metrics and shown != metrics:
        for name in NAMES:
            if getattr(metrics, name) is None and (value := getattr(shown, name)) is not None:
                more[name] = value
    late = math.isnan(loss) and not math.isnan(seen.mean_loss)
    if not more and not late:
        return None
    return seen.mean_loss if late else loss, attrs.evolve(metrics, **more)  # type: ignore[arg-type]


def checkpoint_number(checkpoint_id: str) -> int:
    """Return what stands for a checkpoint in a cursor: its id, which is a small number as a rule, or one made of it."""
    if checkpoint_id.isascii() and checkpoint_id.isdigit() and str(int(checkpoint_id[:10])) == checkpoint_id:
        number = int(checkpoint_id)
        if number < _HASHED:
            return number
    return _HASHED + zlib.crc32(checkpoint_id.encode()) % _HASHED


@attrs.define(eq=False)
class MeasuredSteps:
    """Of which steps which values were dealt with: a set of steps for each value."""

    _steps: list[Runs] = attrs.field(factory=lambda: [Runs() for _ in (*NAMES, LOSS)], init=False)

    @classmethod
    def of(cls, groups: Iterable[tuple[int, Iterable[range]]]) -> MeasuredSteps:
        """Return what a cursor says."""
        self = cls()
        for bits, ranges in groups:
            for place in range(len(self._steps)):
                if bits >> place & 1:
                    self._steps[place] = Runs(ranges)
        return self

    def add(self, step: int, bits: int) -> None:
        """Count some values of a step as dealt with."""
        for place, runs in enumerate(self._steps):
            if bits >> place & 1 and (step > runs.highest or step not in runs):
                runs.add(step)

    def bits(self, step: int) -> int:
        """Return which values of a step were dealt with."""
        return sum(1 << place for place, runs in enumerate(self._steps) if step in runs)

    def groups(self) -> list[tuple[int, Runs]]:
        """Return the sets of steps, each with the values that share it: as a rule two or three."""
        found: dict[tuple[range, ...], int] = {}
        for place, runs in enumerate(self._steps):
            if runs:
                ranges = tuple(runs.ranges)
                found[ranges] = found.get(ranges, 0) | 1 << place
        return [(bits, Runs(ranges)) for ranges, bits in found.items()]


@attrs.define(eq=False)
class MeasuredRows:
    """What the rows of a log hold beyond the four numbers of a snapshot."""

    # The rows that are snapshots, in order; all others add something to one of them.
    snapshots: array[int] = attrs.field(factory=lambda: array("I"), init=False)
    # By step, the latest row of the current attempt.
    current: dict[int, int] = attrs.field(factory=dict, init=False)
    # How many values are known, by which it can be told who knows more of a job.
    values: int = attrs.field(default=0, init=False)
    _metrics: dict[int, SnapshotMetrics] = attrs.field(factory=dict, init=False)
    # The rows that complete a snapshot, each with the one before it of the same step, and the other way around.
    _updates: dict[int, int] = attrs.field(factory=dict, init=False)
    _latest: dict[int, int] = attrs.field(factory=dict, init=False)

    @classmethod
    def after(cls, steps: array[int], losses: array[float]) -> MeasuredRows:
        """Begin after rows that had a loss only."""
        self = cls()
        for row, loss in enumerate(losses):
            self.add(row, steps[row], loss, None)
        return self

    def add(self, row: int, step: int, loss: float, metrics: SnapshotMetrics | None) -> int:
        """Take in a row, and return which values are there."""
        metrics = metrics or _NONE
        if metrics is not _NONE:
            self._metrics[row] = metrics
        self.snapshots.append(row)
        self.current[step] = row
        bits = bits_of(loss, metrics)
        self.values += bits.bit_count()
        return bits

    def complete(self, row: int, step: int, loss: float, metrics: SnapshotMetrics) -> int:
        """Take in a row that completes the snapshot of a step, and return which values are there."""
        former = self.current[step]
        self._updates[row] = first = self._updates.get(former, former)
        self._latest[first] = self.current[step] = row
        self._metrics[row] = metrics
        bits = bits_of(loss, metrics)
        self.values += 1
        return bits

    def metrics(self, row: int) -> SnapshotMetrics:
        """Return what else was measured, as of a row."""
        return self._metrics.get(row, _NONE)

    def is_update(self, row: int) -> bool:
        """Return whether a row completes a snapshot."""
        return row in self._updates

    def latest(self, row: int) -> int:
        """Return the row that says all that is known of a snapshot."""
        return self._latest.get(row, row)
