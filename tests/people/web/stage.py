"""A server for the dashboard's page on which a test plays what it wants: the page's files, a stream of events, answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import gemtune

STATIC = Path(gemtune.__file__).parent / "web" / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class Stage:
    """What the page is told.

    Args:
        jobs: Pictures of jobs.
        batches: Pictures of batches, by id.
    """

    def __init__(self, jobs: Any = (), batches: Any = None) -> None:
        self.jobs = {job.name: job.to_dict() for job in jobs}
        self.batches = {name: {"id": name, **picture.to_dict()} for name, picture in (batches or {}).items()}
        self.outages: list[dict[str, object]] = []
        self.about: dict[str, object] = {"version": "0.1.0", "ask": True}
        self.asked: list[dict[str, str]] = []
        self._listeners: set[asyncio.Queue[tuple[str, object] | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def tell(self, kind: str, value: object) -> None:
        """Send an event to all pages; from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._spread, kind, value)

    def _spread(self, kind: str, value: object) -> None:
        for queue in self._listeners:
            queue.put_nowait((kind, value))

    def change(self, *pictures: Any) -> None:
        """Tell of jobs that have changed."""
        values = [picture.to_dict() for picture in pictures]
        self.jobs |= {value["name"]: value for value in values}
        self.tell("jobs", values)

    def outage(self, *outages: dict[str, object]) -> None:
        """Tell of outages."""
        self.outages = list(outages)
        self.tell("outages", self.outages)

    def state(self) -> dict[str, object]:
        return {
            "jobs": list(self.jobs.values()),
            "batches": list(self.batches.values()),
            "outages": self.outages,
            "about": self.about,
        }

    async def events(self, request: Request) -> Response:
        async def stream() -> AsyncIterator[dict[str, Any]]:
            self._loop = asyncio.get_running_loop()
            queue: asyncio.Queue[tuple[str, object] | None] = asyncio.Queue()
            self._listeners.add(queue)
            try:
                yield {"event": "state", "data": json.dumps(self.state()), "retry": 300}
                while told := await queue.get():
                    yield {"event": told[0], "data": json.dumps(told[1])}
            finally:
                self._listeners.discard(queue)

        return EventSourceResponse(stream())

    async def ask(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        return JSONResponse({"prompt": body["prompt"], "answer": f"An answer to: {body['prompt']}"})

    def app(self) -> Starlette:
        async def page(request: Request) -> Response:
            return FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": POLICY})

        routes = [
            Route("/", page),
            Route("/events", self.events),
            Route("/ask", self.ask, methods=["POST"]),
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
            yield "http://127.0.0.1:{}/".format(socket.getsockname()[1])
        finally:
            if self._loop is not None:  # the streams end first: a server waits for them
                self._loop.call_soon_threadsafe(lambda: [queue.put_nowait(None) for queue in self._listeners])
            server.should_exit = True
            thread.join(10)
