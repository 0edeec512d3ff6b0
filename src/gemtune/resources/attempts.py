"""The attempts of one creation that must happen exactly once, whatever the service calls what it creates.

Between two attempts somebody has to look whether the first one created the thing after all. How that is looked up, by a
name or by a label, is the business of whoever creates; when it has to be, and what follows, is told here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import AlreadyExists, AmbiguousOutcome, CallError, Failure, Unavailable
from gemtune.http.caller import Caller, TimeLimit, named
from gemtune.protocol import backoff
from gemtune.protocol.call import Call
from gemtune.remedy import Remedy

T = TypeVar("T")


class NotWanted(Exception):
    """Nobody wants it created any more: nothing was sent, and whatever was looked for before that is not there."""


@attrs.define(eq=False)
class Attempts(Generic[T]):
    """The attempts of one creation, and what is known between them of whether one has succeeded.

    Args:
        caller: Makes each attempt.
        look: Looks up within so many seconds whether it exists; None if it does not.
        remedies: How to find out what happened, if nobody here can.
        wanted: Says whether it is still to be created, when an attempt is about to be sent; None if it always is.
    """

    caller: Caller
    look: Callable[[float], Awaitable[T | None]]
    remedies: tuple[Remedy, ...]
    wanted: Callable[[], bool] | None = None
    doubted: bool = attrs.field(default=False, init=False)
    """Whether there was a moment at which nobody knew if an attempt had created it."""
    _time: TimeLimit | None = attrs.field(default=None, init=False)
    _may_exist: bool = attrs.field(default=False, init=False)
    """An attempt may have created it, and no look since has shown whether it did."""
    _arrived: bool = attrs.field(default=False, init=False)
    """An attempt reached the service, so that what is found, or a refusal as a duplicate, is its doing."""

    async def run(self, call: Call[T], timeout: float | None, retry: RetryPolicy | None) -> T:
        """Attempt it as often as the rules allow, and look before giving up.

        Raises:
            NotWanted: It is not to be created any more.
            CallError: It was not created, or nobody knows.
        """
        try:
            return await self.caller.repeat(call, self._attempt, timeout=timeout, retry=retry)
        except CallError as error:
            last = error
        found = await self._last_look()
        if found is not None:
            return found
        if not self._may_exist and not backoff.is_ambiguous_write(last, call.effect):
            raise last
        raise AmbiguousOutcome.after(last, f"{named(last, call)}; it may have been created", *self.remedies)

    async def _attempt(self, call: Call[T], time: TimeLimit) -> T:
        """Look up what an ambiguous attempt did, and send again only if it did nothing."""
        self._time = time
        # Before the first attempt nothing can exist, so that a creation that succeeds at once costs one request.
        if self._may_exist:
            found = await self.look(time.left())
            if found is not None:
                return found
            self._may_exist = False
        if self.wanted is not None and not self.wanted():
            raise NotWanted
        try:
            return await self.caller.attempt(call, time)
        except AlreadyExists:
            if not self._arrived:
                raise  # somebody else's, and older than this call
            self._may_exist = True
            found = await self.look(time.left())
            if found is None:
                raise
            return found
        except CallError as error:
            self._may_exist = self._may_exist or error.failure is Failure.AMBIGUOUS
            # A service that says it is unavailable says that it did not act; but a look at the end costs little.
            self._arrived = self._arrived or self._may_exist or isinstance(error, Unavailable)
            self.doubted = self.doubted or self._arrived
            raise

    async def _last_look(self) -> T | None:
        if not self._arrived or self._time is None or self._time.over:
            return None
        try:
            return await self.look(self._time.left())
        except AmbiguousOutcome:
            raise  # it found some that may be it, and says which
        except CallError:
            return None  # it brought no certainty


def time_left(timeout: float | None, begun: float) -> float | None:
    """Return what is left of the seconds that something has which began at a time; None for no end."""
    return None if timeout is None else max(begun + timeout - anyio.current_time(), 0.001)
