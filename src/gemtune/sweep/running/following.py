"""Follows the jobs of all points with one watcher, asks the rules at every new value, and says how each ends."""

from __future__ import annotations

import math

import attrs

from gemtune import events
from gemtune.events import Event, TerminalEvent, is_terminal
from gemtune.protocol.said import clean
from gemtune.show.picture import awaited, reason_of
from gemtune.sweep.curves import reported
from gemtune.sweep.events import PointEnded, PointProgress, PointStopped
from gemtune.sweep.point import PointState
from gemtune.sweep.rules import verdict_of
from gemtune.sweep.running.parts import SweepParts
from gemtune.sweep.running.record import PointRecord
from gemtune.sweep.running.stopping import Stopping
from gemtune.watch import Watcher

_SILENT = (events.Added, events.Bookmark)


@attrs.define(eq=False)
class Following:
    """Takes in what the watcher says.

    Args:
        parts: What the tasks share.
        watcher: The watcher of all points' jobs.
        stopping: Stops points.
    """

    parts: SweepParts
    watcher: Watcher
    stopping: Stopping

    async def run(self) -> None:
        """Take in events until nobody wants them any more."""
        reader = aiter(self.watcher)
        while True:
            try:
                event = await anext(reader)
            except StopAsyncIteration:
                # All jobs so far have ended; there may be others soon.
                await self.parts.board.news.change()
                continue
            self._hear(event)
            record = self.parts.board.of_job(event.job)
            if record is not None:
                await self._take(record, event)

    def _hear(self, event: Event) -> None:
        """Keep in mind that looks get no answer, which no event of a point says if it concerns all jobs."""
        outages = self.parts.board.outages
        match event:
            case events.Degraded(job=job, status=status, message=message):
                why = clean(message).removesuffix(".") if status is None else f"HTTP {status}"
                outages[job] = f"no answer ({why}); still trying"
            case events.Recovered(job=job):
                outages.pop(job, None)
            case _ if is_terminal(event):
                outages.pop(event.job, None)

    async def _take(self, record: PointRecord, event: Event) -> None:
        board, steps = self.parts.board, record.take(event)
        if self.parts.rules:
            board.see(record)
        if not isinstance(event, _SILENT) and not is_terminal(event):
            board.news.report(PointProgress(point=record.point, event=event, replayed=record.replayed))
        if is_terminal(event):
            await self._end(record, event)  # type: ignore[arg-type]
            return
        if not record.ended:
            record.state = _state(record, event)
            board.spend(record)
        for step in steps:
            await self._judge(record, step)

    async def _judge(self, record: PointRecord, step: int) -> None:
        """Ask the rules and the source whether a point is to be given up."""
        parts, value = self.parts, record.curve.value(step)
        why: str | None = None
        # Points that follow from the space alone do not depend on values, and a curve is put in order for each.
        if not parts.ahead and value is not None and math.isfinite(value):
            # A metric is measured only at the end; on the way the loss stands for it, the right way up.
            sign, at = -1.0 if parts.board.better == "higher" else 1.0, reported(record.seen(), step)
            why = None if at is None else await parts.source.report(record.number, at[0], sign * at[1])
        # With the last step everything is paid for, and the model comes anyway.
        if record.ended or record.stopping or record.curve.completed == record.curve.total:
            return
        if parts.rules:
            why = why or verdict_of(parts.rules, record.seen(), parts.board.curves(record))
        if why:
            await self.stopping.give_up(why, record)

    async def _end(self, record: PointRecord, event: TerminalEvent) -> None:
        parts, board = self.parts, self.parts.board
        if record.ended:  # an earlier run has seen it end; only its curve was missing
            record.followed = True
            self._rank(record)
            board.news.ring()
            if not self.to_evaluate(record):
                await parts.tell(record)
            return
        record.state, record.reason = _outcome(record, event)
        if parts.rules:
            board.see(record)
        parts.ended += 1
        self._rank(record)
        if record.state is PointState.STOPPED and record.curve.total is not None:
            record.saved_steps = max(record.curve.total - record.curve.completed, 0)
        # Lost says nothing about the job: it may go on, so that it keeps what it holds, and the next run looks again.
        if not isinstance(event, events.Lost):
            board.spend(record)
            await parts.write_end(record)
        record.followed = True  # not before: with the last one, the sweep is over
        board.news.report(ending(record))
        if not self.to_evaluate(record):
            await parts.tell(record)

    def _rank(self, record: PointRecord) -> None:
        """Read from its curve what a trained point is ranked by, unless an earlier run has or an evaluation will."""
        objective = self.parts.board.objective
        if record.state is not PointState.TRAINED or self.parts.board.evaluates or record.objective is not None:
            return
        record.objective = record.curve.last(objective)
        record.reason = "" if record.objective is not None else f"nothing was measured of its {objective}"

    def to_evaluate(self, record: PointRecord) -> bool:
        """Return whether a point's model is still to be evaluated."""
        return bool(self.parts.metrics) and record.to_evaluate


def ending(record: PointRecord) -> PointStopped | PointEnded:
    """Return the event that says how a point has ended."""
    if record.state is PointState.STOPPED:
        return PointStopped(
            point=record.point,
            replayed=record.replayed,
            job=record.name,
            reason=record.reason,
            saved_steps=record.saved_steps,
            saved_tokens=round(record.tokens * (1.0 - record.share)),
        )
    return PointEnded(
        point=record.point,
        replayed=record.replayed,
        job=record.name,
        state=record.state,
        reason=record.reason,
        objective=record.objective,
    )


def _state(record: PointRecord, event: Event) -> PointState:
    if record.curve.completed:
        return PointState.RUNNING
    if isinstance(event, events.StateChanged):
        waits = awaited(event.reason) or (event.service_state or "").endswith(("QUEUED", "PENDING"))
        return PointState.WAITING if waits else PointState.RUNNING
    return record.state


def _outcome(record: PointRecord, event: TerminalEvent) -> tuple[PointState, str]:
    match event:
        case events.Succeeded():
            return PointState.TRAINED, ""
        case events.Cancelled() if record.stopping:
            return PointState.STOPPED, record.stopping
        case events.Cancelled():
            return PointState.FAILED, "its job was cancelled by somebody else"
        case events.Deleted():
            return PointState.FAILED, "its job was deleted"
        case events.Lost():
            return PointState.FAILED, f"its job cannot be seen any more: {clean(reason_of(event))}"
    return PointState.FAILED, clean(reason_of(event))
