"""All snapshots of one job, each kept once, in the order in which they became visible.

What is new in a look is decided by ``merge``; here it is kept. The log is four arrays, because ten thousand jobs may be
watched at once: a snapshot takes 20 bytes in them (step 2, epoch 2, loss 8, time 8; steps and epochs beyond 16 bits
take 4) instead of some 300 as an object. Objects and events are made on access, and again for whoever reads later.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, overload

import attrs

from gemtune import events
from gemtune.story.cursor import Cursor, Runs
from gemtune.story.merge import GrowingClaim, Item, Merged, Segment, compare, view_of
from gemtune.story.observation import timestamp
from gemtune.story.schedule import WINDOW, Pulse
from gemtune.types.tuning import TuningSnapshot


@attrs.define(eq=False)
class _Columns:
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

    __slots__ = ("_columns", "_segments", "ignored", "malformed")

    def __init__(self, job: str, resumed: Cursor | None = None) -> None:
        """Begin empty, or knowing what a cursor's owner has had."""
        self._columns = _Columns()
        segment = Segment(job)
        if resumed is not None:
            base = tuple(claim for claim in resumed.claims if claim.steps)
            segment = Segment(job, created=resumed.created, attempt=resumed.attempt, base=base)
        self._segments = [segment]
        self.ignored = 0
        self.malformed = 0

    def __len__(self) -> int:
        return len(self._columns.steps)

    @property
    def now(self) -> Segment:
        """The current attempt."""
        return self._segments[-1]

    def identify(self, created: int) -> None:
        """Learn the createTime of the model in ns when it is first said."""
        # Never another time: a newer model under the name is another incarnation, and a segment of its own.
        if created and not self.now.created:
            self.now.created = created

    def recreate(self, created: int) -> None:
        """Begin another incarnation: a model that was made under the name of one that is gone."""
        self._segments.append(Segment(self.now.job, len(self), created))

    def merge(self, snapshots: Iterable[TuningSnapshot]) -> Merged:
        """Compare what one look showed with what is known, and take in what only a cursor's owner has had."""
        start = self.now.start
        view, malformed = view_of(snapshots)
        merged = compare(view, self.now, self._columns.steps[start:], self._columns.times[start:])
        self.malformed += malformed
        self.ignored += merged.ignored
        if merged.begun is not None:
            self._segments.append(merged.begun)
        # The whole attempt stands in the log, so that ``snapshots`` and the pace are right even after a resume.
        for item in merged.had:
            self.append(item, self.now.claims[self.now.place(item[0])])
        return merged

    def append(self, item: Item, claim: GrowingClaim) -> bool:
        """Append a new snapshot and return whether it is late: lower than a step before it."""
        step, time, snapshot = item
        late = step < self.now.highest
        self._columns.append(step, snapshot.epoch, snapshot.mean_loss, time)
        claim.add(step, time)
        if claim not in self.now.claims:
            self.now.claims.append(claim)
        return late

    def trim(self) -> None:
        """Give back memory that was allocated ahead."""
        self._columns.trim()

    def snapshot(self, index: int) -> TuningSnapshot:
        """Return one entry as a value."""
        held = self._columns
        return TuningSnapshot(held.steps[index], held.epochs[index], held.losses[index], timestamp(held.times[index]))

    def replay(
        self, utc: datetime, first: int, *, replayed: int | None = None, based: bool = False
    ) -> Iterator[events.Snapshot]:
        """Yield the entries from ``first`` on as events again, each with the cursor of its place.

        Args:
            utc: The events' ``observed_at``.
            first: Where to begin.
            replayed: How many entries are marked as replayed; None marks all.
            based: Whether it is for somebody who has also had what the log was resumed from.
        """
        held, end = self._columns, len(self)
        stops = [*(segment.start for segment in self._segments[1:]), end]
        for segment, stop in zip(self._segments, stops, strict=True):
            done = _done(segment, based=based)
            highest = max(0, *(claim.steps.highest for claim in done))
            for index in range(segment.start, stop):
                step = held.steps[index]
                late, highest = step < highest, max(step, highest)
                done[segment.place(step)].add(step, held.times[index])
                if index >= first:
                    yield events.Snapshot(
                        job=segment.job,
                        cursor=segment.cursor(done),
                        observed_at=utc,
                        step=step,
                        epoch=held.epochs[index],
                        mean_loss=held.losses[index],
                        compute_time=timestamp(held.times[index]),
                        attempt=segment.attempt,
                        late=late,
                        replayed=replayed is None or index < replayed,
                    )

    def had(self, index: int, cursor: Cursor) -> bool:
        """Return whether the owner of a cursor of this job has dealt with an entry.

        Attempts are counted by whoever looks, so that only incarnation, step and time tell.
        """
        created = self._segment(index).created
        if cursor.created and created and created != cursor.created:
            return created < cursor.created
        return cursor.has(self._columns.steps[index], self._columns.times[index])

    def run(self, end: int) -> list[TuningSnapshot]:
        """Return the snapshots of the attempt that the entry before ``end`` belongs to, up to there."""
        return [self.snapshot(index) for index in range(self._segment(max(end - 1, 0)).start, end)]

    def cursor(self, end: int, *, based: bool = False) -> str:
        """Return the cursor of somebody who has dealt with the first ``end`` entries and with no end of the job.

        Args:
            end: How many entries.
            based: Whether it is somebody who has also had what the log was resumed from.
        """
        segment = self._segment(max(end - 1, 0))
        done = _done(segment, based=based)
        for index in range(segment.start, end):
            step = self._columns.steps[index]
            done[segment.place(step)].add(step, self._columns.times[index])
        return segment.cursor(done)

    def pulse(self) -> Pulse | None:
        """Return the pace of the last snapshots of the current attempt; None while there is no gap."""
        start = max(self.now.start, len(self) - WINDOW)
        return Pulse.of(zip(self._columns.steps[start:], self._columns.times[start:], strict=True))

    def _segment(self, index: int) -> Segment:
        return next(segment for segment in reversed(self._segments) if segment.start <= index)


def _with(numbers: array[int], number: int) -> array[int]:
    """Append to an array of 16-bit numbers, or make it one of 32 bits."""
    try:
        numbers.append(number)
    except OverflowError:
        numbers = array("i", numbers)
        numbers.append(number)
    return numbers


def _done(segment: Segment, *, based: bool) -> list[GrowingClaim]:
    """Return a claim for each of a segment's, with nothing in it yet but what it was resumed from."""
    begun = [GrowingClaim(Runs(claim.steps), claim.newest) for claim in segment.base] if based else []
    return begun + [GrowingClaim() for _ in segment.claims[len(begun) :]]


class _HasLog(Protocol):
    @property
    def log(self) -> SnapshotLog: ...


class Snapshots(Sequence[TuningSnapshot]):
    """The snapshots of a job's current attempt, made on access; it grows with the job.

    Example:
        >>> pandas.DataFrame(job.snapshots).plot(x="epoch", y="mean_loss")
    """

    __slots__ = ("_holder",)

    def __init__(self, holder: _HasLog) -> None:
        """Look at the log that somebody holds, whichever it is at the time."""
        self._holder = holder

    @property
    def _log(self) -> SnapshotLog:
        return self._holder.log

    def __len__(self) -> int:
        return len(self._log) - self._log.now.start

    @overload
    def __getitem__(self, index: int) -> TuningSnapshot: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TuningSnapshot, ...]: ...
    def __getitem__(self, index: int | slice) -> TuningSnapshot | tuple[TuningSnapshot, ...]:
        """Return one snapshot, or a tuple of them for a slice."""
        places = range(self._log.now.start, len(self._log))[index]
        return self._log.snapshot(places) if isinstance(places, int) else tuple(map(self._log.snapshot, places))

    def to_dicts(self) -> list[dict[str, int | float | datetime | None]]:
        """Return the snapshots as dictionaries with step, epoch, mean_loss and compute_time, the rows of a frame."""
        return [snapshot.to_dict() for snapshot in self]

    def __repr__(self) -> str:
        return f"<{len(self)} snapshots{f', last {self[-1]}' if self else ''}>"
