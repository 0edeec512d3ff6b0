"""A client and the emulator in one process, on one virtual clock: no socket, no thread, no waiting."""

import time
from collections.abc import Iterable
from typing import Any

import anyio
import attrs
import httpx

import gemtune
from gemtune.cli.demo.tutorial import EXAMPLES
from gemtune.emulator import Emulator, create_app

__all__ = ["BASE", "EXAMPLES", "TOKEN", "LoopClock", "collect", "make_app", "make_client", "sent"]

BASE = "models/gemini-1.0-pro-001"
TOKEN = "ya29.token-of-the-tests"


@attrs.define
class LoopClock:
    """The event loop's clock as the emulator's: in virtual time, both are virtual."""

    _origin: int = attrs.field(factory=time.time_ns)
    _started: float | None = None

    def now(self) -> int:
        now = anyio.current_time()
        if self._started is None:
            self._started = now
        return self._origin + round((now - self._started) * 1e9)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


def make_app(**options: Any) -> Emulator:
    return create_app(clock=LoopClock(), **options)


def make_client(app: Any, **options: Any) -> gemtune.Client:
    options = {"token": TOKEN, "project": "my-project"} | options
    return gemtune.Client(base_url="http://127.0.0.1", transport=httpx.ASGITransport(app), **options)


def sent(app: Emulator, method: str | None = None) -> list[Any]:
    """Return the requests that reached the emulator, of one method or all."""
    return [entry for entry in app.requests if method is None or entry.method == method]


async def collect(events: Iterable[Any]) -> list[Any]:
    return [event async for event in events]
