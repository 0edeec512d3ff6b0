"""The dashboard: a page of all jobs with live curves, and what it reads. ``docs/dashboard.md`` says what that is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attrs
from sse_starlette import ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gemtune._version import __version__
from gemtune.client import Client
from gemtune.errors import GemtuneError, MisuseError, SettingsError
from gemtune.watch import Watcher
from gemtune.web.asking import Question, Samples, status_of
from gemtune.web.files import FILES, StaticFile
from gemtune.web.guard import Entrance, Guarded, VisitorCheck, checked_hosts
from gemtune.web.hub import Hub, Pictured
from gemtune.web.ledger import dumped
from gemtune.web.lifespan import get_client, get_watcher
from gemtune.web.streams import StreamEnd, message, stream_response

_BEAT: Final = 5.0
"""Seconds between two signs of life."""
_RETRY: Final = 2000
"""Milliseconds after which a browser reconnects."""


def dashboard(
    watcher: Watcher | None = None,
    *,
    client: Client | None = None,
    batches: Collection[Pictured] = (),
    samples: Mapping[str, Sequence[tuple[str, str]]] = MappingProxyType({}),
    title: str = "Jobs",
    allow_asking: bool = False,
    allowed_hosts: Collection[str] | None = None,
    frame_ancestors: str = "'none'",
) -> ASGIApp:
    """Return a page of all watched jobs, with live curves, as an application to be mounted.

    ::

        app = FastAPI(lifespan=gemtune.web.lifespan(filter="owner:me"))
        app.mount("/tuning", gemtune.web.dashboard())

    By default it answers only under the names of this machine (``localhost``) and to visitors on it, so that it shows
    nothing to strangers. Once your application lets nobody in who should not see the jobs, say under which names it is
    reached: ``allowed_hosts=["tuning.example.com"]``. A proxy on this machine must keep the Host or add
    ``X-Forwarded-For``, which nginx does not by itself (``proxy_set_header Host $host;``): without, its visitors look
    like this machine's own.

    Args:
        watcher: Whose jobs are shown; by default those of the watcher of ``gemtune.web.lifespan``.
        client: Asks models; by default the client of ``gemtune.web.lifespan``.
        batches: Batches to show with their progress; you may change the list at any time.
        samples: Prompts and answers to show beside a job, by its name in full, with a note as a third if there is one;
            you may change it at any time, and the last 20 of a job are kept.
        title: The heading of the page.
        allow_asking: Whether visitors may ask finished models a prompt, which costs you money.
        allowed_hosts: The names, with or without a port, under which it answers, and to visitors from everywhere. ``*``
            stands for any name, and gives up the protection against DNS rebinding.
        frame_ancestors: Which pages may show it in a frame, as in a Content-Security-Policy: ``'none'``, ``'self'`` or
            addresses.

    Returns:
        An ASGI application: it works under any path and needs no lifespan of its own.
    """
    check = VisitorCheck(checked_hosts(allowed_hosts), checked_ancestors(frame_ancestors))
    return made(Show(watcher, client, lambda: batches, title, allow_asking, samples), check)


def made(show: Show, check: VisitorCheck, entrance: Entrance | None = None) -> ASGIApp:
    """Return the application behind the rules."""
    return Guarded(DashboardRoutes(show, FILES).app(), check, entrance)


def checked_ancestors(sources: str) -> str:
    """Return the sources of a policy, or refuse what would say more than that."""
    if not sources.strip() or not sources.isascii() or any(sign in sources for sign in ";,\r\n"):
        raise SettingsError(f"frame_ancestors must be 'none', 'self' (with the quotes) or addresses, not {sources!r}")
    return sources.strip()


@attrs.define(eq=False)
class Show:
    """What a dashboard shows, and which hub it is about: there is one for each watcher that its requests bring.

    Args:
        watcher: The watcher; None: that of the request's application.
        client: Asks models; None: that of the request's application.
        batches: The batches now.
        title: The heading.
        allow_asking: Whether models may be asked.
        samples: Prompts and answers by the name of the job.
    """

    watcher: Watcher | None
    client: Client | None
    batches: Callable[[], Collection[Pictured]] = tuple
    title: str = "Jobs"
    allow_asking: bool = False
    samples: Mapping[str, Sequence[tuple[str, str]]] = attrs.field(factory=dict)
    _hub: Hub | None = attrs.field(default=None, init=False)

    def hub(self, request: Request) -> Hub:
        """Return the hub for a request."""
        watcher = self.watcher if self.watcher is not None else get_watcher(request)
        if self._hub is None or self._hub.watcher is not watcher:  # a test starts the same application again
            options = {"title": self.title, "allow_asking": self.allow_asking, "version": __version__}
            self._hub = Hub(watcher, self.batches, options, Samples(self.samples))
        return self._hub

    def asker(self, request: Request) -> Client:
        """Return the client that asks models."""
        return self.client if self.client is not None else get_client(request)


@attrs.frozen(eq=False)
class DashboardRoutes:
    """What the page consists of and reads.

    Args:
        show: What is shown.
        files: The files of the page.
    """

    show: Show
    files: dict[str, StaticFile]

    def app(self) -> Starlette:
        """Return them as an application."""
        routes = [
            Route("/", self.page),
            Route("/static/{name:path}", self.static),
            Route("/api/jobs", self.jobs),
            Route("/api/events", self.events),
        ]
        if self.show.allow_asking:
            routes.append(Route("/api/ask", self.ask, methods=["POST"]))
        app = Starlette(routes=routes, exception_handlers={MisuseError: _unavailable})
        app.router.redirect_slashes = False
        return app

    async def page(self, _: Request) -> Response:
        """GET ./: the page."""
        return self._file("index.html")

    async def static(self, request: Request) -> Response:
        """GET ./static/NAME: what the page consists of."""
        return self._file(request.path_params["name"])

    async def jobs(self, request: Request) -> Response:
        """GET ./api/jobs: everything, once."""
        hub = self.show.hub(request)
        hub.catch_up()
        return Response(dumped(hub.whole()), media_type="application/json")

    async def events(self, request: Request) -> Response:
        """GET ./api/events: everything, and then what changes."""
        hub, end = self.show.hub(request), StreamEnd()
        seen = hub.ledger.knows(request.headers.get("last-event-id"))
        return stream_response(_messages(hub, seen, end), end, beat=_BEAT, sign=_beat)

    async def ask(self, request: Request) -> Response:
        """POST ./api/ask: ask a finished model."""
        hub = self.show.hub(request)
        try:
            question = await Question.read(request)
            hub.catch_up()
            job = hub.ledger.shown.get(question.name)
            if job is None:
                return JSONResponse({"error": "there is no such job here"}, 404)
            sample = await hub.samples.ask(self.show.asker(request), job, question.prompt)
        except MisuseError:
            raise
        except GemtuneError as error:
            return JSONResponse({"error": str(error)}, status_of(error))
        hub.tell("sample", {"name": question.name, **attrs.asdict(sample)})
        return Response(dumped(attrs.asdict(sample)), media_type="application/json")

    def _file(self, name: str) -> Response:
        file = self.files.get(name)
        if file is None:
            return JSONResponse({"error": "there is no such file"}, 404)
        return Response(file.content, media_type=file.kind)


async def _messages(hub: Hub, seen: int | None, end: StreamEnd) -> AsyncIterator[bytes]:
    with hub.listening():
        hub.catch_up()
        if seen is None:
            seen = hub.ledger.version
            yield _everything(hub)
        while not (end.came or hub.over):
            version = hub.ledger.version
            if not hub.ledger.remembers(seen):  # so much has changed since it took the last message
                yield _everything(hub)
            elif said := _changes(hub, seen):
                yield said
            seen = version
            with end.ends_waiting():
                await hub.news(seen)


def _everything(hub: Hub) -> bytes:
    ledger = hub.ledger
    return message(dumped(hub.whole()), event="jobs", id=ledger.identity(ledger.version), retry=_RETRY)


def _changes(hub: Hub, seen: int) -> bytes:
    """Return what changed after a version; only the last message says up to where."""
    late, identity = list(hub.ledger.since(seen)), hub.ledger.identity(hub.ledger.version)
    said = [message(each.data, event=each.event) for each in late[:-1]]
    said += [message(each.data, event=each.event, id=identity) for each in late[-1:]]
    return b"".join(said)


def _beat() -> ServerSentEvent:
    return ServerSentEvent(dumped({"now": time.time()}), event="beat", sep="\n")


async def _unavailable(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503)
