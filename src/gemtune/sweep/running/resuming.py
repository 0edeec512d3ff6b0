"""Takes up the points of earlier runs from what the journal says, and says again what became of them.

The journal has what was decided and how it ended. The curves are the service's, and come from there again: whoever
looks at one point beside others needs all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gemtune.sweep.events import PointEvaluated, PointPlanned, PointStarted
from gemtune.sweep.journal.lines import EndedPoint, KnownPoint
from gemtune.sweep.point import PointState
from gemtune.sweep.running.following import ending
from gemtune.sweep.running.parts import SweepParts
from gemtune.sweep.running.record import CurveRecord, PointRecord


def still_wanted(known: Mapping[int, KnownPoint], most: int | None) -> dict[int, KnownPoint]:
    """Return the points of earlier runs that are part of this one, by number.

    Of those for which nothing was created, only as many as there may be: ``max_jobs`` may be lower by now.

    Args:
        known: What the journal says of each.
        most: How many points there may be; None for as many as the source has.
    """
    begun = sum(1 for each in known.values() if each.begun)
    room = math.inf if most is None else most - begun
    wanted: dict[int, KnownPoint] = {}
    for number, each in sorted(known.items()):
        room -= not each.begun
        if each.values is not None and (each.begun or room >= 0):
            wanted[number] = each
    return wanted


async def take_up(parts: SweepParts, record: PointRecord, known: KnownPoint) -> None:
    """Take up a point.

    Args:
        parts: What the tasks share.
        record: The point, as it was planned.
        known: What the journal says of it.
    """
    board = parts.board
    await parts.source.adopt(record.number, record.point.values)
    board.records[record.number] = record
    board.news.report(PointPlanned(point=record.point, replayed=True))
    record.may_exist, record.stopping, record.reason = known.creating, known.stopping, known.stopping
    if known.job:
        record.job = parts.service.job(known.job)
        record.state = PointState.WAITING
        board.news.report(PointStarted(point=record.point, job=known.job, replayed=True))
    if known.ended is not None:
        _take_up_end(parts, record, known.ended)
    if known.evaluated and parts.metrics:
        _take_up_scores(parts, record, known)
    if known.creating or record.ended:
        board.spend(record)
    if record.ended and record.job is None:  # no watcher will show its end again
        await parts.tell(record)


def _take_up_end(parts: SweepParts, record: PointRecord, ended: EndedPoint) -> None:
    record.state, record.reason, record.replayed = ended.state, ended.reason, True
    record.curve = CurveRecord(ended.total, ended.steps)
    if record.state is PointState.STOPPED and ended.total is not None:
        record.saved_steps = max(ended.total - ended.steps, 0)
    parts.board.see(record)
    # This run may rank by something else than the one that wrote it down; then its curve has to say it.
    record.objective = ended.objective if ended.ranked_by == parts.board.objective else None
    parts.board.news.report(ending(record))


def _take_up_scores(parts: SweepParts, record: PointRecord, known: KnownPoint) -> None:
    scores = {each.name: known.scores[each.name] for each in parts.metrics if each.name in known.scores}
    if len(scores) < len(parts.metrics):
        return  # there are other metrics now; the answers are in the journal of the evaluation
    record.evaluated, record.scores = True, scores
    if parts.board.evaluates:
        record.objective = scores.get(parts.board.objective)
    said = PointEvaluated(point=record.point, replayed=True, scores=scores, objective=record.objective)
    parts.board.news.report(said)
