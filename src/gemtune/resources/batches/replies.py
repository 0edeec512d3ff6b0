"""The replies of a batch, read one by one from a temporary file into which they were downloaded before."""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from typing import IO, Final, Self

import anyio
import anyio.to_thread
import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import NotFound
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.batches.service import BatchService
from gemtune.resources.uploads.held import Held
from gemtune.types.batches import BatchReply, GenerateContentBatch

_LOT: Final = 1 << 20
"""Bytes of lines that are read and parsed by one trip to a thread."""


@attrs.define(eq=False)
class BatchReplies:
    """What became of each request of a batch: an async iterator, which may be read once.

    Nothing is asked for before the first reply is wanted. Read it to its end, or leave it in ``async with`` or by
    ``aclose()``; a temporary file is all that it holds.
    """

    _service: BatchService
    _name: str
    _retry: RetryPolicy | None
    _held: Held[IO[bytes]] | None = attrs.field(default=None, init=False)
    _file: IO[bytes] | None = attrs.field(default=None, init=False)
    """The file, once all of it is there."""
    _ready: deque[BatchReply] = attrs.field(factory=deque, init=False)
    _reading: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _over: bool = attrs.field(default=False, init=False)
    _one_reader: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)
    """Several tasks may share the replies among them."""

    def __aiter__(self) -> BatchReplies:
        return self

    async def __anext__(self) -> BatchReply:
        """Return the next reply.

        Raises:
            NotFound: The batch has no results.
            CallError: They could not be downloaded; the next call begins the download anew.
        """
        while not self._ready and not self._over:
            async with self._one_reader:
                await self._refill()
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def _refill(self) -> None:
        if self._ready or self._over:
            return  # another reader was here
        file = self._file or await self._download()
        if not await anyio.to_thread.run_sync(self._read_some, file):
            await self.aclose()

    async def aclose(self) -> None:
        """Let go of the file."""
        self._over = True
        self._let_go()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        held, self._held, self._file = self._held, None, None
        if held is not None:
            held.close()

    async def _download(self) -> IO[bytes]:
        batch = await self._service.get(self._name, retry=self._retry)
        if not batch.done:
            raise _without_results(batch, "it has not ended", "look at it again with ")
        self._let_go()  # of what an earlier attempt has left
        self._held = Held(tempfile.TemporaryFile)
        file = await anyio.to_thread.run_sync(self._held.open)
        if await self._service.fetch(batch, file, retry=self._retry) == 0:
            why = f"its state is {batch.state}" + (f" ({batch.error.message})" if batch.error is not None else "")
            raise _without_results(batch, why, "see it with ")
        file.seek(0)
        self._file = file
        return file

    def _read_some(self, file: IO[bytes]) -> bool:
        """Read and parse the next lines, and return whether there were any; blocks."""
        # A task of asyncio may be cancelled while its thread reads on. What that has read is not in the file any more
        # for whoever comes next, so the thread puts it where it is found.
        with self._reading:
            while not self._ready:
                lines = file.readlines(_LOT)
                self._ready.extend([self._service.read_line(line) for line in lines if line.strip()])
                if not lines:
                    return False
            return True


def _without_results(batch: GenerateContentBatch, why: str, what: str) -> NotFound:
    return NotFound(
        f"{batch.name} has no results: {why}",
        Remedy(what, ClientCall("batches.get", batch.name)),
        resource=batch.name,
    )
