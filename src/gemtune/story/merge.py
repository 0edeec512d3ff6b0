"""The rule by which a look's snapshots are compared with those known: a pure decision.

The service returns the cumulative list of snapshots on every look. Looks may be stale, holed, repeated, reordered or
empty, and the operation and the model may disagree. What tells runs of a job apart is the computeTime of a step:

===  =================================================  ==============================================================
 1   an empty list                                      says nothing
 2   a known step, same or older computeTime            is ignored, and counted
 3   a known step, newer computeTime                    the job restarted: a new attempt begins, and the list is its own
 4   a list with nothing as new as the attempt's begin  is an earlier attempt's: ignored, and counted
 5   a step older than the begin and than a lower step  is an earlier attempt's too, in a list that mixes both
 6   everything else                                    is new, even below the highest step: it comes late
===  =================================================  ==============================================================

A look shows one attempt only. So what is new in a look belongs to the same attempt as anything that the look repeats.
If it repeats nothing, a restart may lie between, and what is new makes a claim of its own.

A cursor knows no times but the newest of each of its claims. A step of a claim counts as known in the sense of 2 and 3
with that newest time: only if it is newer than everything its owner has had can it be of a later attempt.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

import attrs

from gemtune.story.cursor import Claim, Runs, cursor_head, cursor_text, steps_of
from gemtune.story.measures import MeasuredSteps
from gemtune.story.observation import nanoseconds
from gemtune.types.tuning import TuningSnapshot

_INT32: Final = 2**31 - 1

# A snapshot with its step and its computeTime in ns.
Item: TypeAlias = tuple[int, int, TuningSnapshot]


@attrs.define(eq=False)
class GrowingClaim:
    """A claim of the cursor, while it grows: steps that are all of one attempt, and the newest of their times."""

    steps: Runs = attrs.field(factory=Runs)
    newest: int = 0

    def add(self, step: int, time: int) -> None:
        """Count a step as dealt with."""
        if step > self.steps.highest or step not in self.steps:
            self.steps.add(step)
        self.newest = max(self.newest, time)


@attrs.define(eq=False)
class Segment:
    """One attempt of one incarnation of a job, from one entry of the log on.

    Args:
        job: The job's name.
        start: The log entry with which it begins.
        created: The model's createTime in ns, which tells models of one name apart; 0: unknown.
        attempt: Which run of the job it is, from 1.
        floor: The attempt began at this time in ns; 0 for the first, whose beginning nobody has seen.
        base: What a cursor's owner has had of it.
        had: Which values a cursor's owner has had of which steps, on a service that says some of them late.
        known: The numbers of the checkpoints that a cursor's owner has had.
        checkpoints: Those of the checkpoints reported here, each with the log entry before which that was. The attempts
            of one incarnation share both.
    """

    job: str
    start: int = 0
    created: int = 0
    attempt: int = 1
    floor: int = 0
    base: tuple[Claim, ...] = ()
    had: tuple[tuple[int, tuple[range, ...]], ...] = ()
    known: frozenset[int] = frozenset()
    checkpoints: list[tuple[int, int]] | None = None
    claims: list[GrowingClaim] = attrs.field(init=False)
    # Which values were reported, to a cursor's owner or here.
    measured: MeasuredSteps | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.measured = MeasuredSteps.of(self.had) if self.had else None
        self.claims = [GrowingClaim(Runs(claim.steps), claim.newest) for claim in self.base] or [GrowingClaim()]

    @property
    def highest(self) -> int:
        """The highest step, or 0."""
        return max(0, *(claim.steps.highest for claim in self.claims))

    @property
    def newest(self) -> int:
        """The newest computeTime in ns, or 0."""
        return max(claim.newest for claim in self.claims)

    def place(self, step: int) -> int:
        """Return the place of the claim that holds a step."""
        if len(self.claims) == 1:
            return 0
        return next(place for place, claim in enumerate(self.claims) if step in claim.steps)

    def cursor(self, done: Done | None = None, *, ended: bool = False) -> str:
        """Return the cursor of somebody who has dealt with something of it; None: with all that is here."""
        held: Segment | Done = self if done is None else done
        checkpoints = self.numbers() if done is None else done.checkpoints
        return cursor_text(
            cursor_head(self.job, self.created, self.attempt),
            [(claim.steps, claim.newest) for claim in held.claims if claim.steps],
            measured=() if held.measured is None else held.measured.groups(),
            checkpoints=steps_of(checkpoints) if checkpoints else None,
            ended=ended,
        )

    def numbers(self, before: float = math.inf, *, based: bool = True) -> set[int]:
        """Return the checkpoints that were reported before a log entry, with or without those of a cursor's owner."""
        reported = {number for index, number in self.checkpoints or () if index < before}
        return reported | self.known if based else reported

    def report(self, number: int, index: int) -> bool:
        """Take in a checkpoint before an entry of the log, and return whether it was not reported here before."""
        if number in self.numbers(based=False):
            return False
        self.checkpoints = self.checkpoints or []
        self.checkpoints.append((index, number))
        return True


@attrs.define(eq=False)
class Done:
    """What somebody has dealt with of an attempt, while it grows."""

    claims: list[GrowingClaim]
    measured: MeasuredSteps | None = None
    checkpoints: set[int] = attrs.field(factory=set)


@attrs.frozen
class Merged:
    """What one look showed.

    Args:
        fresh: What is new, to be appended and delivered in this order.
        claims: For each of these, the claim that is to hold it.
        had: What only a cursor's owner has had, to be appended and not to be delivered.
        ignored: How many were repeated or are an earlier attempt's.
        updates: What completes a known step, to be appended and delivered after what is fresh.
        begun: The attempt that has begun, if the job restarted.
        stale: Whether everything belongs to an earlier attempt.
    """

    fresh: Sequence[Item] = ()
    claims: Sequence[GrowingClaim] = ()
    had: Sequence[Item] = ()
    updates: Sequence[Item] = ()
    ignored: int = 0
    begun: Segment | None = None
    stale: bool = False


def view_of(snapshots: Iterable[TuningSnapshot]) -> tuple[list[Item], int]:
    """Return a look's snapshots by step, and how many are malformed.

    Of a step that comes twice, the newest counts, so that no order within a look matters.
    """
    view: dict[int, Item] = {}
    malformed = 0
    for snapshot in snapshots:
        step, time = snapshot.step, nanoseconds(snapshot.compute_time)
        if not (0 <= step <= _INT32 and -_INT32 <= snapshot.epoch <= _INT32):
            malformed += 1
        elif step not in view or view[step][1] < time:  # operation and model may both show it
            view[step] = (step, time, snapshot)
    return sorted(view.values(), key=itemgetter(0)), malformed


def compare(view: Sequence[Item], now: Segment, steps: array[int], times: array[int]) -> Merged:
    """Compare what one look showed with what is known of the current attempt; the numbers are those of the table above.

    Args:
        view: What the look showed, by step.
        now: The current attempt.
        steps, times: The steps and computeTimes that the log holds of it.
    """
    if not view:  # 1
        return Merged()
    if not now.base and not now.floor and _begins_with(view, steps, times):
        # The usual look: the same list, perhaps longer. Ten thousand jobs make this the line that matters.
        fresh = view[len(steps) :]
        return Merged(fresh, [now.claims[0]] * len(fresh), ignored=len(steps))
    known: Mapping[int, int] = dict(zip(steps, times, strict=True))
    out = _out_of_order(view)
    begun = None
    if any(0 < _delivered_at(step, known, now.base) < time for step, time, _ in view):  # 3
        # Its beginning is the oldest time that can be its own: a list may still show some steps of the attempt before.
        floor = min(time for step, time, _ in view if time and step not in out)
        start = now.start + len(steps)
        begun = Segment(now.job, start, now.created, now.attempt + 1, floor, known=now.known)
        begun.checkpoints = now.checkpoints
        now = begun
        known = {}
    stale = all(0 < time < now.floor for _, time, _ in view)  # 4
    new = [
        item for item in view
        if item[0] not in known and not stale  # 2, 4
        and not (item[0] in out and item[1] < now.floor)  # 5
    ]  # fmt: skip
    fresh = [item for item in new if not any(item[0] in claim for claim in now.base)]
    had = [item for item in new if any(item[0] in claim for claim in now.base)] if now.base else []
    common = _claim_of([item for item in view if item[0] not in out], known, now)
    # Steps in disorder cannot be of the same attempt as the rest of the look; nobody knows of which they are.
    apart = GrowingClaim()
    claims = [apart if step in out else common for step, _, _ in fresh]
    return Merged(fresh, claims, had, (), len(view) - len(new), begun, stale)


def _claim_of(view: Sequence[Item], known: Mapping[int, int], now: Segment) -> GrowingClaim:
    """Return the claim of which a look repeats something, or a new one.

    Of what a cursor's owner has had, only a claim's newest snapshot is known by its time: an older one may be of an
    earlier attempt.
    """
    for claim in now.claims:
        if not claim.steps:
            return claim
        for step, time, _ in view:
            if step in claim.steps and time in {known.get(step, claim.newest), 0}:
                return claim
    return GrowingClaim()


def _delivered_at(step: int, known: Mapping[int, int], base: Iterable[Claim]) -> int:
    """Return the computeTime with which a step was delivered, 0 if it was not or nobody knows."""
    return known.get(step) or next((claim.newest for claim in base if step in claim), 0)


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
