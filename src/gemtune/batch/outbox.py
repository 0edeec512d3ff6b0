"""Where results wait for the consumer: in the order of their completion or of the input, and never too many.

Whoever takes a result makes room, and the run begins nothing more while there is none: 4 times the limit in items, or
64 MiB of replies. The bound is on what was begun and not yet taken, because a request that has left cannot be called
back: it will have its result, and that needs a place. Restoring the order of the input needs the same room, and an
item that takes an hour holds back only as many others as fit into it.
"""

from __future__ import annotations

from collections import deque

import anyio
import attrs

from gemtune.batch.result import BatchResult


@attrs.define(eq=False)
class Outbox:
    """Hands results to the consumer, and counts what was begun and not yet taken by it.

    Args:
        ordered: Whether results are held back until those of all earlier items have been handed out.
        held: About how many bytes the results have that are here, or are about to be read from a journal.
        replays: Results of the journal that were begun and not taken.
        hungry: Whether the consumer waits for a result.
        over: Whether nothing follows what is here.
    """

    ordered: bool
    begun: int = attrs.field(default=0, init=False)
    taken: int = attrs.field(default=0, init=False)
    held: int = attrs.field(default=0, init=False)
    replays: int = attrs.field(default=0, init=False)
    hungry: bool = attrs.field(default=False, init=False)
    over: bool = attrs.field(default=False, init=False)
    _ready: deque[BatchResult] = attrs.field(factory=deque, init=False, repr=False)
    _early: dict[int, BatchResult] = attrs.field(factory=dict, init=False, repr=False)
    _next: int = attrs.field(default=0, init=False)
    _news: anyio.Event | None = attrs.field(default=None, init=False, repr=False)
    _space: anyio.Event | None = attrs.field(default=None, init=False, repr=False)

    @property
    def ahead(self) -> int:
        """Items begun whose results the consumer has not taken, without those of the journal."""
        return self.begun - self.taken - self.replays

    @property
    def waiting(self) -> int:
        """Results that are here."""
        return len(self._ready) + len(self._early)

    def begin(self, reserved: int | None = None) -> int:
        """Count an item that begins, and return the place of its result.

        Args:
            reserved: Of an outcome that is only read from the journal: the bytes to make room for.
        """
        if reserved is not None:
            self.replays += 1
            self.held += reserved
        self.begun += 1
        return self.begun - 1

    def put(self, position: int, result: BatchResult, reserved: int = 0) -> None:
        """Take in the result of a position; never waits.

        Args:
            position: Its place.
            result: The result.
            reserved: The bytes that were reserved for it.
        """
        # By the size of the texts: walking the whole reply with sys.getsizeof would cost more than receiving it.
        self.held += _size(result) - reserved
        if not self.ordered:
            self._ready.append(result)
        else:
            self._early[position] = result
            # One result may set many others free. Each leaves the dict once, so that order costs the same at any size.
            while (found := self._early.pop(self._next, None)) is not None:
                self._ready.append(found)
                self._next += 1
        if self._ready:
            self._wake()

    def end(self) -> None:
        """End it: what was held back by an item that was given up comes out now, and nothing follows."""
        # An item that was given up leaves a hole. What stands behind it was paid for, and is handed out all the same.
        for position in sorted(self._early):
            self._ready.append(self._early.pop(position))
        self.over = True
        self._wake()

    async def get(self) -> BatchResult | None:
        """Return the next result, or None at the end."""
        while not self._ready:
            if self.over:
                return None
            if self._news is None:
                self._news = anyio.Event()
            self.hungry = True
            try:
                await self._news.wait()
            finally:
                self.hungry = False
        self.taken += 1
        if self._space is not None:
            self._space.set()
            self._space = None
        result = self._ready.popleft()
        self.held -= _size(result)
        self.replays -= result.replayed
        return result

    def rest(self) -> list[BatchResult]:
        """Return what is here, at once, and keep it."""
        return [*self._ready]

    async def space(self) -> None:
        """Wait until the consumer has taken one more."""
        if self._space is None:
            self._space = anyio.Event()
        await self._space.wait()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None


def _size(result: BatchResult) -> int:
    """About how many bytes the reply's text and media have."""
    size = 0
    for one in result.response.candidates if result.response is not None else ():
        for part in one.content.parts if one.content is not None else ():
            size += len(part.text or "") + (len(part.inline_data.data) if part.inline_data else 0)
    return size
