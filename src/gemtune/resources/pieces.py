"""The pieces of one streamed reply, from its bytes: read, timed, checked and decoded.

Three things are decided here, because neither bytes nor values can know them:

- **Silence** is measured between pieces. What keeps a connection alive (comments, blank lines) is no sign of a model
  that is still at work.
- **An error** can come as one of the events once the head has gone out with its 200.
- **Complete** is a reply whose candidates all have a finish reason. Whatever comes after that, a broken connection
  included, takes nothing away from it. A stream that ends without one was cut short, however politely it was closed.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs

from gemtune.errors import CallError, DeadlineExceeded, MalformedResponse
from gemtune.http.caller import LARGE
from gemtune.http.stream import StreamReply
from gemtune.loops import current_time
from gemtune.protocol.call import Call
from gemtune.protocol.sse import EventParser
from gemtune.types import GenerateContentResponse

_AFTER_THE_END: Final = 5.0
"""Seconds in which what follows a finish reason must come: counts of tokens, and the end itself."""


@attrs.define(eq=False)
class Pieces:
    """Reads the pieces of an open reply.

    Args:
        call: What was asked.
        reply: The bytes.
    """

    call: Call[GenerateContentResponse]
    reply: StreamReply
    _parser: EventParser = attrs.field(init=False, repr=False)
    _ready: deque[object] = attrs.field(factory=deque, init=False, repr=False)
    _open: set[int] = attrs.field(factory=set, init=False, repr=False)
    _finished: bool = attrs.field(default=False, init=False)
    _fed: int = attrs.field(default=0, init=False, repr=False)
    _unpaused: int = attrs.field(default=0, init=False, repr=False)
    _large: bool = attrs.field(default=False, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # One event may hold all of the reply, a picture say: it is bounded as a whole reply is.
        self._parser = EventParser(limit=self.reply.max_body)

    @property
    def complete(self) -> bool:
        """Whether every candidate has said why it stopped, or the prompt was refused."""
        return self._finished and not self._open

    async def next(self) -> GenerateContentResponse | None:
        """Return the next piece, or None at the end.

        Raises:
            CallError: What broke the reply off.
        """
        try:
            payload = await self._payload()
            if payload is not None:
                return await self._decoded(payload)
            if not self.complete:
                # HTTP's end is not the reply's: only a finish reason says that nothing is missing.
                raise MalformedResponse("it ended without a finish reason")
        except CallError as error:
            if not self.complete:
                # The end of the caller's own time says nothing about the service.
                self.reply.failure = error if current_time() < self.reply.deadline else None
                raise
        self.reply.complete = True
        return None

    async def aclose(self) -> None:
        """Give the connection back; the rest of the reply is dropped."""
        await self.reply.aclose()

    async def _payload(self) -> object | None:
        if not self._ready:
            now, silence = current_time(), min(self.reply.idle, _AFTER_THE_END if self.complete else self.reply.idle)
            with anyio.move_on_at(min(now + silence, self.reply.deadline)) as clock:
                await self._fill()
            if clock.cancelled_caught:
                raise self._late(silence)
        return self._ready.popleft() if self._ready else None

    def _late(self, silence: float) -> DeadlineExceeded:
        over = current_time() >= self.reply.deadline
        why = "the time allowed for the whole stream was over" if over else f"no piece arrived for {silence:g} s"
        return DeadlineExceeded(f"{self.call.method}: {why}", resource=self.call.resource)

    async def _fill(self) -> None:
        """Read until there is a payload; there is none at the end."""
        while not self._ready:
            data = await self.reply.read()
            if not data:
                self._ready.extend(self._parser.close())
                break
            self._fed += len(data)
            self._large = self._fed > LARGE
            if self._large:  # one event so far, and its end, which a large parse follows, may be in these bytes
                self._ready.extend(await anyio.to_thread.run_sync(self._parser.feed, data))
            else:
                self._ready.extend(self._parser.feed(data))
            self._unpaused += len(data)
            if self._unpaused >= LARGE:
                self._unpaused = 0
                # What a fast server sends is there at once: without this the loop would serve nobody else.
                await anyio.lowlevel.checkpoint()
        self._fed = 0

    async def _decoded(self, payload: object) -> GenerateContentResponse:
        # After its head, a stream can report an error only as one of its events.
        error = self.reply.error_within(payload)
        if error is not None:
            raise error
        decode = self.call.decode
        piece = await anyio.to_thread.run_sync(decode, payload) if self._large else decode(payload)
        before = self.complete
        for candidate in piece.candidates:
            if candidate.finish_reason:
                self._finished = True
                self._open.discard(candidate.index or 0)
            elif not before:
                self._open.add(candidate.index or 0)
        if piece.prompt_feedback is not None and piece.prompt_feedback.block_reason:
            self._finished = True
        return piece
