"""A visitor of an ASGI application, without a socket: sees a stream message by message, and may stop reading."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import httpx

LOCAL = "http://127.0.0.1:8000"


def browser(app: Any, base: str = LOCAL, client: tuple[str, int] = ("127.0.0.1", 50_000)) -> httpx.AsyncClient:
    """What asks an application and waits for the whole reply."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=client), base_url=base)


@attrs.frozen
class Told:
    """One message of a stream."""

    event: str
    data: Any
    id: str
    size: int


@attrs.define
class Listener:
    """One open stream: what was sent, and whether more is taken."""

    status: int = 0
    headers: dict[str, str] = attrs.field(factory=dict)
    done: bool = False
    size: int = 0
    taking: anyio.Event = attrs.field(factory=anyio.Event)
    _text: str = ""
    _told: list[Told] = attrs.field(factory=list)
    _came: anyio.Event = attrs.field(factory=anyio.Event)

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            await self.taking.wait()
            self.size += len(message.get("body", b""))
            self._text += message.get("body", b"").decode()
            self.done = not message.get("more_body", False)
            streamed = "event-stream" in self.headers.get("content-type", "")
            *whole, self._text = self._text.split("\n\n") if streamed else [""]
            self._told += [told(each) for each in whole if not each.startswith(":")]
        self._came.set()

    async def next(self, *events: str) -> Told:
        """The next message, of one of some names if they are given."""
        while True:
            while self._told:
                found = self._told.pop(0)
                if not events or found.event in events:
                    return found
            if self.done:
                raise EOFError
            self._came = anyio.Event()
            await self._came.wait()

    async def all(self) -> list[Told]:
        """What comes until the end."""
        found = []
        try:
            while True:
                found.append(await self.next())
        except EOFError:
            return found


def told(text: str) -> Told:
    fields = dict(line.split(": ", 1) for line in text.split("\n"))
    data = json.loads(fields["data"]) if "data" in fields else None
    return Told(fields.get("event", ""), data, fields.get("id", ""), len(text) + 2)


@asynccontextmanager
async def listening(
    app: Any,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    taking: bool = True,
    state: dict[str, Any] | None = None,
) -> AsyncIterator[Listener]:
    """Open a stream for the length of the block; leaving it is what a browser does that goes away."""
    listener, gone = Listener(), anyio.Event()
    if taking:
        listener.taking.set()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "state": state or {},
        "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 50_000),
        "headers": [(k.lower().encode(), v.encode()) for k, v in {"host": "127.0.0.1:8000", **(headers or {})}.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await app(scope, receive, listener.send)
            listener.done = True
            listener._came.set()

        tasks.start_soon(run)
        yield listener
        gone.set()
