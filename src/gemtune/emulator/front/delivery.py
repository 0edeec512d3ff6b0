"""How the bytes of a reply get to the caller: whole, slowly, in part, or not at all."""

from __future__ import annotations

import asyncio
import http.client
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import anyio.to_thread
import attrs

from gemtune.emulator.front.replies import header_lines
from gemtune.emulator.messages.contents import MIB
from gemtune.emulator.messages.http import HttpReply
from gemtune.emulator.world.clock import Clock

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONNECTION = "gemtune.connection"  # where serve.py puts the connection into the scope's extensions


@attrs.define(eq=False)
class Connection:
    """A caller's connection, for what HTTP has no words for.

    Args:
        transport: it.
        doomed: reset it when the next request comes.
    """

    transport: asyncio.Transport
    doomed: bool = False

    def write(self, data: bytes) -> None:
        """Send bytes that are no part of an HTTP reply."""
        self.transport.write(data)

    def close(self, after: float = 0.0) -> None:
        """Close it properly, after what was written.

        Args:
            after: seconds for the reply to arrive while the caller is still sending: a close with unread bytes is a
                reset, which may overtake it. Meanwhile nothing more is read.
        """
        if after:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(after, self.transport.close)
        else:
            self.transport.close()

    def reset(self) -> None:
        """Break it off: the peer sees a reset, after what was written."""
        peer = self.transport.get_extra_info("socket")
        # SO_LINGER of zero: close() sends RST instead of FIN, which is what a crashed proxy looks like.
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def connection_of(scope: Scope) -> Connection | None:
    """Return the connection on which a request came; None in process."""
    found: Connection | None = (scope.get("extensions") or {}).get(CONNECTION)
    return found


async def deliver(reply: HttpReply, scope: Scope, receive: Receive, send: Send, clock: Clock, pause: float) -> None:
    """Send a reply, or what a fault leaves of it.

    Args:
        reply: what to send.
        scope: of the request.
        receive: of the request.
        send: of the request.
        clock: for pauses and for the reply's date.
        pause: seconds between two pieces of a stream.
    """
    try:
        await _deliver(reply, scope, receive, send, clock, pause)
    finally:  # whoever hangs up leaves a file open, and so does a fault
        if reply.file is not None:
            reply.file.file.close()


async def _deliver(reply: HttpReply, scope: Scope, receive: Receive, send: Send, clock: Clock, pause: float) -> None:
    headers = header_lines(reply.headers, clock.now())
    # These write on the connection past the HTTP server, which would refuse to send anything malformed.
    if reply.breaks:
        await _break(reply, headers, scope, receive)
        return
    if reply.status:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        wait, first = reply.pace[1] if reply.pace else pause, True
        async for chunk in _pieces(reply):
            if wait and not first:
                await clock.sleep(wait)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            first = False
    if reply.drop:
        await drop(scope, receive)
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    connection = connection_of(scope)
    if connection and reply.then == "close":
        connection.close()
    elif connection and reply.then == "reset":
        connection.doomed = True


async def _pieces(reply: HttpReply) -> AsyncIterator[bytes]:
    if reply.file is not None:
        size = reply.pace[0] if reply.pace else MIB
        for start in range(0, reply.file.size, size):
            yield await anyio.to_thread.run_sync(reply.file.read, start, size)
    elif reply.pace is None:
        for chunk in reply.chunks:
            yield chunk
    else:
        body = b"".join(reply.chunks)
        for start in range(0, len(body), reply.pace[0]):
            yield body[start : start + reply.pace[0]]


async def _break(reply: HttpReply, headers: list[tuple[bytes, bytes]], scope: Scope, receive: Receive) -> None:
    connection = connection_of(scope)
    if connection is None:
        raise ConnectionResetError("the emulator broke the reply off, as a fault told it to")
    body = b"".join(reply.chunks)
    if reply.file is not None:
        body = await anyio.to_thread.run_sync(reply.file.read, 0, reply.file.size)
    framing = (b"connection", b"close") if reply.cut == "end" else (b"content-length", b"%d" % len(body))
    phrase = http.client.responses.get(reply.status, "")
    headers = [each for each in headers if each[0] != b"content-length"]
    lines = [f"HTTP/1.1 {reply.status} {phrase}".encode(), *map(b": ".join, [*headers, framing])]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if reply.exact is not None:
        connection.write(reply.exact)
    elif reply.cut == "headers":
        connection.write(head[: len(head) // 2])
    elif reply.cut != "reply":
        connection.write(head + body[: len(body) // 2])
    if reply.cut in ("reply", "headers", "body"):
        connection.reset()
    else:
        connection.close()
    await _gone(receive)


async def drop(scope: Scope, receive: Receive) -> None:
    """Close the connection under the caller. In process there is none, and the caller gets the error at once."""
    connection = connection_of(scope)
    # In process there is no connection to close: the caller's transport raises what a socket would have raised.
    if connection is None:
        raise ConnectionResetError("the emulator dropped the connection, as a fault told it to")
    connection.transport.abort()
    await _gone(receive)


async def refuse(connection: Connection, receive: Receive) -> None:
    """Reset a connection on which a request has come, without reading it."""
    connection.reset()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
