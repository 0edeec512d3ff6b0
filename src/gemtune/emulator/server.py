"""The HTTP server under an emulator: uvicorn, with a socket of our own and bounds on connections.

uvicorn waits for ever for the first request of a connection, for the rest of a head that has begun, and for the rest
of a body that nobody reads any more. Here all three are the same thing, a connection on which no request is being
answered, and it is closed after ``idle_seconds``. When there are ``max_connections``, a new one takes the place of
the one that has been so for longest: silent connections never keep others out.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.emulator.app import Emulator
from gemtune.emulator.front.delivery import CONNECTION, Connection

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

_MISSING = "the emulator needs uvicorn to listen on a socket: pip install 'gemtune[emulator]'"


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; raises OSError or OverflowError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Bound here and not by uvicorn: with port 0 the address must be known before it serves.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio: TCP_NODELAY only if told
    if os.name == "posix":  # elsewhere the option lets two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def make_server(
    app: Emulator, certfile: str | None, keyfile: str | None, on_ready: Callable[[], object]
) -> uvicorn.Server:
    """Return a server that calls back once it accepts connections; raises ImportError without uvicorn."""
    try:
        import uvicorn
    except ImportError as error:
        raise ImportError(_MISSING) from error

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - of uvicorn
            # uvicorn raises the signal again when all is closed: SIGTERM would then kill a process that has ended well.
            self.should_exit = True

    config = uvicorn.Config(
        app, http=_protocol(app), ws="none", loop="asyncio", lifespan="off", interface="asgi3", log_config=None,
        log_level="warning", access_log=False, server_header=False, date_header=False, backlog=2048,
        timeout_keep_alive=max(1, round(app.settings.idle_seconds)), timeout_graceful_shutdown=1,
        ssl_certfile=certfile, ssl_keyfile=keyfile,
    )  # fmt: skip
    return Server(config)


@attrs.define
class _Crowd:
    """The open connections, the one that was last busy longest ago first; uvicorn's own set has closed ones as well."""

    limit: int
    open: dict[H11Protocol, None] = attrs.field(factory=dict)

    def admit(self, connection: H11Protocol) -> None:
        """Take in a connection, in place of an idle one if there is no room; refuse it if all are busy."""
        if len(self.open) >= self.limit:
            oldest = next(filter(_is_idle, self.open), connection)
            self.open.pop(oldest, None)
            oldest.transport.abort()
            if oldest is connection:
                return
        self.open[connection] = None

    def move_back(self, connection: H11Protocol) -> None:
        """Note that a connection has just been busy."""
        if connection in self.open:
            self.open[connection] = self.open.pop(connection)


def _is_idle(connection: H11Protocol) -> bool:
    return connection.cycle is None or connection.cycle.response_complete


def _protocol(app: Emulator) -> type[asyncio.Protocol]:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    settings = app.settings
    crowd = _Crowd(settings.max_connections)

    class Protocol(H11Protocol):
        """HTTP/1.1 that lets the application reach its own connection, and does not wait for ever."""

        idle_since: float
        watching: asyncio.TimerHandle

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            inner, connection = self.app, Connection(transport)

            async def with_connection(scope: Any, receive: Any, send: Any) -> None:
                scope.setdefault("extensions", {})[CONNECTION] = connection
                await inner(scope, receive, send)

            self.app = with_connection
            self.idle_since = self.loop.time()
            self.watching = self.loop.call_later(settings.idle_seconds, self.watch)
            crowd.admit(self)

        def connection_lost(self, exc: Exception | None) -> None:
            self.watching.cancel()
            crowd.open.pop(self, None)
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            self.idle_since = self.loop.time()
            crowd.move_back(self)
            super().on_response_complete()

        def watch(self) -> None:
            """Close the connection if it has been idle for long; otherwise look again when it could have been."""
            idle = self.loop.time() - self.idle_since if _is_idle(self) else 0.0
            if idle >= settings.idle_seconds:
                self.transport.abort()
            else:
                self.watching = self.loop.call_later(settings.idle_seconds - idle, self.watch)

    return Protocol
