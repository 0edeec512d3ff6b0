"""A streamed reply: a plain object to iterate over, which frees its connection once it is read, left or closed.

A stream that has begun is never repeated: a second reply would begin with other words, and be paid for again. Whatever
breaks it off therefore ends it, and the error says what was received until then.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

import anyio.lowlevel
import anyio.to_thread
import attrs

from gemtune import errors
from gemtune.config import RetryPolicy
from gemtune.errors import CallError, StreamInterrupted
from gemtune.http.caller import LARGE, Caller
from gemtune.http.stream import StreamReply
from gemtune.protocol import status
from gemtune.protocol.call import Call
from gemtune.protocol.sse import EventParser
from gemtune.types import GenerateContentResponse


@attrs.define(eq=False)
class GenerateContentStream:
    """The pieces of a reply as they arrive: ``async for chunk in stream: print(chunk.text_or_none)``.

    Nothing is sent before you ask for the first piece. A stream that was read to its end has given its connection back;
    use ``async with stream`` if you may leave the loop earlier.

    Raises:
        StreamInterrupted: From ``__anext__``, if the stream broke off or the service reported an error in the middle of
            it; ``partial`` is the text so far. A stream that has begun is never repeated.
    """

    _caller: Caller
    _call: Call[GenerateContentResponse]
    _timeout: float | None = None
    _retry: RetryPolicy | None = None
    _reply: StreamReply | None = attrs.field(default=None, init=False, repr=False)
    _parser: EventParser = attrs.field(factory=EventParser, init=False, repr=False)
    _ready: deque[object] = attrs.field(factory=deque, init=False, repr=False)
    _texts: list[str] = attrs.field(factory=list, init=False, repr=False)
    chunks: int = attrs.field(default=0, init=False)
    _finished: bool = attrs.field(default=False, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False)
    _fed: int = attrs.field(default=0, init=False, repr=False)
    _unpaused: int = attrs.field(default=0, init=False, repr=False)
    _large: bool = attrs.field(default=False, init=False, repr=False)

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
            payload = await self._payload()
            if payload is None:
                await self.aclose()
                raise StopAsyncIteration
            return await self._piece(payload)
        except StopAsyncIteration:
            raise
        except BaseException:
            # After a cancellation as well: what was begun cannot be continued, so the connection must go.
            await self.aclose()
            raise

    async def _payload(self) -> object | None:
        if self._reply is None:
            self._reply = await self._caller.open(self._call, timeout=self._timeout, retry=self._retry)
        try:
            while not self._ready:
                data = await self._reply.read()
                if not data:
                    # HTTP's end is not the reply's: only a finish reason says that nothing is missing.
                    self._ready.extend(self._parser.close())
                    if self._ready:
                        break
                    if self._finished:
                        return None
                    raise self._interrupted("it ended without a finish reason", None)
                self._ready.extend(self._parser.feed(data))
                self._fed += len(data)
                if self._ready:
                    self._large = self._fed > LARGE
                self._unpaused += len(data)
                if self._unpaused >= LARGE:
                    self._unpaused = 0
                    # What a fast server sends is there at once: without this the loop would serve nobody else.
                    await anyio.lowlevel.checkpoint()
            self._fed = 0
        except StreamInterrupted:
            raise
        except CallError as error:
            raise self._interrupted(error.message, error) from None
        return self._ready.popleft()

    async def _piece(self, payload: object) -> GenerateContentResponse:
        # After its head, a stream can report an error only as one of its events.
        if isinstance(payload, dict) and "error" in payload:
            raise self._interrupted_by_server(payload)
        try:
            if self._large:
                piece = await anyio.to_thread.run_sync(self._call.decode, payload)
            else:
                piece = self._call.decode(payload)
        except errors.MalformedResponse as error:
            raise self._interrupted(error.message, error) from None
        self.chunks += 1
        if piece.text_or_none:
            self._texts.append(piece.text_or_none)
        if any(candidate.finish_reason for candidate in piece.candidates) or (
            piece.prompt_feedback is not None and piece.prompt_feedback.block_reason
        ):
            self._finished = True
        return piece

    def _interrupted_by_server(self, payload: dict[str, object]) -> StreamInterrupted:
        body = payload["error"]
        code = body.get("code") if isinstance(body, dict) else None
        # Its status line said 200; the code in the event is the one that counts.
        http = code if isinstance(code, int) and 400 <= code <= 599 else 500
        error = status.error_from_reply(http, {}, payload, resource=self._call.resource, method=self._call.method)
        return self._interrupted(error.message, error)

    def _interrupted(self, why: str, cause: CallError | None) -> StreamInterrupted:
        error = StreamInterrupted.after(
            cause,
            f"the stream of {self._call.resource} broke off after {self.chunks} pieces: {why}",
            failure=cause.failure if cause else None,
        )
        error.resource = self._call.resource
        error.partial = self.text
        error.chunks = self.chunks
        return error

    async def aclose(self) -> None:
        """Give the connection back; the rest of the reply is dropped."""
        self._closed = True
        reply, self._reply = self._reply, None
        if reply is not None:
            await reply.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
