"""What runs beside its consumer: the run of a batch, the scheduler of a watcher.

A block that holds a task group open around the user's code ties that code to one task: the block cannot be left by
another task than the one that entered it, which is what ``asyncio.wait_for``, a test's fixtures and the garbage
collector do to an async generator, and the group cancels whoever happens to be in it (PEP 789). So on asyncio the work
lives in a task of its own, and nothing is open between the beginning and the end. trio has no task without a parent:
there the block holds a nursery, and trio itself refuses what cannot work.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import anyio.abc
import attrs

from gemtune.errors import MisuseError
from gemtune.loops import call_soon, on_asyncio

_tasks: Final[set[asyncio.Task[None]]] = set()
"""asyncio itself holds a task weakly, and one whose owner was forgotten has yet to end in order."""


@attrs.define(eq=False)
class Background:
    """One piece of work, from its beginning to its end.

    Args:
        name: What it is called in messages.
        work: Runs until it is done, or until ``stop`` is called. It deals with its own errors.
        stop: Asks it to end soon; called more than once, and also before it runs.
        unbegun: Ends it in the place of ``work`` if its task is cancelled before the work could begin, as the end of a
            loop may do.
    """

    name: str
    work: Callable[[], Awaitable[None]]
    stop: Callable[[], None]
    unbegun: Callable[[], None]
    _begun: bool = attrs.field(default=False, init=False)
    _group: anyio.abc.TaskGroup | None = attrs.field(default=None, init=False)
    _ended: anyio.Event | None = attrs.field(default=None, init=False)
    _task: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    async def enter(self, owner: object) -> None:
        """Begin with a block."""
        if on_asyncio():
            self.start(owner)
            return
        self._ended = anyio.Event()  # close() may be called by another task than the block's
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._run, self._ended)

    async def leave(self) -> None:
        """End with the block, and wait until the work has ended."""
        if self._group is None or self._ended is None:
            await self.close()
            return
        self.stop()
        self._group.cancel_scope.cancel()
        try:
            # An error of the block is not handed to the task group, which would wrap it into a group of errors.
            await self._group.__aexit__(None, None, None)
        finally:
            self._ended.set()

    def start(self, owner: object) -> None:
        """Begin in a task of its own, which ends when its owner is forgotten."""
        self._task = asyncio.create_task(self._run(None), name=f"gemtune {self.name}")
        _tasks.add(self._task)
        self._task.add_done_callback(self._done)
        # What is forgotten, as by running a notebook's cell again, must not go on for ever.
        forgotten = weakref.finalize(owner, call_soon, asyncio.get_running_loop(), self.stop)
        forgotten.atexit = False
        # Once the work is over it would only keep the loop and all that was worked on.
        self._task.add_done_callback(lambda _: forgotten.detach())

    async def close(self) -> None:
        """End the work, and wait until it has ended; harmless if it has ended or never begun."""
        if self._task is not None:
            await _end(self._task, self.stop)
            return
        self.stop()
        if self._ended is not None:
            await self._ended.wait()  # the nursery is left by the block that entered it

    def _done(self, task: asyncio.Task[None]) -> None:
        _tasks.discard(task)
        if not self._begun:
            self.unbegun()

    async def _run(self, ended: anyio.Event | None) -> None:
        self._begun = True
        try:
            await self.work()
        finally:
            if ended is not None:
                ended.set()


def check_start(block: str) -> None:
    """Refuse to begin without a block where every task has a parent.

    Raises:
        MisuseError: This is not asyncio; it names the block.
    """
    if not on_asyncio():
        raise MisuseError(f"start() needs asyncio; under trio use '{block}'")


async def _end(task: asyncio.Task[None], stop: Callable[[], None]) -> None:
    loop: Any = task.get_loop()
    if not on_asyncio() or loop is not asyncio.get_running_loop():
        call_soon(loop, stop)  # in its own loop, if that still runs; nobody here can wait for it
        return
    stop()
    cancelled: asyncio.CancelledError | None = None
    # As at the end of a task group: whoever is cancelled here waits all the same, as what is left has to be written.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
