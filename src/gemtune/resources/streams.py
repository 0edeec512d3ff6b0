"""A streamed reply: a plain object to iterate over, which frees its connection once it is read, left or closed.

Until its first piece a stream is a call like any other: a failure is that of an attempt, is repeated by the policy, and
is raised in its own class. A stream that has begun is never repeated: a second reply would begin with other words, and
be paid for again. Whatever breaks it off therefore ends it, and the error says what was received until then.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import CallError, StreamInterrupted
from gemtune.http.caller import Caller
from gemtune.http.observer import CallWatch
from gemtune.http.stream import StreamReply
from gemtune.protocol.call import Call
from gemtune.resources.pieces import Pieces
from gemtune.types import GenerateContentResponse


@attrs.define(eq=False)
class GenerateContentStream:
    """The pieces of a reply as they arrive: ``async for chunk in stream: print(chunk.text_or_none)``.

    Nothing is sent before you ask for the first piece. A stream that was read to its end has given its connection back;
    use ``async with stream`` if you may leave the loop earlier.

    Raises:
        CallError: From ``__anext__``: there was no first piece.
        StreamInterrupted: From ``__anext__``, if the stream broke off or the service reported an error in the middle of
            it; ``partial`` is the text so far. A stream that has begun is never repeated.
    """

    _caller: Caller
    _call: Call[GenerateContentResponse]
    _timeout: float | None = None
    _retry: RetryPolicy | None = None
    _pieces: Pieces | None = attrs.field(default=None, init=False, repr=False)
    _first: GenerateContentResponse | None = attrs.field(default=None, init=False, repr=False)
    _texts: list[str] = attrs.field(factory=list, init=False, repr=False)
    chunks: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    @property
    def text(self) -> str:
        """The text received so far."""
        return "".join(self._texts)

    def __aiter__(self) -> GenerateContentStream:
        return self

    async def __anext__(self) -> GenerateContentResponse:
        if self._closed:
            raise StopAsyncIteration
        try:
            piece = await self._next()
        except BaseException as error:
            if (watch := self._watch) is not None:
                watch.ended(None, error)
            # After a cancellation as well: what was begun cannot be continued, so the connection must go.
            await self.aclose()
            raise
        if piece is None:
            await self.aclose()
            raise StopAsyncIteration
        if (watch := self._watch) is not None:
            watch.arrived(piece)
        self.chunks += 1
        if piece.text_or_none:
            self._texts.append(piece.text_or_none)
        return piece

    @property
    def _watch(self) -> CallWatch | None:
        return self._pieces.reply.watch if self._pieces is not None else None

    async def _next(self) -> GenerateContentResponse | None:
        if self._pieces is None:
            # Nobody has seen anything yet, so that a failure until here is that of an attempt, and may be repeated.
            await self._caller.open(self._call, self._begin, timeout=self._timeout, retry=self._retry)
        piece, self._first = self._first, None
        if piece is not None or self._pieces is None:
            return piece
        try:
            return await self._pieces.next()
        except CallError as error:
            cause = error
        raise self._interrupted(cause.message, cause)

    async def _begin(self, reply: StreamReply) -> None:
        pieces = Pieces(self._call, reply)
        self._first = await pieces.next()
        self._pieces = pieces

    def _interrupted(self, why: str, cause: CallError) -> StreamInterrupted:
        message = f"the stream of {self._call.resource} broke off after {self.chunks} pieces: {why}"
        error = StreamInterrupted.after(cause, message, failure=cause.failure)
        error.resource = self._call.resource
        error.partial = self.text
        error.chunks = self.chunks
        return error

    async def aclose(self) -> None:
        """Give the connection back; the rest of the reply is dropped."""
        self._closed = True
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            await pieces.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
