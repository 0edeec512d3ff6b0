"""A subscription: a plain object that gives one consumer the events it wants, each once and in order.

It holds no task and no scope, which is what makes it safe in a web handler or a notebook: it may be left by ``break``,
read on by another task, or dropped; a time-out around one ``anext`` loses nothing, because an event is taken from the
reader in one step, without waiting. Waiting is all that happens here; what there is to read is known to ``reader`` and
``board``.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Generic, Self, TypeVar, cast, get_args

import anyio
import anyio.lowlevel
import attrs

from gemtune import events
from gemtune.errors import MisuseError
from gemtune.events import Event
from gemtune.watch.board import Board
from gemtune.watch.reader import Reader
from gemtune.watch.record import WatchedJob
from gemtune.watch.resume_token import ResumeToken

E_co = TypeVar("E_co", bound=Event, covariant=True)

_YIELD_EVERY: Final = 64


@attrs.define(eq=False, repr=False)
class Subscription(AsyncIterator[E_co], Generic[E_co]):
    """The events of some jobs, or of all: iterate over it, and leave it whenever you like.

    Another task may read on, and a time-out around one ``anext`` loses nothing. It ends once all its jobs have ended,
    and when the watcher is closed.
    """

    _board: Board
    _reader: Reader
    _began: float = 0.0
    _bookmarks: float | None = None
    # Held, so that a watcher lives as long as anybody reads.
    _watcher: object = attrs.field(default=None, kw_only=True)
    closed: bool = attrs.field(default=False, init=False)
    delivered: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._board.attend(self._reader)

    def __repr__(self) -> str:
        names = self._reader.interest.names
        about = "all jobs" if names is None else f"{len(names)} jobs"
        state = "closed" if self.closed else f"{self._reader.open} open, {self.backlog} with news"
        return f"<Subscription to {about}: {state}, {self.delivered} delivered>"

    @property
    def backlog(self) -> int:
        """How many jobs have news that you have not read."""
        return self._reader.backlog

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E_co:
        """Return the next event, waiting for it.

        Raises:
            MisuseError: The watcher is not running.
        """
        if self.delivered % _YIELD_EVERY == _YIELD_EVERY - 1:
            # Whoever always finds something ready must still let others run; cancelled here, nothing is lost.
            await anyio.lowlevel.checkpoint()
        deadline: float | None = None
        while True:
            event = self.next_nowait()
            if event is not None:
                return event
            if self._over():
                raise StopAsyncIteration
            if not self._board.running:
                raise MisuseError("the watcher is not running: enter it with 'async with', or await its start()")
            if deadline is None:  # one for each call: events that you do not want must not put off a bookmark
                deadline = math.inf if self._bookmarks is None else anyio.current_time() + self._bookmarks
            with anyio.CancelScope(deadline=deadline) as waiting:
                await self._reader.wait()
            if waiting.cancelled_caught and not self._reader.backlog and not self._over():
                return cast(E_co, events.Bookmark(job="", cursor="", observed_at=datetime.now(UTC)))

    def next_nowait(self) -> E_co | None:
        """Return the next event if there is one now, else None."""
        while not self.closed and (found := self._reader.next()) is not None:
            record, event = found
            if event is not None:
                self.delivered += 1
                self._board.delivered += 1
                return cast(E_co, event)
            # Read to the end of what there is: perhaps this reader was the last whom a job was kept for.
            if isinstance(record, WatchedJob):
                self._board.settle(record)
        return None

    async def next_batch(self, max_items: int = 256, *, max_wait: float | None = None) -> list[E_co]:
        """Return the events that are ready; wait for the first if there is none.

        Args:
            max_items: How many events at most.
            max_wait: Seconds to wait for the first; None waits for it, or for the end.

        Returns:
            The events; an empty list after the time, and at the end.
        """
        batch: list[E_co] = []
        with anyio.move_on_after(max_wait):
            try:
                batch.append(await self.__anext__())
            except StopAsyncIteration:
                return batch
        while len(batch) < max_items and (event := self.next_nowait()) is not None:
            batch.append(event)
        return batch

    def resume_token(self) -> str:
        """Return what was delivered here, of all its jobs, as a string from which ``subscribe(since=...)`` continues.

        Pass the same jobs and kinds there. It takes about 100 characters for each job, so that for up to 30 of them it
        fits a header, and can be the id of an event of a stream over HTTP.

        Raises:
            MisuseError: It was closed, and has forgotten its jobs.
        """
        if self.closed:
            raise MisuseError("the subscription is closed: take its resume_token() before, such as after every event")
        jobs, discarded = self._reader.cursors()
        return ResumeToken.text(jobs, self._began, discarded)

    def close(self) -> None:
        """End it now, even while somebody waits for it; a second time changes nothing."""
        if not self.closed:
            self.closed = True
            self._reader.forget()
            self._board.leave(self._reader)
            self._reader.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _over(self) -> bool:
        reader, board = self._reader, self._board
        endless = reader.interest.names is None and (board.absent.discovering or not reader.met)
        # Its own end comes before the watcher's error: what it asked for has been delivered.
        if self.closed or (reader.open == 0 and not endless):
            return True
        if board.error is not None:
            raise board.error
        return board.closed


# The classes of events by their kind.
KINDS: Final[dict[str, type[Event]]] = {kind.kind: kind for kind in get_args(Event)}
