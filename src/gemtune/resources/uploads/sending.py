"""A file that is sent in pieces, of which one is in memory at a time, whichever service takes them.

After a failure a piece is not sent again before the service has said how much of the file it has. What a cancelled or
failed upload leaves behind is an unfinished session, which is no file and which the service forgets.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import BadRequest, CallError, Unavailable
from gemtune.http.caller import Caller, TimeLimit
from gemtune.protocol.call import Call
from gemtune.protocol.storage import Arrived, UploadSession

T = TypeVar("T")

OnProgress = Callable[[int, int], object]
"""Is called with the bytes that have arrived and those of the whole file."""

PIECE: Final = 16 * 2**20
"""Of a gigabyte these are 64 requests, each of them sent again after a failure."""
_SESSIONS: Final = 3
"""How often an upload is begun if the service forgets it."""
_STALLS: Final = 5
"""How often in a row a piece may be answered with no byte more having arrived."""
_GONE: Final = frozenset({404, 410})


class Steps(Protocol[T]):
    """The requests of an upload in pieces, as one service wants them."""

    def begin(self) -> Call[UploadSession | None]:
        """Return the request that begins a session; its reply is None if there is nothing to send."""
        ...

    def put(self, session: UploadSession, start: int, data: bytes) -> Call[T | Arrived]:
        """Return the request that sends a piece."""
        ...

    def ask(self, session: UploadSession) -> Call[T | Arrived]:
        """Return the request that finds out how much has arrived."""
        ...


@attrs.define(eq=False)
class UploadProgress:
    """How far an upload is, for its owner and for the log.

    Args:
        what: What is uploaded, for messages.
        size: Its bytes.
        on_progress: Called with the progress.
        log: The logger that hears of it.
    """

    what: str
    size: int
    on_progress: OnProgress | None
    log: logging.Logger
    _said: int = attrs.field(default=0, init=False)

    def report(self, arrived: int) -> None:
        """Report how many bytes have arrived; one line of the log for each tenth."""
        before, self._said = self._said, arrived
        if self.on_progress is not None and arrived != before:
            self.on_progress(arrived, self.size)
        if 10 * arrived // self.size > 10 * before // self.size:
            self.log.info("%s: %d %% uploaded", self.what, 100 * arrived // self.size)


@attrs.define(eq=False)
class Sending(Generic[T]):
    """One file on its way.

    Args:
        caller: Carries out the requests.
        steps: The requests.
        read: Returns some of the file: from where, and how many bytes.
        progress: Is told how far it is.
        retry: Another retry policy.
    """

    caller: Caller
    steps: Steps[T]
    read: Callable[[int, int], Awaitable[bytes]]
    progress: UploadProgress
    retry: RetryPolicy | None

    async def run(self) -> T | None:
        """Send it; None if the service says that it has it already."""
        what = self.progress.what
        for sessions in range(1, _SESSIONS + 1):
            session = await self.caller.call(self.steps.begin(), retry=self.retry)
            if session is None:
                return None
            try:
                return await self._send(session)
            except CallError as error:
                if error.status not in _GONE:
                    raise
                self.progress.log.warning("%s: the upload is not known any more (attempt %d)", what, sessions)
        raise Unavailable(f"{what}: the service has forgotten the upload {_SESSIONS} times")

    async def _send(self, session: UploadSession) -> T:
        """Send the pieces, each from where the service says that it has arrived."""
        arrived = stalls = 0
        length = -(-PIECE // session.unit) * session.unit
        while stalls < _STALLS:
            data = await self.read(arrived, length)
            piece = _Piece(self.caller, self.steps.ask(session), arrived)
            call = self.steps.put(session, arrived, data)
            answer = await self.caller.repeat(call, piece.attempt, timeout=None, retry=self.retry)
            if not isinstance(answer, Arrived):
                return answer
            stalls = stalls + 1 if answer.count <= arrived else 0
            arrived = answer.count
            self.progress.report(arrived)
        what, size = self.progress.what, self.progress.size
        raise Unavailable(f"{what}: {arrived:,} of {size:,} bytes have arrived, and no more do", resource=what)


@attrs.define(eq=False)
class _Piece(Generic[T]):
    """The attempts to send one piece: after a failure the service is asked first what it has."""

    caller: Caller
    question: Call[T | Arrived]
    start: int
    _failed: bool = attrs.field(default=False, init=False)

    async def attempt(self, call: Call[T | Arrived], time: TimeLimit) -> T | Arrived:
        """Make one attempt."""
        if self._failed:
            state = await self.caller.attempt(self.question, time)
            if state != Arrived(self.start):
                return state
        self._failed = True
        try:
            return await self.caller.attempt(call, time)
        except BadRequest:
            # An earlier attempt may have arrived after the question, so that this piece begins at the wrong place now.
            state = await self.caller.attempt(self.question, time)
            if state == Arrived(self.start):
                raise
            return state
