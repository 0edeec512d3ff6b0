"""A reply that is larger than memory: its bytes go into a file as they arrive, and continue where the connection broke.

A break costs what was on the wire and no more: the next request asks for the rest (``Range``, with ``If-Range`` if the
service names a version), and every attempt that brought a good part of the file gives the next one all of its retries
back. What is asked for again without need is the whole: if the service ignores the range, or has another content now.

The size is checked. A body that stops short is no body, however politely the connection was closed.
"""

from __future__ import annotations

import logging
import re
from typing import IO, Any, Final

import anyio
import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.config import RetryPolicy
from gemtune.errors import (
    CallError,
    ConnectionLost,
    DeadlineExceeded,
    Failure,
    MalformedResponse,
    ResponseTooLarge,
)
from gemtune.http.caller import Caller, TimeLimit
from gemtune.http.stream import StreamReply
from gemtune.protocol.call import Call

_PROGRESS: Final = 1 << 20
"""An attempt that brought so many new bytes before it broke has not failed: the next one begins the count anew."""
_LOT: Final = 1 << 20
"""Bytes that are written at a time: a trip to a thread for each piece of 64 KiB would cost as much as the download."""
_MOST: Final = 1 << 40
_RANGE: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
_UNSATISFIABLE: Final = 416

_log = logging.getLogger("gemtune.http")


async def download(
    caller: Caller,
    call: Call[Any],
    into: IO[bytes],
    *,
    size: int | None = None,
    most: int = _MOST,
    timeout: float | None = None,
    retry: RetryPolicy | None = None,
) -> int:
    """Write the body of a call's reply into a file, from its beginning, in constant memory.

    Args:
        caller: Carries out the requests.
        call: A GET that may be repeated (``Effect.READ``); its ``decode`` is not used.
        into: The file, empty, open for writing and seekable. It is written in a worker thread.
        size: How many bytes there are, if that is known: a reply that does not say so may end too early unnoticed.
        most: The most bytes to write.
        timeout: Seconds for all of it; None for no end but those of a silence.
        retry: Another retry policy.

    Returns:
        The bytes written.

    Raises:
        CallError: What went wrong; the file then holds a part.
        OSError: The file could not be written.
    """
    limit = None if timeout is None else checks.seconds("timeout", timeout)
    running = _Download(caller, call, into, most, size)
    with anyio.move_on_after(limit):
        while not running.whole:
            await caller.repeat(call, running.attempt, timeout=None, retry=retry)
        return running.arrived
    raise DeadlineExceeded(
        f"{call.method}: {running.arrived:,} bytes had arrived when the {limit:g} s were over",
        resource=call.resource,
        failure=Failure.FATAL,
    )


@attrs.define(eq=False)
class _Download:
    """What has arrived of one body.

    Args:
        arrived: The bytes in the file.
        whole: Whether these are all.
    """

    caller: Caller
    call: Call[Any]
    into: IO[bytes]
    most: int
    size: int | None
    arrived: int = attrs.field(default=0, init=False)
    whole: bool = attrs.field(default=False, init=False)
    _total: int | None = attrs.field(default=None, init=False)
    _tag: str = attrs.field(default="", init=False)
    _furthest: int = attrs.field(default=0, init=False)
    """The most that ever had arrived: to fetch the same bytes again is no progress."""

    async def attempt(self, call: Call[Any], time: TimeLimit) -> None:
        """Ask for what is missing, and write down what comes.

        Raises:
            CallError: It broke off before much had come.
        """
        before = self._furthest
        try:
            reply = await self.caller.head(self._for_the_rest(call), time)
        except CallError as error:
            if error.status == _UNSATISFIABLE and self.arrived:
                await self._start_over()
                raise self._wrong("it has become shorter while it was downloaded") from None
            raise
        try:
            await self._check_head(reply)
            await self._take(reply)
        except (ConnectionLost, DeadlineExceeded) as error:
            if self.arrived != self._total:  # else nothing is missing, and there is no rest to ask for
                if self._furthest - before < _PROGRESS:
                    raise
                _log.info("%s: it broke after %s bytes (%s); continuing", call.resource, f"{self.arrived:,}", error)
                return
        finally:
            await reply.aclose()
        if self._total is None or self.arrived == self._total:
            self.whole = True
        elif self.arrived > self._total or self._furthest == before:
            raise self._wrong(f"{self.arrived:,} bytes arrived, and it should be {self._total:,}")

    def _for_the_rest(self, call: Call[Any]) -> Call[Any]:
        # Compressed on the way, a position in the body would mean nothing.
        headers = [*call.headers, ("accept-encoding", "identity")]
        if self.arrived:
            headers.append(("range", f"bytes={self.arrived}-"))
            if self._tag:
                headers.append(("if-range", self._tag))
        return attrs.evolve(call, headers=tuple(headers))

    async def _check_head(self, reply: StreamReply) -> None:
        """Find out how much there is, and that what comes continues what is there."""
        if reply.headers.get("content-type", "").strip().lower().startswith("text/html"):
            raise self._wrong("a page came in place of the content")  # of a network that wants a login, or a gateway
        plain = reply.headers.get("content-encoding", "identity").strip().lower() == "identity"
        tag = reply.headers.get("etag", "")
        tag = tag if plain and tag.startswith('"') else ""
        start, total = 0, None
        if reply.status == 206:
            found = _RANGE.fullmatch(reply.headers.get("content-range", "").strip())
            if found is None:
                raise self._wrong("the reply holds a part and does not say which")
            start, total = int(found[1]), None if found[3] == "*" else int(found[3])
        elif plain and (length := reply.headers.get("content-length", "")).isdecimal():
            total = int(length)
        known = self._total if self.arrived else None
        other = (known is not None and total not in {None, known}) or (tag and self._tag and tag != self._tag)
        if start != self.arrived or other:
            await self._start_over()
            if start:
                raise self._wrong("another part arrived than the one that was asked for")
        if self.arrived == 0:
            self._total, self._tag = self.size if total is None else total, tag
        if self._total is not None and self._total > self.most:
            raise ResponseTooLarge(f"it has {self._total:,} bytes, and at most {self.most:,} are wanted")
        reply.max_body = self.most - self.arrived

    async def _take(self, reply: StreamReply) -> None:
        """Write the body into the file; what had arrived before a failure is written as well."""
        plain = reply.headers.get("content-encoding", "identity").strip().lower() == "identity"
        lot = bytearray()
        try:
            while piece := await self._next(reply):
                lot += piece
                if len(lot) >= _LOT:
                    await self._write(lot)
        except CallError as error:
            reply.failure = error
            if not plain:
                await self._start_over()
                raise
            await self._write(lot)
            raise
        await self._write(lot)

    async def _next(self, reply: StreamReply) -> bytes:
        silence = self.caller.timeouts.call
        with anyio.move_on_after(silence):
            return await reply.read()
        raise DeadlineExceeded(f"{self.call.method}: nothing arrived for {silence:g} s", resource=self.call.resource)

    async def _write(self, lot: bytearray) -> None:
        if not lot:
            return
        await anyio.to_thread.run_sync(self.into.write, bytes(lot))
        self.arrived += len(lot)
        self._furthest = max(self._furthest, self.arrived)
        lot.clear()

    async def _start_over(self) -> None:
        def empty() -> None:
            self.into.seek(0)
            self.into.truncate()

        if self.arrived:
            _log.info("%s: the download begins anew", self.call.resource)
            await anyio.to_thread.run_sync(empty)
        self.arrived, self._total, self._tag = 0, None, ""

    def _wrong(self, why: str) -> MalformedResponse:
        return MalformedResponse(f"{self.call.method} for {self.call.resource}: {why}", resource=self.call.resource)
