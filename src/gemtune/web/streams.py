"""Server-sent events that end with the server.

uvicorn asks open responses to end, waits for them, and only then ends the lifespan; a stream of events is open for as
long as its job runs. sse-starlette notices the signal. Without more it would cancel the response in the middle, for
which uvicorn logs an error; so the stream is told first, and ends between two messages.

No stream can end a connection whose other side reads nothing: bytes that are written already keep it open, and uvicorn
waits for it unless it runs with ``--timeout-graceful-shutdown``. ``STALLED`` gives up on such a listener long before.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final, cast

import anyio
import attrs
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

STALLED: Final = 60.0
"""Seconds after which a listener who takes nothing is given up; a browser reconnects when it wakes up."""
_GRACE: Final = 0.3
"""Seconds for a stream to end of its own accord once the server stops."""


@attrs.define(eq=False)
class StreamEnd:
    """Says to one stream that the server stops; it wakes it if it waits for news."""

    came: bool = attrs.field(default=False, init=False)
    _waiting: anyio.CancelScope | None = attrs.field(default=None, init=False)

    def set(self) -> None:
        """Say so; sse-starlette calls this as if it were an event of anyio's."""
        self.came = True
        if self._waiting is not None:
            self._waiting.cancel()

    @contextmanager
    def ends_waiting(self) -> Iterator[None]:
        """Leave the block when the server stops."""
        with anyio.CancelScope() as scope:
            self._waiting = scope
            if self.came:
                scope.cancel()
            try:
                yield
            finally:
                self._waiting = None


class PatientResponse(EventSourceResponse):
    """A stream that gives a listener up who takes nothing, as it would one who has gone: without a traceback."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


def stream_response(
    messages: AsyncIterator[bytes],
    end: StreamEnd,
    *,
    beat: float,
    sign: Callable[[], ServerSentEvent] = lambda: ServerSentEvent(comment="", sep="\n"),
) -> EventSourceResponse:
    """Return a response that sends messages as they come, and after every ``beat`` seconds a sign of life."""
    return PatientResponse(
        messages,
        ping=beat,
        ping_message_factory=sign,
        sep="\n",
        send_timeout=STALLED,
        shutdown_event=cast(anyio.Event, end),
        shutdown_grace_period=_GRACE,
    )


def message(data: str, *, event: str = "", id: str = "", retry: int = 0) -> bytes:
    """Return one message; ``data`` is one line, as JSON in ASCII is."""
    lines = [f"id: {id}" if id else "", f"event: {event}" if event else "", f"data: {data}"]
    lines.append(f"retry: {retry}" if retry else "")
    return ("\n".join(line for line in lines if line) + "\n\n").encode("ascii")
