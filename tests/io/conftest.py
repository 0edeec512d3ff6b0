"""Servers that speak bytes: each runs in a thread of its own, so that it serves asyncio and trio alike."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from gemtune.http.wire import Wire

Handler = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One accepted connection, as a handler sees it."""

    def __init__(self, server: "Server", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.number = server.accepted

    async def request(self) -> bytes | None:
        """Read one whole request; None at the end of the connection."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            request = head + await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self.server.requests.append(request)
        return request

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with a TCP reset instead of a FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    """A listening socket and what came in."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None, port: Future[int]) -> None:
        self.handler = handler
        self.tls = tls
        self.requests: list[bytes] = []
        self.accepted = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self._port = port
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stop: asyncio.Event | None = None

    @property
    def origin(self) -> str:
        scheme, host = ("https", "localhost") if self.tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}"

    async def run(self) -> None:
        self.loop, self.stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls, limit=1 << 20)
        self._port.set_result(server.sockets[0].getsockname()[1])
        await self.stop.wait()
        await self._settle()  # connections just accepted get their handler
        server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self._settle()
        await self._let_go()

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def _let_go(self) -> None:
        """Close every connection, those that are still in their TLS handshake or take leave of their peer as well.

        They close in callbacks, which a loop that is closed meanwhile would forget.
        """
        while left := [each for each in self.loop._transports.values() if each._sock is not None]:
            for transport in left:
                transport.abort()
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.ensure_future(self._handle(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await self.handler(Connection(self, reader, writer))
        writer.close()


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server: ``serve(handler)``, or with ``tls=`` a server-side SSL context."""
    running: list[tuple[Server, threading.Thread]] = []

    def start(handler: Handler, tls: ssl.SSLContext | None = None) -> Server:
        port: Future[int] = Future()
        server = Server(handler, tls, port)
        thread = threading.Thread(target=lambda: asyncio.run(server.run()))
        thread.start()
        server.port = port.result(5)
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        assert server.loop is not None
        assert server.stop is not None
        server.loop.call_soon_threadsafe(server.stop.set)
        thread.join(5)


def _reply(body: bytes = b"{}", *headers: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % (len(body) if length is None else length), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _answering(*replies: bytes) -> Handler:
    """A handler that sends the same bytes for every request, or these replies in turn on each connection."""

    async def handle(connection: Connection) -> None:
        turn = 0
        while await connection.request() is not None:
            await connection.send(replies[min(turn, len(replies) - 1)])
            turn += 1

    return handle


@pytest.fixture
def reply() -> Callable[..., bytes]:
    """A function that writes a reply with a Content-Length."""
    return _reply


@pytest.fixture
def answering() -> Callable[..., Handler]:
    """A function that makes a handler which answers every request."""
    return _answering


@pytest.fixture
def echo() -> Handler:
    """A handler that answers every request with its target."""

    async def handle(connection: Connection) -> None:
        while (request := await connection.request()) is not None:
            await connection.send(_reply(request.split(b" ", 2)[1]))

    return handle


@pytest.fixture
async def wire_to() -> Any:
    """A function that makes a wire to an origin or a server; all are closed in the end."""
    wires: list[Wire] = []

    def make(origin: Any, **options: Any) -> Wire:
        wires.append(Wire(getattr(origin, "origin", origin), **options))
        return wires[-1]

    yield make
    for wire in wires:
        await wire.aclose()
