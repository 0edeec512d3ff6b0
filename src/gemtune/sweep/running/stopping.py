"""Gives points up: the intention is written down, the job is cancelled, and what became of that is said.

Nobody's job is cancelled but the sweep's own, and none but those of which a rule, the study's pruner or the user said
so. A job that has ended meanwhile is trained, and not stopped: what decides is how the watcher sees it end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
import attrs

from gemtune.errors import (
    BadRequest,
    CallError,
    CredentialsError,
    JournalError,
    NotFound,
    NotSupported,
    PermissionDenied,
)
from gemtune.sweep.journal.lines import point_line
from gemtune.sweep.running.parts import SweepParts
from gemtune.sweep.running.record import PointRecord

_PAUSE: Final = 1.0
_LONGEST: Final = 60.0
_PATIENCE: Final = 60.0
"""Seconds after which a cancellation is sent again, because the service takes it as best it can; then twice that."""
_MOST_PATIENCE: Final = 960.0


@attrs.define(eq=False)
class Stopping:
    """Cancels the jobs of points that are given up.

    Args:
        parts: What the tasks share.
        start: Starts a task beside the others.
    """

    parts: SweepParts
    start: Callable[[Callable[[PointRecord], object], PointRecord], None]
    requests: int = attrs.field(default=0, init=False)

    async def give_up(self, reason: str, *records: PointRecord) -> None:
        """Write down that points are to be stopped, and have their jobs cancelled.

        Raises:
            JournalError: It could not be written down; none is cancelled.
        """
        given_up = [each for each in records if not (each.stopping or each.ended or each.job is None)]
        if not given_up:
            return
        for record in given_up:
            record.stopping = reason
        said = (point_line(each.number, "stopping", reason=reason, step=each.curve.completed) for each in given_up)
        try:
            await self.parts.journal.note(*said)
        except JournalError:
            for record in given_up:
                record.stopping = ""
            raise
        for record in given_up:
            self.start(self.cancel, record)

    async def cancel(self, record: PointRecord) -> None:
        """Cancel a job until it has ended."""
        pause, patience = _PAUSE, _PATIENCE
        while not record.ended and record.job is not None:
            try:
                self.requests += 1
                await record.job.cancel()
            except (NotSupported, PermissionDenied, BadRequest, NotFound) as error:
                # It has ended, or it cannot be cancelled at all; which of the two it is, the watcher sees.
                _say(record, f"it was to be stopped ({record.stopping}), but: {error.message}")
                return
            except CredentialsError:
                raise
            except CallError as error:
                _say(record, f"it is to be stopped ({record.stopping}), but: {error.message}")
                await self._pause(record, max(pause, error.retry_after or 0.0))
                pause = min(pause * 2, _LONGEST)
            else:
                _say(record, record.stopping)
                await self._pause(record, patience)
                patience = min(patience * 2, _MOST_PATIENCE)

    async def _pause(self, record: PointRecord, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            while not record.ended:
                await self.parts.board.news.change()


def _say(record: PointRecord, why: str) -> None:
    # While the request was under way, the watcher may have seen how it ended, which says why better.
    if not record.ended:
        record.reason = why
