"""What a log of snapshots holds, made events again for somebody who reads it later or from another place.

A log keeps no events, and no cursors: both follow from where its reader is. Of what a reader has had there are two
measures: the entries that it has passed, and, if it came with a cursor, what that says. A cursor that is made here for
such a reader holds both, so that nothing that either of them covers is delivered again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from gemtune import events
from gemtune.story.cursor import Cursor, Runs
from gemtune.story.measures import MeasuredRows, MeasuredSteps, bits_of
from gemtune.story.merge import Done, GrowingClaim, Segment
from gemtune.story.observation import timestamp
from gemtune.story.snapshots import SnapshotLog
from gemtune.types.timestamp import Timestamp
from gemtune.types.tuning import TuningSnapshot


def event(
    log: SnapshotLog,
    index: int,
    utc: datetime,
    cursor: str,
    *,
    late: bool,
    replayed: bool,
    computed: Timestamp | None = None,
) -> events.Snapshot | events.SnapshotUpdated:
    """Return an entry as an event with a cursor; when it was computed need not be given."""
    held, segment, more = log.columns, log.segment(index), log.more
    made = events.Snapshot(
        job=segment.job,
        cursor=cursor,
        observed_at=utc,
        step=held.steps[index],
        epoch=held.epochs[index],
        mean_loss=held.losses[index],
        compute_time=computed or timestamp(held.times[index]),
        attempt=segment.attempt,
        late=late,
        replayed=replayed,
        metrics=None if more is None else more.metrics(index),
    )
    return update_of(made) if more is not None and more.is_update(index) else made


def is_update(log: SnapshotLog, index: int) -> bool:
    """Return whether an entry completes an earlier one."""
    return log.more is not None and log.more.is_update(index)


def replay(
    log: SnapshotLog,
    utc: datetime,
    first: int,
    *,
    replayed: int | None = None,
    based: bool = False,
    since: Cursor | None = None,
) -> Iterator[events.Snapshot | events.SnapshotUpdated]:
    """Yield the entries from ``first`` on as events again, each with the cursor of its place.

    Args:
        utc: The events' ``observed_at``.
        first: Where to begin.
        replayed: How many entries are marked as replayed; None marks all.
        based: Whether it is for somebody who has also had what the log was resumed from.
        since: The cursor of somebody who has had something else.
    """
    stops = [*(segment.start for segment in log.segments[1:]), len(log)]
    for segment, stop in zip(log.segments, stops, strict=True):
        done = _done(segment, based=based)
        highest = max(0, *(claim.steps.highest for claim in done.claims))
        for index in range(segment.start, stop):
            step = log.columns.steps[index]
            late, highest = step < highest, max(step, highest)
            _pass(log, segment, done, index, since)
            if index >= first:
                done.checkpoints = _checkpoints(segment, index + 1, based=based, since=since)
                again = replayed is None or index < replayed
                yield event(log, index, utc, segment.cursor(done), late=late, replayed=again)


def had(log: SnapshotLog, index: int, cursor: Cursor, *, whole: bool = True) -> bool:
    """Return whether the owner of a cursor of this job has dealt with an entry.

    Attempts are counted by whoever looks, so that only incarnation, step and time tell.

    Args:
        index: The entry.
        cursor: The cursor.
        whole: Whether with all of its values; otherwise the step is enough.
    """
    created = log.segment(index).created
    if cursor.created and created and created != cursor.created:
        return created < cursor.created
    step = log.columns.steps[index]
    if not cursor.has(step, log.columns.times[index]):
        return False
    return not whole or log.more is None or not _values(log, log.more, index) & ~cursor.values(step)


def run(log: SnapshotLog, end: int) -> list[TuningSnapshot]:
    """Return the snapshots of the attempt that the entry before ``end`` belongs to, up to there."""
    return [log.snapshot(index) for index in log.rows(log.segment(max(end - 1, 0)).start, end)]


def cursor_at(
    log: SnapshotLog,
    end: int,
    *,
    based: bool = False,
    since: Cursor | None = None,
    passed: Collection[int] = (),
) -> str:
    """Return the cursor of somebody who has dealt with the first ``end`` entries and with no end of the job.

    Args:
        end: How many entries.
        based: Whether it is somebody who has also had what the log was resumed from.
        since: The cursor of somebody who has had something else.
        passed: The checkpoints that were reported before the next entry, and which they have dealt with.
    """
    segment = log.segment(max(end - 1, 0))
    done = _done(segment, based=based)
    for index in range(segment.start, end):
        _pass(log, segment, done, index, since)
    done.checkpoints = _checkpoints(segment, end, based=based, since=since) | {*passed}
    return segment.cursor(done)


def _pass(log: SnapshotLog, segment: Segment, done: Done, index: int, since: Cursor | None) -> None:
    """Count an entry as dealt with."""
    step, time = log.columns.steps[index], log.columns.times[index]
    done.claims[segment.place(step)].add(step, time)
    if log.more is not None:
        done.measured = done.measured or MeasuredSteps()
        done.measured.add(step, _values(log, log.more, index))
        if since is not None and had(log, index, since, whole=False):
            done.measured.add(step, since.values(step))


def _values(log: SnapshotLog, more: MeasuredRows, index: int) -> int:
    return bits_of(log.columns.losses[index], more.metrics(index))


def _done(segment: Segment, *, based: bool) -> Done:
    """Return what somebody begins with: a claim for each of a segment's, empty but for what it was resumed from."""
    begun = [GrowingClaim(Runs(claim.steps), claim.newest) for claim in segment.base] if based else []
    done = Done(begun + [GrowingClaim() for _ in segment.claims[len(begun) :]])
    if based and segment.had:
        done.measured = MeasuredSteps.of(segment.had)
    return done


def _checkpoints(segment: Segment, before: int, *, based: bool, since: Cursor | None) -> set[int]:
    """Return the checkpoints that somebody has dealt with who has come to an entry."""
    found = segment.numbers(before, based=based)
    if since is not None and (not since.created or not segment.created or since.created == segment.created):
        found |= {number for run in since.checkpoints for number in run}
    return found


def update_of(made: events.Snapshot) -> events.SnapshotUpdated:
    """Return a snapshot as the completion of one that was delivered before."""
    return events.SnapshotUpdated(
        job=made.job,
        cursor=made.cursor,
        observed_at=made.observed_at,
        step=made.step,
        epoch=made.epoch,
        mean_loss=made.mean_loss,
        compute_time=made.compute_time,
        attempt=made.attempt,
        replayed=made.replayed,
        metrics=made.metrics,
    )
