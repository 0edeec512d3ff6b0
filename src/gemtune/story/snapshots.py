"""All snapshots of one job, each kept once, in the order in which they became visible.

The service returns the cumulative list on every look; looks may be stale, holed, repeated, reordered or
empty, and the operation and the model may disagree. The rule:

- an empty list says nothing;
- a delivered step with the same or an older computeTime is ignored, and counted;
- a delivered step with a newer computeTime means that the job restarted: a new attempt begins, and the list
  is delivered as its own;
- from then on a list that shows nothing as new as the attempt's beginning is an earlier attempt's, and so is
  what is older both than that beginning and than a lower step: it is ignored, and counted;
- everything else is new, also a step below the highest one: it comes late.

A cursor knows no times but the newest of each of its parts, so that a part holds the steps of one attempt only. A
look shows one attempt. Where it repeats nothing that was told before, a restart may lie between, and what is new in
it makes a part of its own.

A snapshot takes 20 bytes here instead of some 300 as an object, because ten thousand jobs may be watched at
once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from statistics import median
from typing import TypeAlias, overload

import attrs

from gemtune import events
from gemtune.story.cursor import Cursor, Runs, cursor_head, cursor_text
from gemtune.story.observation import nanoseconds, timestamp
from gemtune.types.tuning import TuningSnapshot

_INT32 = 2**31 - 1
_WINDOW = 17


Item: TypeAlias = tuple[int, int, TuningSnapshot]
"""A snapshot with its step and its computeTime in ns."""


@attrs.frozen
class Pulse:
    """The pace of the last snapshots, in seconds of the server's clock."""

    per_step: float
    shortest: float


@attrs.define(eq=False)
class _Part:
    """A part of a cursor, while it grows."""

    steps: Runs = attrs.field(factory=Runs)
    newest: int = 0

    def add(self, step: int, time: int) -> None:
        if step > self.steps.highest or step not in self.steps:
            self.steps.add(step)
        self.newest = max(self.newest, time)


@attrs.define
class _Segment:
    """One attempt of one incarnation, from log entry ``start`` on; the rest grows with it."""

    start: int
    created: int
    attempt: int
    floor: int = 0
    parts: list[_Part] = attrs.field(factory=lambda: [_Part()])

    def part(self, step: int) -> int:
        """Return the place of the part that holds a step."""
        if len(self.parts) == 1:
            return 0
        return next(place for place, part in enumerate(self.parts) if step in part.steps)


@attrs.frozen
class Merged:
    """What one look showed that is new."""

    fresh: Sequence[Item] = ()
    """To be appended and delivered, in this order."""
    parts: Sequence[_Part] = ()
    """For each of them, to which part of the cursor it is to be appended."""
    restarted: bool = False
    stale: bool = False
    """Whether everything it showed belongs to an earlier attempt."""


class Log:
    """The snapshots of one job, over all its attempts."""

    __slots__ = (
        "_base", "_epochs", "_losses", "_segments", "_steps", "_times",
        "ignored", "malformed",
    )  # fmt: skip

    def __init__(self, resumed: Cursor | None = None) -> None:
        """Begin empty, or knowing what a cursor's owner has."""
        self._steps, self._epochs = array("H"), array("h")
        self._losses, self._times = array("d"), array("q")
        self._base = tuple(part for part in resumed.parts if part.steps) if resumed else ()
        created, attempt = (resumed.created, resumed.attempt) if resumed else (0, 1)
        self._segments = [_Segment(0, created, attempt)]
        if self._base:
            self._now.parts = [_Part(Runs(part.steps), part.newest) for part in self._base]
        self.ignored = 0
        self.malformed = 0

    def __len__(self) -> int:
        """Return how many entries there are, over all attempts."""
        return len(self._steps)

    @property
    def _now(self) -> _Segment:
        return self._segments[-1]

    @property
    def attempt(self) -> int:
        """The current attempt, from 1."""
        return self._now.attempt

    @property
    def created(self) -> int:
        """The createTime of the model in ns, or 0."""
        return self._now.created

    @created.setter
    def created(self, created: int) -> None:
        self._now.created = created

    @property
    def start(self) -> int:
        """The first entry of the current attempt."""
        return self._now.start

    @property
    def highest(self) -> int:
        """The highest step of the current attempt, or 0."""
        return max(0, *(part.steps.highest for part in self._now.parts))

    @property
    def newest(self) -> int:
        """The newest computeTime of the current attempt in ns, or 0."""
        return max(part.newest for part in self._now.parts)

    @property
    def told(self) -> list[tuple[Runs, int]]:
        """What was told of the current attempt, here or to a cursor's owner, in a cursor's parts."""
        return _told(self._now.parts)

    def begin(self, attempt: int, *, created: int, floor: int = 0) -> None:
        """Begin another attempt or incarnation, in which all older than ``floor`` ns is ignored."""
        self._base = ()
        self._segments.append(_Segment(len(self), created, attempt, floor=floor))

    def merge(self, snapshots: Iterable[TuningSnapshot]) -> Merged:
        """Compare what one look showed with what is known; append what only a cursor's owner has had."""
        view = self._view(snapshots)
        if not view:
            return Merged()
        steps, times = self._steps[self.start :], self._times[self.start :]
        if not self._base and not self._now.floor and _begins_with(view, steps, times):
            # The usual look: the same list, perhaps longer.
            self.ignored += len(steps)
            fresh = view[len(steps) :]
            return Merged(fresh, [self._now.parts[0]] * len(fresh))
        known = dict(zip(steps, times, strict=True))
        restarted = any(0 < self._delivered_at(step, known) < time for step, time, _ in view)
        out = _out_of_order(view)
        if restarted:
            ordered = [time for step, time, _ in view if time and step not in out]
            self.begin(self.attempt + 1, created=self.created, floor=min(ordered))
            known = {}
        floor = self._now.floor
        stale = all(0 < time < floor for _, time, _ in view)
        fresh = [
            item for item in view
            if item[0] not in known and not stale and not (item[0] in out and item[1] < floor)
        ]  # fmt: skip
        self.ignored += len(view) - len(fresh)
        part = self._part_of([item for item in view if item[0] not in out], known)
        for item in [item for item in fresh if any(item[0] in part for part in self._base)]:
            fresh.remove(item)
            self.append(item, self._now.parts[self._now.part(item[0])])
        apart = _Part()
        parts = [apart if step in out else part for step, _, _ in fresh]
        return Merged(fresh, parts, restarted, stale)

    def _part_of(self, view: Sequence[Item], known: dict[int, int]) -> _Part:
        """Return the part of which a look repeats something, or a new one.

        Of what a cursor's owner has had, only a part's newest snapshot is known by its time: an older one may be of an
        earlier attempt.
        """
        for part in self._now.parts:
            if not part.steps:
                return part
            for step, time, _ in view:
                if step in part.steps and time in {known.get(step, part.newest), 0}:
                    return part
        return _Part()

    def _view(self, snapshots: Iterable[TuningSnapshot]) -> list[Item]:
        """Return a look's snapshots by step, the newest of each, so that no order within a look matters."""
        view: dict[int, Item] = {}
        for snapshot in snapshots:
            step, time = snapshot.step, nanoseconds(snapshot.compute_time)
            if not (0 <= step <= _INT32 and -_INT32 <= snapshot.epoch <= _INT32):
                self.malformed += 1
            elif step not in view or view[step][1] < time:
                view[step] = (step, time, snapshot)
        return sorted(view.values(), key=itemgetter(0))

    def _delivered_at(self, step: int, known: dict[int, int]) -> int:
        """Return the computeTime with which a step was delivered, 0 if it was not or nobody knows."""
        return known.get(step) or next((part.newest for part in self._base if step in part), 0)

    def append(self, item: Item, part: _Part) -> bool:
        """Append a new snapshot and return whether it is late: lower than a step before it."""
        step, time, snapshot = item
        late = step < self.highest
        self._steps = _with(self._steps, step)
        self._epochs = _with(self._epochs, snapshot.epoch)
        self._losses.append(snapshot.mean_loss)
        self._times.append(time)
        part.add(step, time)
        if part not in self._now.parts:
            self._now.parts.append(part)
        return late

    def trim(self) -> None:
        """Give back what arrays allocate ahead: for ten thousand jobs some megabytes."""
        self._steps, self._epochs = self._steps[:], self._epochs[:]
        self._losses, self._times = self._losses[:], self._times[:]

    def snapshot(self, index: int) -> TuningSnapshot:
        """Return one entry as a value."""
        return TuningSnapshot(
            self._steps[index], self._epochs[index], self._losses[index], timestamp(self._times[index])
        )

    def replay(self, job: str, utc: datetime, first: int, *, replayed: int | None = None) -> Iterator[events.Snapshot]:
        """Yield the entries from ``first`` on as events again, each with the cursor of its place.

        Args:
            job: The job's name.
            utc: The events' ``observed_at``.
            first: Where to begin.
            replayed: How many entries are marked as replayed; None marks all.
        """
        end = len(self)
        stops = [*(segment.start for segment in self._segments[1:]), end]
        for segment, stop in zip(self._segments, stops, strict=True):
            head = cursor_head(job, segment.created, segment.attempt)
            done, highest = _again(segment), 0
            for index in range(segment.start, stop):
                step = self._steps[index]
                late, highest = step < highest, max(step, highest)
                done[segment.part(step)].add(step, self._times[index])
                if index >= first:
                    yield events.Snapshot(
                        job=job,
                        cursor=cursor_text(head, _told(done)),
                        observed_at=utc,
                        step=step,
                        epoch=self._epochs[index],
                        mean_loss=self._losses[index],
                        compute_time=timestamp(self._times[index]),
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
        return cursor.has(self._steps[index], self._times[index])

    def run(self, end: int) -> list[TuningSnapshot]:
        """Return the snapshots of the attempt that the entry before ``end`` belongs to, up to there."""
        return [self.snapshot(index) for index in range(self._segment(max(end - 1, 0)).start, end)]

    def cursor(self, job: str, end: int) -> str:
        """Return the cursor of somebody who has dealt with the first ``end`` entries and with no end of the job."""
        segment = self._segment(max(end - 1, 0))
        done = _again(segment)
        for index in range(segment.start, end):
            done[segment.part(self._steps[index])].add(self._steps[index], self._times[index])
        return cursor_text(cursor_head(job, segment.created, segment.attempt), _told(done))

    def _segment(self, index: int) -> _Segment:
        return next(segment for segment in reversed(self._segments) if segment.start <= index)

    def pulse(self) -> Pulse | None:
        """Return the pace by the last 16 gaps of the current attempt; None while there is no gap."""
        recent = range(max(self.start, len(self) - _WINDOW), len(self))
        points = sorted((self._steps[index], self._times[index]) for index in recent if self._times[index])
        gaps = [
            (later[0] - step, (later[1] - time) / 1e9) for (step, time), later in pairwise(points) if later[1] > time
        ]
        if not gaps:
            return None
        return Pulse(median(gap / steps for steps, gap in gaps), min(gap for _, gap in gaps))


def _with(numbers: array[int], number: int) -> array[int]:
    """Append to an array of 16-bit numbers, or make it one of 32 bits."""
    try:
        numbers.append(number)
    except OverflowError:
        numbers = array("i", numbers)
        numbers.append(number)
    return numbers


def _begins_with(view: Sequence[Item], steps: array[int], times: array[int]) -> bool:
    known = range(len(steps))
    return (
        len(view) >= len(steps)
        and steps.tolist() == [view[index][0] for index in known]
        and times.tolist() == [view[index][1] for index in known]
    )


def _out_of_order(view: Sequence[Item]) -> frozenset[int]:
    """Return the steps that are older than a lower one, as no single attempt makes them."""
    newest, found = 0, []
    for step, time, _ in view:
        if 0 < time < newest:
            found.append(step)
        newest = max(newest, time)
    return frozenset(found)


def _again(segment: _Segment) -> list[_Part]:
    """Return parts for what a segment's parts hold, still empty."""
    return [_Part() for _ in segment.parts]


def _told(parts: Iterable[_Part]) -> list[tuple[Runs, int]]:
    """Return parts as a cursor takes them."""
    return [(part.steps, part.newest) for part in parts if part.steps]


class Snapshots(Sequence[TuningSnapshot]):
    """The snapshots of a job's current attempt, made on access; it grows with the job."""

    __slots__ = ("_log",)

    def __init__(self, log: Log) -> None:
        """Look at a log."""
        self._log = log

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._log) - self._log.start

    @overload
    def __getitem__(self, index: int) -> TuningSnapshot: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TuningSnapshot, ...]: ...
    def __getitem__(self, index: int | slice) -> TuningSnapshot | tuple[TuningSnapshot, ...]:
        """Return one snapshot, or a tuple of them for a slice."""
        places = range(self._log.start, len(self._log))[index]
        return self._log.snapshot(places) if isinstance(places, int) else tuple(map(self._log.snapshot, places))

    def __repr__(self) -> str:
        """Return how many there are and the last one."""
        return f"<{len(self)} snapshots{f', last {self[-1]}' if self else ''}>"
