"""The dashboard: a page of all jobs with live curves, and what it reads. ``docs/dashboard.md`` says what that is."""

from __future__ import annotations

import importlib.resources
import mimetypes
import time
from collections.abc import AsyncIterator, Collection
from importlib.resources.abc import Traversable
from typing import Final

import attrs
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gemtune._version import __version__
from gemtune.watch import Watcher
from gemtune.web.guard import Guarded, VisitorCheck, checked_hosts
from gemtune.web.hub import Hub, Pictured, dumped

_BEAT: Final = 5.0
"""Seconds between two signs of life."""


def dashboard(
    watcher: Watcher,
    *,
    batches: Collection[Pictured] = (),
    allowed_hosts: Collection[str] | None = None,
    frame_ancestors: str = "'none'",
) -> ASGIApp:
    """Return the dashboard as an ASGI application, to be mounted: ``app.mount("/tuning", dashboard(watcher))``."""
    hub = Hub(watcher, lambda: batches, {"allow_asking": False, "version": __version__})
    routes = DashboardRoutes(hub, static_files())
    return Guarded(routes.app(), VisitorCheck(checked_hosts(allowed_hosts), frame_ancestors))


@attrs.frozen(eq=False)
class DashboardRoutes:
    """What the page consists of and reads."""

    hub: Hub
    files: dict[str, bytes]

    def app(self) -> Starlette:
        """Return them as an application."""
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/static/{name:path}", self.static),
                Route("/api/jobs", self.jobs),
                Route("/api/events", self.events),
            ]
        )

    async def page(self, _: Request) -> Response:
        """GET ./: the page."""
        return self._file("index.html")

    async def static(self, request: Request) -> Response:
        """GET ./static/NAME: what the page consists of."""
        return self._file(request.path_params["name"])

    async def jobs(self, _: Request) -> Response:
        """GET ./api/jobs: everything, once."""
        self.hub.catch_up()
        return JSONResponse(self.hub.whole())

    async def events(self, request: Request) -> Response:
        """GET ./api/events: everything, and then what changes."""
        seen = self.hub.knows(request.headers.get("last-event-id"))
        return EventSourceResponse(self._stream(seen), ping=_BEAT, ping_message_factory=_beat, sep="\n")

    async def _stream(self, seen: int | None) -> AsyncIterator[ServerSentEvent]:
        hub = self.hub
        with hub.listening():
            hub.catch_up()
            if seen is None:
                seen, data = hub.version, dumped(hub.whole())
                yield ServerSentEvent(data, event="jobs", id=f"{hub.run}.{seen}", retry=2000, sep="\n")
            while True:
                messages, version = list(hub.since(seen)), hub.version
                for message in messages:
                    last = message is messages[-1]
                    identity = f"{hub.run}.{version}" if last else None
                    yield ServerSentEvent(message.data, event=message.event, id=identity, sep="\n")
                seen = version
                await hub.news(seen)

    def _file(self, name: str) -> Response:
        content = self.files.get(name)
        if content is None:
            return JSONResponse({"error": "there is no such file"}, 404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(content, media_type=_KINDS.get(kind, kind))


_KINDS: Final = {"application/javascript": "text/javascript"}


def _beat() -> ServerSentEvent:
    return ServerSentEvent(dumped({"now": time.time()}), event="beat", sep="\n")


def static_files() -> dict[str, bytes]:
    """Return the files of the page by their names: a name that is not among them is no file, whatever it looks like."""
    found: dict[str, bytes] = {}

    def collect(folder: Traversable, prefix: str) -> None:
        for each in folder.iterdir():
            if each.is_dir():
                collect(each, f"{prefix}{each.name}/")
            else:
                found[prefix + each.name] = each.read_bytes()

    collect(importlib.resources.files("gemtune.web") / "static", "")
    return found
