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
from gemtune.limiter.pace import RequestPace
from gemtune.limiter.pauses import Outage
from gemtune.story.observation import Moment
from gemtune.watch.board import Board
from gemtune.watch.record import WatchedJob

_AUTH_PROBE: Final = 60.0
# Seconds without a 429 that end an episode of them.
_CALM: Final = 10.0
_IN_A_ROW: Final = 3
# Of so many jobs the service knows nothing good, or of all, before that is its own fault.
_DIFFERENT: Final = 5


@attrs.define(eq=False)
class Service:
    """One outage, however many jobs it concerns, is told once when it begins and once when it ends."""

    policy: WatchPolicy
    board: Board
    bucket: RequestPace = attrs.field(init=False)
    # A request of a watcher is cheap and its news are awaited, so that it asks sooner than a batch, and at last later.
    breaker: Outage = attrs.field(factory=lambda: Outage(0.8, 30.0, 0.9, 1.0, healthy=120.0), init=False)
    _answered_at: float = attrs.field(default=-1.0, init=False)
    _failing: set[str] = attrs.field(factory=set, init=False)
    _degraded_since: float | None = attrs.field(default=None, init=False)
    _throttled_at: float = attrs.field(default=-_CALM, init=False)

    def __attrs_post_init__(self) -> None:
        self.bucket = RequestPace(most=self.policy.max_rps, burst=self.policy.burst)

    def answered(self, now: Moment) -> bool:
        """Take in an answer of any kind; return whether an outage has ended with it."""
        downtime = self.breaker.end(now.clock)
        self._answered_at = now.clock
        self.bucket.answered(now.clock)
        self._failing.clear()
        if downtime is not None:
            self.bucket.drain(now.clock)
        if self._degraded_since is not None and now.clock - self._throttled_at >= _CALM:
            since, self._degraded_since = self._degraded_since, None
            recovered = events.Recovered(job="", cursor="", observed_at=now.utc, downtime=now.clock - since)
            self.board.report_service(recovered)
        return downtime is not None

    def failed(self, error: CallError | CredentialsError, now: Moment, dice: float, job: WatchedJob | None) -> bool:
        """Take in a failed request.

        Args:
            error: How it failed.
            now: When.
            dice: A random number in [0, 1).
            job: The job it was about; None for a list.

        Returns:
            Whether it says something about the job, because the service is well.
        """
        match error:
            case QuotaExhausted():
                # A single one is about its own look, and the watch is none the worse for it.
                if self.bucket.throttle(now.clock, error.retry_after, quota=error.scope in {"minute", "day"}):
                    self._throttled_at = now.clock
                    self._degrade(error, now)
            case CredentialsError():
                self.denied(error, now)
            case NotFound() | BadRequest() | NotSupported():
                self.answered(now)
                return True
            case PermissionDenied():
                return self._forbidden(error, now, job)
            case _:
                return self._out(error, now, dice, job)
        return False

    def hint(self, error: CallError | CredentialsError) -> float:
        """Return the seconds that the service asks this one look to wait."""
        wanted = error.retry_after if isinstance(error, CallError) else None
        return min(wanted or 0.0, self.bucket.longest_hint)

    def denied(self, error: CallError | CredentialsError, now: Moment) -> None:
        """Take in that we are not let in at all, which only somebody else can mend."""
        self.breaker.forbidden(now.clock, _AUTH_PROBE)
        self._degrade(error, now)

    def _forbidden(self, error: PermissionDenied, now: Moment, job: WatchedJob | None) -> bool:
        """Return whether the service has answered anything else since it forbids this job.

        That we are not let in at all is certain only if it has answered nothing since it forbids several, or all.
        """
        healthy = self._answered_at
        if job is not None and (healthy >= job.looks.denied(now.clock) or self.board.live <= 1):
            return True
        since = (each.looks.denied_since for each in self.board.jobs.values() if not each.finished)
        forbidden = sum(each is not None and each > healthy for each in since)
        if forbidden >= min(max(self.board.live, not self.board.absent.discovering), _DIFFERENT):
            self.denied(error, now)
        return False

    def _out(self, error: CallError, now: Moment, dice: float, job: WatchedJob | None) -> bool:
        if job is not None:
            job.looks.failed(now.clock)
        self._failing.add(job.name if job is not None else "")
        # All jobs in a row, or five of them, or one alone three times.
        different = len(self._failing) >= min(max(self.board.live, 1), _DIFFERENT)
        lasting = self.breaker.opened and now.clock >= self.breaker.probe_at
        if self.breaker.failed(now.clock, dice, different and self.breaker.streak + 1 >= _IN_A_ROW):
            self._degrade(error, now)
        elif lasting:
            self.breaker.probe_failed(now.clock, dice)
        return job is not None and not self.breaker.opened and self._answered_at >= job.looks.failing_since

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
            failures=max(self.breaker.streak, 1),
        )
        self.board.report_service(degraded)
