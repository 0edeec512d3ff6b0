"""A reply whose body is read piece by piece.

It owns a connection until it is read to its end or closed, in one of four ways: awaited, from plain code, by leaving an
``async with`` block, or by the garbage collector, which may run in any thread and after the event loop, and therefore
only asks the loop to do it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Self, TypeAlias

from gemtune.errors import CallError, MisuseError, ResponseTooLarge
from gemtune.http.engines.body import Identity, Incoming, Inflater, inflater
from gemtune.http.engines.failures import TRANSLATED, translate
from gemtune.http.observer import CallWatch
from gemtune.loops import call_soon

Begin: TypeAlias = Callable[["StreamReply"], Awaitable[object]]
"""Reads the beginning of a streamed reply."""


class StreamReply:
    """A reply whose body is read piece by piece; close it, or use it in ``async with``.

    Attributes:
        idle: Most seconds of silence.
        max_body: Most bytes of the body, on the wire and decompressed.
        deadline: When it must have been read, for whoever reads it, on the clock of ``anyio.current_time``.
        complete: Whether it was read to its end. Whoever knows earlier that nothing is missing may say so.
        failure: What the service broke it off with, if whoever reads it says so.
        watch: Who is told that the stream has ended.
        error_within: Returns the error that the JSON of one event holds, or None. The caller knows what was asked, and
            with which credential.
    """

    def __init__(
        self, incoming: Incoming, *, host: str, idle: float, max_body: int, home: tuple[int, Any] | None
    ) -> None:
        self.status = incoming.status
        self.headers = incoming.headers
        self._incoming = incoming
        self._host = host
        self.idle = idle
        self.max_body = max_body
        self.deadline = math.inf
        self.complete = False
        self.failure: CallError | None = None
        self.error_within: Callable[[object], CallError | None] = lambda _: None
        self._size = 0
        self._home = home
        self._decoder: Identity | Inflater | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._open = True
        self.on_close: Callable[..., None] | None = None
        self.watch: CallWatch | None = None

    def __repr__(self) -> str:
        state = "complete" if self.complete else "open" if self._open else "closed"
        return f"<StreamReply {self.status} from {self._host}, {state}>"

    async def begin(self, begin: Begin, deadline: float) -> None:
        """Have the beginning read until a deadline; if that fails, the reply is closed."""
        self.deadline = deadline
        try:
            await begin(self)
        except BaseException:
            await self.aclose()
            raise

    async def read(self) -> bytes:
        """Return the next decompressed bytes, at most some 64 KiB, and b"" at the end.

        Raises:
            ConnectionLost: The connection broke before the end.
            DeadlineExceeded: Nothing arrived for ``idle`` seconds.
            MalformedResponse: The body cannot be decompressed.
            ResponseTooLarge: It has more than ``max_body`` bytes.
            MisuseError: The reply was closed.
        """
        while not self.complete:
            if not self._open:
                raise MisuseError("this reply is closed")
            if self._decoder is None:
                self._decoder = inflater(self.headers)  # here, because an unknown encoding is an error of reading
            if (piece := next(self._pieces, None)) is not None:
                self._size += len(piece)
                if self._size > self.max_body:
                    raise ResponseTooLarge(f"the reply is larger than {self.max_body} bytes")
                return piece
            try:
                chunk = await self._incoming.read()
            except TRANSLATED as exc:
                error = translate(exc, self._host, self.idle)
            else:
                if chunk:
                    self._pieces = self._decoder.feed(chunk)
                    continue
                self._decoder.finish()  # a compressed body that stops short looks like an end to HTTP
                self.complete = True
                break
            raise error  # outside the except block, so that the library's own error is not its context
        return b""

    async def read_start(self, limit: int) -> bytes:
        """Return the rest of the body, or as much of it as fits into ``limit`` bytes.

        What breaks off is no failure of its own here: this is for the bodies of errors, which are for a message.
        """
        whole = bytearray()
        with suppress(CallError):
            while len(whole) < limit and (piece := await self.read()):
                whole += piece
        return bytes(whole[:limit])

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        if self._open:
            self._closed()
            await self._incoming.aclose()

    def close(self) -> None:
        """Do the same without awaiting."""
        if self._open:
            self._closed()
            self._incoming.close()

    def _closed(self) -> None:
        self._open = False
        if self.on_close is not None:
            self.on_close(complete=self.complete, failure=self.failure)
        if self.watch is not None:
            self.watch.ended(None, self.failure)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        """Close in the event loop a reply that was dropped, and say so."""
        if self._open and not self.complete and self._home is not None:
            # The garbage collector may run in any thread, while only the loop's own may touch the connection.
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self._open = False
            if getattr(self._home[1], "is_closed", bool)():
                self._incoming.close()
            call_soon(self._home[1], self._incoming.close)
            if self.on_close is not None:
                call_soon(self._home[1], partial(self.on_close, complete=False, failure=None))
            if self.watch is not None:
                call_soon(self._home[1], partial(self.watch.ended, None, None))
