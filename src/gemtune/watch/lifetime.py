"""Where a watcher lives: beside its consumers, once."""

from __future__ import annotations

import attrs

from gemtune.background import Background, check_start
from gemtune.errors import MisuseError
from gemtune.watch.board import Board
from gemtune.watch.engine import Engine


@attrs.define(eq=False)
class Lifetime:
    """Begins and ends the watch, once."""

    board: Board
    engine: Engine
    _background: Background = attrs.field(init=False)
    _begun: bool = attrs.field(default=False, init=False)
    _started: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._background = Background("watcher", self.engine.run, self.engine.stop, self.engine.stop)

    async def enter(self, owner: object) -> None:
        """Begin to watch with a block."""
        self._begin()
        await self._background.enter(owner)

    async def leave(self) -> None:
        """End the watch with the block."""
        await self._background.leave()

    def start(self, owner: object) -> None:
        """Begin to watch until ``close``, or until the owner is forgotten.

        Raises:
            MisuseError: Not on asyncio, or it has lived before.
        """
        if self._started and not self.board.closed:
            return
        check_start("async with client.watch(...) as watcher")
        self._begin()
        self._started = True
        self._background.start(owner)

    async def close(self) -> None:
        """End the watch, and wait until it has ended."""
        await self._background.close()

    def _begin(self) -> None:
        if self._begun or self.board.closed:
            raise MisuseError("a watcher watches once: make another with client.watch(..., resume=w.resume_token())")
        self._begun = self.board.running = True
