"""A server for the dashboard's page on which a test plays what it wants: files, a stream of events, answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import gemtune
from gemtune.show.picture import BatchPicture, JobPicture

STATIC = Path(gemtune.__file__).parent / "web" / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def encoded(picture: JobPicture, before: JobPicture | None = None) -> dict[str, object]:
    """Return a picture as the page gets it, which has seen another one before."""
    said: dict[str, Any] = {**picture.to_dict(), "at": time.time()}
    for name in ("losses", "eval_losses"):
        kept = 0
        if before is not None and list(getattr(picture, name)[: len(getattr(before, name))]) == list(
            getattr(before, name)
        ):
            kept = len(getattr(before, name))
        said[name] = {"kept": kept, **{key: values[kept:] for key, values in said[name].items()}}
    return said


class Stage:
    """What the page is told, as docs/dashboard.md says.

    Args:
        jobs: Pictures of jobs.
        batches: Pictures of batches, by id.
    """

    def __init__(self, jobs: Iterable[JobPicture] = (), batches: Mapping[str, BatchPicture] | None = None) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.batches = dict(batches or {})
        self.samples: dict[str, list[dict[str, object]]] = {}
        self.service: dict[str, object] = {"outage": False, "trouble": ""}
        self.asked: list[dict[str, str]] = []
        self.refuses = ""
        self._listeners: set[asyncio.Queue[tuple[str, object] | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def tell(self, kind: str, value: object) -> None:
        """Send an event to all pages; from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._spread, (kind, value))

    def _spread(self, told: tuple[str, object] | None) -> None:
        for queue in self._listeners:
            queue.put_nowait(told)

    def change(self, *pictures: JobPicture) -> None:
        """Tell of jobs that have changed, of their curves only what is new."""
        for picture in pictures:
            self.tell("job", encoded(picture, self.jobs.get(picture.name)))
            self.jobs[picture.name] = picture

    def fail(self, trouble: str) -> None:
        """Tell of an outage, or that it is over."""
        self.service = {"outage": bool(trouble), "trouble": trouble}
        self.tell("service", self.service)

    def whole(self) -> dict[str, object]:
        now = time.time()
        return {
            "now": now,
            "options": {"allow_asking": True, "version": "0.1.0"},
            "jobs": [encoded(job) for job in self.jobs.values()],
            "batches": [{"id": name, "at": now, **batch.to_dict()} for name, batch in self.batches.items()],
            "samples": self.samples,
            "service": self.service,
        }

    async def everything(self, request: Request) -> Response:
        return PlainTextResponse(self.refuses, 401) if self.refuses else JSONResponse(self.whole())

    async def events(self, request: Request) -> Response:
        if self.refuses:
            return PlainTextResponse(self.refuses, 401)

        async def stream() -> AsyncIterator[dict[str, Any]]:
            self._loop = asyncio.get_running_loop()
            queue: asyncio.Queue[tuple[str, object] | None] = asyncio.Queue()
            self._listeners.add(queue)
            try:
                yield {"event": "jobs", "data": json.dumps(self.whole()), "retry": 300}
                while told := await queue.get():
                    yield {"event": told[0], "data": json.dumps(told[1])}
            finally:
                self._listeners.discard(queue)

        return EventSourceResponse(stream())

    async def ask(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        if request.headers.get("x-gemtune") != "1":
            return JSONResponse({"error": "no"}, 403)
        sample = {"prompt": body["prompt"], "answer": f"An answer to: {body['prompt']}", "note": ""}
        self.tell("sample", {"name": body["name"], **sample})
        return JSONResponse(sample)

    def app(self) -> Starlette:
        async def page(request: Request) -> Response:
            return FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": POLICY})

        routes = [
            Route("/", page),
            Route("/api/jobs", self.everything),
            Route("/api/events", self.events),
            Route("/api/ask", self.ask, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        return Starlette(routes=routes)

    @contextlib.contextmanager
    def served(self, port: int = 0) -> Iterator[str]:
        """Serve it; the value is its address."""
        server = uvicorn.Server(uvicorn.Config(self.app(), port=port, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the stage did not start"
                thread.join(0.01)
            (socket,) = server.servers[0].sockets
            yield f"http://127.0.0.1:{socket.getsockname()[1]}/"
        finally:
            if self._loop is not None:  # the streams end first: a server waits for them
                self._loop.call_soon_threadsafe(self._spread, None)
            server.should_exit = True
            thread.join(10)
