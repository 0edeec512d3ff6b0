"""Sweeps that are played against the emulator, on both services, with faults and kills at any request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import attrs
import httpx

import gemtune
from gemtune.emulator import Emulator
from gemtune.emulator.vertex.shelf import shelf_of
from gemtune.sweep import PointCurve
from vertex.service import BASE as VERTEX_BASE
from vertex.service import put
from world import BASE, TOKEN, make_app

ROWS = [(f"question {at} about item {at * 7}", f"answer {at % 5}") for at in range(16)]


class Gemini:
    """The Gemini API."""

    name, base, creation, cancellation = "gemini", BASE, "/tunedModels", ":cancel"

    @staticmethod
    def app(places: int | None = None, **options: Any) -> Emulator:
        return make_app(**({"step_seconds": 1.0, "queue_seconds": 0.1, "max_concurrent_jobs": places} | options))

    @staticmethod
    def client(app: Emulator, transport: httpx.AsyncBaseTransport | None = None, **options: Any) -> gemtune.Client:
        inner = transport or httpx.ASGITransport(app)
        return gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, project="p", transport=inner, **options)

    @staticmethod
    def jobs(app: Emulator) -> list[str]:
        """Return the ids of all jobs that were ever created."""
        return sorted(app.store.tuned_models)

    @staticmethod
    def is_creation(request: httpx.Request) -> bool:
        return request.method == "POST" and request.url.path.endswith("/tunedModels")


class Vertex:
    """Vertex AI."""

    name, base = "vertex", VERTEX_BASE

    @staticmethod
    def app(places: int | None = None, **options: Any) -> Emulator:
        said = {"vertex_quota": "refuse"} if places is not None else {}
        app = make_app(
            **({"step_seconds": 1.0, "queue_seconds": 0.1, "vertex_concurrent_jobs": places} | said | options)
        )
        put(app)  # which makes the bucket
        return app

    @staticmethod
    def client(app: Emulator, transport: httpx.AsyncBaseTransport | None = None, **options: Any) -> gemtune.Client:
        return gemtune.Client(
            vertexai=True, location="us-central1", project="my-project", bucket="my-bucket", token=TOKEN,
            base_url="http://127.0.0.1", transport=transport or httpx.ASGITransport(app), **options,
        )  # fmt: skip

    @staticmethod
    def jobs(app: Emulator) -> list[str]:
        """Return the labels of all jobs that were ever created."""
        return sorted(job.labels["gemtune-id"] for job in shelf_of(app.store).jobs.values())

    @staticmethod
    def is_creation(request: httpx.Request) -> bool:
        return request.method == "POST" and request.url.path.endswith("/tuningJobs")


FACES = (Gemini, Vertex)


def is_cancellation(request: httpx.Request) -> bool:
    return request.method == "POST" and request.url.path.endswith(":cancel")


class GiveUp:
    """A rule that gives some points up at a step."""

    def __init__(self, *numbers: int, step: int = 3) -> None:
        self.numbers, self.step = numbers, step

    def verdict(self, curve: PointCurve, others: Any) -> str | None:
        del others
        last = curve.losses[-1][0] if curve.losses else 0
        return f"the test says so at step {last}" if curve.number in self.numbers and last >= self.step else None


@attrs.define
class Wire(httpx.AsyncBaseTransport):
    """Lets requests through to the emulator, counts them, and does to some what a test says.

    ``trouble`` is asked for each request, with how many there were of its kind; it returns None, or what is done.
    """

    app: Emulator
    trouble: Callable[[str, int], str | None] = lambda _kind, _count: None
    inner: httpx.AsyncBaseTransport = attrs.field(init=False)
    seen: Counter[str] = attrs.field(factory=Counter)
    times: list[tuple[float, str]] = attrs.field(factory=list)
    on_kill: Callable[[], None] = lambda: None
    dead: bool = False

    def __attrs_post_init__(self) -> None:
        self.inner = httpx.ASGITransport(self.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.dead:
            await anyio.sleep_forever()
        kind = kind_of(request)
        self.seen[kind] += 1
        self.times.append((anyio.current_time(), kind))
        what = self.trouble(kind, self.seen[kind])
        match what:
            case None:
                return await self.inner.handle_async_request(request)
            case "kill before":
                self.on_kill()
                await anyio.sleep_forever()
            case "kill after":
                await self._carried_out(request)
                self.on_kill()
                await anyio.sleep_forever()
            case "lost":
                await self._carried_out(request)
                raise httpx.ReadError("Connection reset by peer")
            case "refused":
                raise httpx.ConnectError("Connection refused")
            case "429 at last":
                await anyio.sleep(10)
                return answer(429, "RESOURCE_EXHAUSTED", "Quota exceeded for concurrent tuning jobs")
            case "503":
                return answer(503, "UNAVAILABLE", "The model is overloaded.")
            case "503 after":
                await self._carried_out(request)
                return answer(503, "UNAVAILABLE", "The model is overloaded.")
        status, word, text = what.split(" ", 2)
        return answer(int(status), word, text)

    async def _carried_out(self, request: httpx.Request) -> None:
        with anyio.CancelScope(shield=True):
            reply = await self.inner.handle_async_request(request)
            await reply.aread()


def answer(status: int, word: str, text: str) -> httpx.Response:
    body = {"error": {"code": status, "status": word, "message": text}}
    return httpx.Response(status, content=json.dumps(body), headers={"content-type": "application/json"})


def kind_of(request: httpx.Request) -> str:
    if Gemini.is_creation(request) or Vertex.is_creation(request):
        return "create"
    if is_cancellation(request):
        return "cancel"
    if request.url.path.endswith((":generateContent", ":streamGenerateContent")):
        return "ask"
    if "/upload/" in request.url.path:
        return "upload"
    return "storage" if request.url.path.startswith("/storage/") else "look"


async def kinds(sweep: gemtune.sweep.sweep.Sweep) -> list[str]:
    """Run a sweep to its end, and return its events but for progress."""
    return [f"{event.kind} {event.point.number}" async for event in sweep if event.kind != "point_progress"]
