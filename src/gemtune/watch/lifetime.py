"""Where a watcher lives: in the block that entered it, or in a task of its own."""

from __future__ import annotations

import asyncio
import weakref

import anyio
import anyio.abc
import attrs

from gemtune.errors import MisuseError
from gemtune.loops import call_soon, on_asyncio
from gemtune.watch.board import Board
from gemtune.watch.engine import Engine


@attrs.define(eq=False)
class Lifetime:
    """Begins and ends the watch, once."""

    board: Board
    engine: Engine
    _group: anyio.abc.TaskGroup | None = attrs.field(default=None, init=False)
    _finished: anyio.Event | None = attrs.field(default=None, init=False)
    _task: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    _begun: bool = attrs.field(default=False, init=False)

    async def enter(self) -> None:
        """Begin to watch in the scope of a block."""
        self._begin()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._finished = anyio.Event()  # aclose() may be called by another task than the block's
        self._group.start_soon(_run, self.engine, self._finished)

    async def leave(self) -> None:
        """End the watch with the block."""
        if self._group is None or self._finished is None:
            return
        self._group.cancel_scope.cancel()
        try:
            # An error of the block is not handed to the task group, which would wrap it into a group of errors.
            await self._group.__aexit__(None, None, None)
        finally:
            self._finished.set()

    def start(self, owner: object) -> None:
        """Begin to watch in a task of its own, which ends with its owner.

        Raises:
            MisuseError: Not on asyncio, or it has lived before.
        """
        if self._task is not None and not self.board.closed:
            return
        if not on_asyncio():
            raise MisuseError("start() needs asyncio; under trio use 'async with client.watch(...) as watcher'")
        self._begin()
        self._task = asyncio.create_task(self.engine.run(), name="gemtune watcher")
        # A watcher that is forgotten, as by running a notebook's cell again, must not watch for ever.
        weakref.finalize(owner, call_soon, asyncio.get_running_loop(), self.engine.stop).atexit = False

    async def close(self) -> None:
        """End the watch, and wait until it has ended."""
        self.engine.stop()
        if self._finished is not None:
            await self._finished.wait()  # the scope is left by the block that entered it
        if self._task is not None:
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        if self._begun or self.board.closed:
            raise MisuseError("a watcher watches once: make another with client.watch(..., resume=w.resume_token())")
        self._begun = self.board.running = True


async def _run(engine: Engine, finished: anyio.Event) -> None:
    try:
        await engine.run()
    finally:
        finished.set()
