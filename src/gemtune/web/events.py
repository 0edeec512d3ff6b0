"""Streams of a watcher's events to browsers: a response for a route of your own, and a whole route."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, TypeAlias

import anyio
import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.events import Event
from gemtune.resources.given import JobLike
from gemtune.watch import Subscription, Watcher
from gemtune.web.ledger import dumped
from gemtune.web.lifespan import get_watcher
from gemtune.web.streams import StreamEnd, message, stream_response

Chosen: TypeAlias = JobLike | Iterable[JobLike] | None
"""The jobs of a stream; None: all that are watched."""

_IDLE: Final = 1.0
"""Seconds between two looks at whether there is a job again, once all have ended."""
_TOGETHER: Final = 64
"""How many events go into one chunk at most."""
_LONGEST_ID: Final = 4000
"""The longest resume token that is sent as an id, in characters: it comes back in a header, and proxies take 8 kB."""


async def events_response(
    request: Request,
    jobs: Chosen,
    *,
    kinds: Iterable[str | type[Event]] | None = None,
    heartbeat: float = 15.0,
    watcher: Watcher | None = None,
) -> Response:
    """Return the events of jobs as server-sent events, for a route of your own.

    ::

        @app.get("/jobs/{id}/events")
        async def follow(request: Request, id: str, watcher: Watcher):  # see docs/web.md for Watcher
            if f"tunedModels/{id}" not in watcher.jobs:
                raise HTTPException(404)
            return await gemtune.web.events_response(request, f"tunedModels/{id}")

    Each event is a message without a name whose data is ``event.to_dict()`` as JSON. Its id is a resume token, so that
    a browser that reconnects gets what it missed. The stream ends once all its jobs have ended, and a browser that
    comes back then is answered with 204, which tells it to stay away. It ends with the server, too.

    Args:
        request: The request; its ``Last-Event-ID`` says where to resume.
        jobs: The jobs that this visitor may see (None: all); they are watched from then on, so check a visitor's ids.
        kinds: Which events, by their ``kind`` or class; None means all.
        heartbeat: Seconds between two signs of life, which keep proxies from closing the connection.
        watcher: The watcher; by default that of ``gemtune.web.lifespan``.

    Returns:
        The stream, or status 400 if ``Last-Event-ID`` is no resume token or cursor.

    Raises:
        MisuseError: There is no watcher, or it is closed.
    """
    checks.seconds("heartbeat", heartbeat)
    watcher = get_watcher(request) if watcher is None else watcher
    since = request.headers.get("last-event-id") or None
    try:
        subscription = watcher.subscribe(jobs, kinds=kinds, since=since, passive=True)
    except InvalidInput as error:
        if since is None:
            raise
        watcher.subscribe(jobs, kinds=kinds, passive=True).close()  # raises what is not the visitor's fault
        return JSONResponse({"error": f"Last-Event-ID: {error}"}, 400)
    stream = EventStream(subscription, watcher, endless=jobs is None)
    if since is not None and await stream.is_over():
        subscription.close()
        return Response(status_code=204)
    return stream_response(stream.messages(), stream.end, beat=heartbeat)


def events_route(
    path: str,
    jobs: Callable[[Request], Chosen | Awaitable[Chosen]] | None = None,
    *,
    kinds: Iterable[str | type[Event]] | None = None,
    heartbeat: float = 15.0,
    watcher: Watcher | None = None,
    name: str = "gemtune-events",
) -> Route:
    """Return a route of server-sent events: ``app.routes.append(events_route("/jobs/{id}/events"))``.

    What it sends, ``events_response`` says.

    Args:
        path: The path. With ``{id}`` in it, the stream is of the watched job whose name ends in that id, and other ids
            are answered with 404 at no cost; without, of all watched jobs.
        jobs: A function, plain or async, that returns which jobs the visitor of a request may see. It may raise
            Starlette's HTTPException.
        kinds: Which events, by their ``kind`` or class; None means all.
        heartbeat: Seconds between two signs of life.
        watcher: The watcher; by default that of ``gemtune.web.lifespan``.
        name: The route's name.
    """
    checks.seconds("heartbeat", heartbeat)

    async def follow(request: Request) -> Response:
        found = get_watcher(request) if watcher is None else watcher
        if jobs is not None:
            chosen = jobs(request)
            wanted = await chosen if inspect.isawaitable(chosen) else chosen
        elif "id" in request.path_params:
            wanted = [each for each in found.jobs if each.rpartition("/")[2] == request.path_params["id"]]
            if not wanted:
                return JSONResponse({"error": "no such job is watched"}, 404)
        else:
            wanted = None
        return await events_response(request, wanted, kinds=kinds, heartbeat=heartbeat, watcher=found)

    return Route(path, follow, methods=["GET"], name=name)


@attrs.define(eq=False)
class EventStream:
    """The events of one subscription on their way to one listener.

    Args:
        subscription: The subscription.
        watcher: Whose it is.
        endless: Whether it stays open although all jobs have ended, because others may come.
    """

    subscription: Subscription[Event]
    watcher: Watcher
    endless: bool
    end: StreamEnd = attrs.field(factory=StreamEnd, init=False)
    _first: Event | None = attrs.field(default=None, init=False)
    # Whether it is about more jobs than an id can hold: then none is made any more, which takes longest of all.
    _too_long: bool = attrs.field(default=False, init=False)

    async def is_over(self) -> bool:
        """Return whether nothing is left to be sent, now and for ever."""
        if self.endless or not self.watcher.statistics().running:
            return False  # a browser may come back to the next process
        try:
            with anyio.move_on_after(0):
                self._first = await anext(self.subscription)
        except StopAsyncIteration:
            return True
        return False

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield chunks of messages until all is said, or the server stops."""
        with self.subscription:
            event, self._first = self._first, None
            while not self.end.came:
                if event is not None:
                    yield self._chunk(event)
                event = None
                with self.end.ends_waiting():
                    try:
                        event = await anext(self.subscription)
                    except StopAsyncIteration:
                        if not self.endless or not self.watcher.statistics().running:
                            return
                        await anyio.sleep(_IDLE)

    def _chunk(self, event: Event) -> bytes:
        """Return an event and those that are ready, of which only the last says where to resume."""
        batch = [event]
        while len(batch) < _TOGETHER and (more := self.subscription.next_nowait()) is not None:
            batch.append(more)
        *others, last = [dumped(each.to_dict()) for each in batch]
        token = "" if self._too_long else self.subscription.resume_token()
        self._too_long = self._too_long or len(token) > _LONGEST_ID
        return b"".join(map(message, others)) + message(last, id="" if self._too_long else token)
