"""The service as the watcher sees it: well, busy or out; and whether a failed look is its fault or the job's."""

from __future__ import annotations

from typing import Final

import attrs

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.errors import (
    BadRequest,
    CallError,
    CredentialsError,
    NotFound,
    NotSupported,
    PermissionDenied,
    QuotaExhausted,
)
from gemtune.story.observation import Moment
from gemtune.watch.board import Board
from gemtune.watch.limits import DIFFERENT, Breaker, Bucket
from gemtune.watch.record import Record

_AUTH_PROBE: Final = 60.0
_CALM: Final = 10.0
"""Seconds without a 429 that end an episode of them."""


@attrs.define(eq=False)
class Service:
    """One outage, however many jobs it concerns, is told once when it begins and once when it ends."""

    policy: WatchPolicy
    board: Board
    bucket: Bucket = attrs.field(init=False)
    breaker: Breaker = attrs.field(factory=Breaker, init=False)
    _degraded_since: float | None = attrs.field(default=None, init=False)
    _throttled_at: float = attrs.field(default=-_CALM, init=False)

    def __attrs_post_init__(self) -> None:
        """Start with a full bucket."""
        self.bucket = Bucket(self.policy)

    def answered(self, now: Moment) -> bool:
        """Take in an answer of any kind; return whether an outage has ended with it."""
        downtime = self.breaker.succeeded(now.clock)
        if downtime is not None:
            self.bucket.drain(now.clock)
        if self._degraded_since is not None and now.clock - self._throttled_at >= _CALM:
            since, self._degraded_since = self._degraded_since, None
            recovered = events.Recovered(job="", cursor="", observed_at=now.utc, downtime=now.clock - since)
            self.board.tell(self.board.service, [recovered])
        return downtime is not None

    def failed(self, error: CallError | CredentialsError, now: Moment, dice: float, record: Record | None) -> bool:
        """Take in a failed request.

        Args:
            error: How it failed.
            now: When.
            dice: A random number in [0, 1).
            record: The job it was about; None for a list.

        Returns:
            Whether it says something about the job, because the service is well.
        """
        match error:
            case QuotaExhausted():
                self.bucket.throttle(now.clock, error.retry_after)
                self._throttled_at = now.clock
                self._degrade(error, now)
            case CredentialsError():
                self.denied(error, now)
            case NotFound() | BadRequest() | NotSupported():
                self.answered(now)
                return True
            case PermissionDenied():
                return self._forbidden(error, now, record)
            case _:
                return self._out(error, now, dice, record)
        return False

    def denied(self, error: CallError | CredentialsError, now: Moment) -> None:
        """Take in that we are not let in at all, which only somebody else can mend."""
        self.breaker.refused(now.clock, _AUTH_PROBE)
        self._degrade(error, now)

    def _forbidden(self, error: PermissionDenied, now: Moment, record: Record | None) -> bool:
        """Return whether the service has answered anything else since it forbids this job.

        That we are not let in at all is certain only if it has answered nothing since it forbids several, or all.
        """
        healthy = self.breaker.last_success
        if record is not None:
            record.denied_since = now.clock if record.denied_since is None else record.denied_since
            if healthy >= record.denied_since or self.board.live <= 1:
                return True
        since = (each.denied_since for each in self.board.records.values() if not each.finished)
        forbidden = sum(each is not None and each > healthy for each in since)
        if forbidden >= min(max(self.board.live, not self.board.endless), DIFFERENT):
            self.denied(error, now)
        return False

    def _out(self, error: CallError, now: Moment, dice: float, record: Record | None) -> bool:
        if record is not None:
            if not record.failures:
                record.failing_since = now.clock
            record.failures += 1
        if self.breaker.failed(now.clock, dice, record.name if record is not None else "", self.board.live):
            self._degrade(error, now)
        return record is not None and not self.breaker.opened and self.breaker.last_success >= record.failing_since

    def _degrade(self, error: CallError | CredentialsError, now: Moment) -> None:
        if self._degraded_since is not None:
            return
        self._degraded_since = now.clock
        degraded = events.Degraded(
            job="",
            cursor="",
            observed_at=now.utc,
            error=type(error).__name__,
            message=error.message,
            status=getattr(error, "status", None),
            failures=max(self.breaker.failures, 1),
        )
        self.board.tell(self.board.service, [degraded])
