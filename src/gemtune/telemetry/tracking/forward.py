"""Events handed on to whatever takes them: TensorBoard, a tracker of runs, a function of your own."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Protocol, TypeAlias

import anyio.to_thread

from gemtune.errors import InvalidInput
from gemtune.events import Event

OnEvent: TypeAlias = Callable[[Event], object]
"""Takes an event: a plain function, which runs in a thread, or an async one."""


class Eventful(Protocol):
    """A job whose events can be had: a ``TuningJob``."""

    def events(self) -> AsyncIterable[Event]: ...


async def forward(source: AsyncIterable[Event] | Eventful, *on_event: OnEvent) -> None:
    """Hand every event of a job or a watcher to functions, one after the other, until there are no more.

    A plain function is called in a thread, because trackers write files and make requests; an async one is awaited. The
    next event waits for them, and loses nothing by that. What they raise ends the forwarding.

    Args:
        source: A watcher, a subscription, a job, or ``job.events(since=...)``.
        on_event: What takes the events.

    Raises:
        InvalidInput: The source has no events.
        CredentialsError: Of a job: there is no credential, or the service refuses it.

    Example:
        ``await forward(job, TensorBoard("runs"), print)``
    """
    if isinstance(source, AsyncIterable):
        events: AsyncIterable[Event] = source
    elif callable(getattr(source, "events", None)):
        events = source.events()
    else:
        raise InvalidInput("source must be a job, a watcher or events of one", field="source")
    async for event in events:
        for each in on_event:
            result = each(event) if _is_async(each) else await anyio.to_thread.run_sync(each, event)
            if isinstance(result, Awaitable):  # of a plain one too: it may be a lambda around an async one
                await result


def _is_async(function: OnEvent) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
