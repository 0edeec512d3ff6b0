"""All snapshots of one job, each kept once, in the order in which they became visible.

What is new in a look is decided by ``merge``; here it is kept. The log is four arrays, because ten thousand jobs may be
watched at once: a snapshot takes 20 bytes in them (step 2, epoch 2, loss 8, time 8; steps and epochs beyond 16 bits
take 4) instead of some 300 as an object. Objects and events are made on access, and again for whoever reads later.

On a service that says some values of a step later than others, an entry may also complete an earlier one
(``measures``); then there are more entries than snapshots.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol, overload

import attrs

from gemtune.rows.frames import SNAPSHOT_COLUMNS, FrameEngine, make_frame
from gemtune.story.cursor import Cursor
from gemtune.story.measures import (
    MeasuredRows,
    MeasuredSteps,
    bits_of,
    completed,
    restricted,
)
from gemtune.story.merge import GrowingClaim, Item, Merged, Segment, compare, view_of
from gemtune.story.observation import timestamp
from gemtune.story.schedule import WINDOW, Pulse
from gemtune.types.training import SnapshotMetrics
from gemtune.types.tuning import MeasuredSnapshot, TuningSnapshot


@attrs.define(eq=False)
class LogColumns:
    """The snapshots' numbers."""

    steps: array[int] = attrs.field(factory=lambda: array("H"))
    epochs: array[int] = attrs.field(factory=lambda: array("h"))
    losses: array[float] = attrs.field(factory=lambda: array("d"))
    times: array[int] = attrs.field(factory=lambda: array("q"))

    def append(self, step: int, epoch: int, loss: float, time: int) -> None:
        self.steps = _with(self.steps, step)
        self.epochs = _with(self.epochs, epoch)
        self.losses.append(loss)
        self.times.append(time)

    def trim(self) -> None:
        """Give back what arrays allocate ahead: for ten thousand jobs some megabytes."""
        self.steps, self.epochs = self.steps[:], self.epochs[:]
        self.losses, self.times = self.losses[:], self.times[:]


class SnapshotLog:
    """The snapshots of one job, over all its attempts and incarnations.

    Args:
        job: The job's name.
        resumed: What a cursor's owner has had of it.
    """

    __slots__ = ("columns", "ignored", "malformed", "more", "segments")

    def __init__(self, job: str, resumed: Cursor | None = None) -> None:
        """Begin empty, or knowing what a cursor's owner has had."""
        self.columns = LogColumns()
        # What only some services say of their steps; None as long as it is nothing.
        self.more: MeasuredRows | None = None
        segment = Segment(job)
        if resumed is not None:
            base = tuple(claim for claim in resumed.claims if claim.steps)
            known = frozenset(number for run in resumed.checkpoints for number in run)
            segment = Segment(job, 0, resumed.created, resumed.attempt, 0, base, resumed.measured, known)
        self.segments = [segment]
        self.ignored = 0
        self.malformed = 0

    def __len__(self) -> int:
        return len(self.columns.steps)

    @property
    def now(self) -> Segment:
        """The current attempt."""
        return self.segments[-1]

    def identify(self, created: int) -> None:
        """Learn the createTime of the model in ns when it is first said."""
        # Never another time: a newer model under the name is another incarnation, and a segment of its own.
        if created and not self.now.created:
            self.now.created = created

    def recreate(self, created: int) -> None:
        """Begin another incarnation: a model that was made under the name of one that is gone."""
        self._begin(Segment(self.now.job, len(self), created))

    def merge(self, snapshots: Iterable[TuningSnapshot]) -> Merged:
        """Compare what one look showed with what is known, and take in what only a cursor's owner has had."""
        start = self.now.start
        view, malformed = view_of(snapshots)
        merged = compare(view, self.now, self.columns.steps[start:], self.columns.times[start:])
        self.malformed += malformed
        self.ignored += merged.ignored
        if merged.begun is not None:
            self._begin(merged.begun)
        # The whole attempt stands in the log, so that ``snapshots`` and the pace are right even after a resume.
        had = self.now.measured
        for step, time, snapshot in merged.had:
            kept = snapshot if snapshot.metrics is None else restricted(snapshot, had.bits(step) if had else 0)
            self.append((step, time, kept), self.now.claims[self.now.place(step)])
        if self.more is None or merged.stale:
            return merged
        updates = list(_updates(self.columns, self.more, view))
        for item in updates:
            if not _is_news(item, self.now):
                self.complete(item)
        return attrs.evolve(merged, updates=[item for item in updates if _is_news(item, self.now)])

    def append(self, item: Item, claim: GrowingClaim) -> bool:
        """Append a new snapshot and return whether it is late: lower than a step before it."""
        step, time, snapshot = item
        late, row = step < self.now.highest, len(self)
        self.columns.append(step, snapshot.epoch, snapshot.mean_loss, time)
        claim.add(step, time)
        if claim not in self.now.claims:
            self.now.claims.append(claim)
        metrics = snapshot.metrics
        if metrics is not None or self.more is not None:
            if self.more is None:
                self.more = MeasuredRows.after(self.columns.steps, self.columns.losses[:row])
            self._note(step, self.more.add(row, step, snapshot.mean_loss, metrics))
        return late

    def complete(self, item: Item) -> None:
        """Append what completes a known step."""
        step, _, snapshot = item
        row, more = len(self), self.more or MeasuredRows()
        self.columns.append(step, snapshot.epoch, snapshot.mean_loss, self.columns.times[more.current[step]])
        metrics = snapshot.metrics or SnapshotMetrics()
        self._note(step, more.complete(row, step, snapshot.mean_loss, metrics))

    def trim(self) -> None:
        """Give back memory that was allocated ahead."""
        self.columns.trim()

    def snapshot(self, index: int) -> TuningSnapshot:
        """Return one snapshot with all that is known of it."""
        held, more = self.columns, self.more
        if more is None:
            time = timestamp(held.times[index])
            return TuningSnapshot(held.steps[index], held.epochs[index], held.losses[index], time)
        row = more.latest(index)
        time = timestamp(held.times[row])
        return MeasuredSnapshot(held.steps[row], held.epochs[row], held.losses[row], time, metrics=more.metrics(row))

    def rows(self, start: int, stop: int) -> Sequence[int]:
        """Return the entries that are snapshots."""
        if self.more is None:
            return range(start, stop)
        rows = self.more.snapshots
        return rows[bisect_left(rows, start) : bisect_left(rows, stop)]

    def pulse(self) -> Pulse | None:
        """Return the pace of the last snapshots of the current attempt; None while there is no gap."""
        steps, times = self.columns.steps, self.columns.times
        if self.more is not None:
            last = self.rows(self.now.start, len(self))[-WINDOW:]
            return Pulse.of((steps[row], times[row]) for row in last)
        start = max(self.now.start, len(self) - WINDOW)
        return Pulse.of(zip(steps[start:], times[start:], strict=True))

    def segment(self, index: int) -> Segment:
        if self.segments[-1].start <= index:
            return self.segments[-1]
        return next(segment for segment in reversed(self.segments) if segment.start <= index)

    def _begin(self, segment: Segment) -> None:
        self.segments.append(segment)
        if self.more is not None:
            self.more.current.clear()

    def _note(self, step: int, bits: int) -> None:
        if self.now.measured is None:
            self.now.measured = MeasuredSteps()
        self.now.measured.add(step, bits)


def _with(numbers: array[int], number: int) -> array[int]:
    """Append to an array of 16-bit numbers, or make it one of 32 bits."""
    try:
        numbers.append(number)
    except OverflowError:
        numbers = array("i", numbers)
        numbers.append(number)
    return numbers


def _updates(held: LogColumns, more: MeasuredRows, view: Iterable[Item]) -> Iterator[Item]:
    """Yield what a look adds to the steps that are known."""
    for step, time, snapshot in view:
        row = more.current.get(step)
        if row is None or (time and held.times[row] and time != held.times[row]):
            continue
        fuller = completed(held.losses[row], more.metrics(row), snapshot)
        if fuller is not None:
            known = timestamp(held.times[row])
            yield step, time, MeasuredSnapshot(step, held.epochs[row], fuller[0], known, metrics=fuller[1])


def _is_news(item: Item, now: Segment) -> bool:
    """Return whether some value that completes a step was never reported, not even to a cursor's owner."""
    step, _, snapshot = item
    reported = now.measured.bits(step) if now.measured is not None else 0
    return bool(bits_of(snapshot.mean_loss, snapshot.metrics or SnapshotMetrics()) & ~reported)


class _HasLog(Protocol):
    @property
    def log(self) -> SnapshotLog: ...


class Snapshots(Sequence[TuningSnapshot]):
    """The snapshots of a job's current attempt, made on access; it grows with the job.

    Example:
        >>> job.snapshots.to_frame().plot(x="epoch", y="mean_loss")
    """

    __slots__ = ("_holder",)

    def __init__(self, holder: _HasLog) -> None:
        """Look at the log that somebody holds, whichever it is at the time."""
        self._holder = holder

    @property
    def _log(self) -> SnapshotLog:
        return self._holder.log

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> TuningSnapshot: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TuningSnapshot, ...]: ...
    def __getitem__(self, index: int | slice) -> TuningSnapshot | tuple[TuningSnapshot, ...]:
        """Return one snapshot, or a tuple of them for a slice."""
        if isinstance(index, slice):
            return tuple(map(self._log.snapshot, self._rows[index]))
        return self._log.snapshot(self._rows[index])

    @property
    def _rows(self) -> Sequence[int]:
        return self._log.rows(self._log.now.start, len(self._log))

    def to_dicts(self) -> list[dict[str, int | float | datetime | None]]:
        """Return the snapshots as dictionaries with step, epoch, mean_loss and compute_time, the rows of a frame."""
        return [snapshot.to_dict() for snapshot in self]

    def to_frame(self, *, engine: FrameEngine | None = None) -> Any:
        """Return the snapshots as a data frame with a row for each step.

        Args:
            engine: ``pandas`` or ``polars``; by default whichever is installed, and pandas if both are.

        Raises:
            InvalidInput: Neither is installed, or the one that was asked for is not.
        """
        rows = self.to_dicts()
        columns = dict.fromkeys([*SNAPSHOT_COLUMNS, *(name for row in rows for name in row)])
        return make_frame(rows, list(columns), engine)

    def __repr__(self) -> str:
        return f"<{len(self)} snapshots{f', last {self[-1]}' if self else ''}>"
