"""Exchanges over any httpx transport: one of the user's, or httpx's own, which trio needs."""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

import anyio
import attrs

from gemtune.http._httpx import httpx
from gemtune.http.engines.body import Incoming, Reply, collect

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

GRACE = 0.025
"""Seconds by which the wall around an exchange is wider than the transport's own limits: those break off cleanly."""
PATIENCE = 5.0
"""Seconds that closing a pool or a reply may take once nobody waits for it."""


class _HttpxIncoming:
    """A reply of an httpx transport as Incoming: the raw bytes, not what httpx would make of them."""

    def __init__(self, response: httpx.Response, idle: float = math.inf) -> None:
        self._idle = idle
        self._stream = cast("httpx.AsyncByteStream", response.stream)
        self._chunks: AsyncIterator[bytes] | None = None
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        if self._chunks is None:
            self._chunks = aiter(self._stream)
        # One wall around each wait: transports of the user's own need not keep to the limits they are handed.
        with anyio.fail_after(self._idle):
            while (chunk := await anext(self._chunks, None)) is not None:
                if chunk:
                    return chunk
        return b""

    async def aclose(self) -> None:
        # Shielded, because it runs after cancellations too, when nothing else would give the connection back.
        with anyio.move_on_after(PATIENCE, shield=True):
            await _finish(self._chunks)
            await self._stream.aclose()

    def close(self) -> None:
        if isinstance(self._stream, _Lease):
            self._stream.abandon()


class _Body(httpx.AsyncByteStream):
    """A request's body in one piece; httpx's own is a generator, which a cancellation leaves half read."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._read = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Body(self._body)  # from its beginning, for a transport that sends it again

    async def __anext__(self) -> bytes:
        if self._read:
            raise StopAsyncIteration
        self._read = True
        return self._body


@attrs.define(eq=False)
class ForeignEngine:
    """Exchanges over an httpx transport, each inside one wall of time.

    Args:
        transport: The transport; it is closed together with the engine, as httpx's own client does.
        connect_timeout: Seconds for making a connection, which the transport is asked to keep to.
    """

    transport: httpx.AsyncBaseTransport
    connect_timeout: float = 10.0

    def _request(self, method: str, url: str, headers: Headers, body: bytes | None, timeout: float) -> httpx.Request:
        # Only what we can inflate in bounded steps; httpx itself would offer br and zstd where they are installed.
        pairs = [*(headers.items() if isinstance(headers, Mapping) else headers)]
        if all(name != "accept-encoding" for name, _ in pairs):
            pairs.insert(0, ("accept-encoding", "gzip"))
        waits = {"connect": min(self.connect_timeout, timeout), "read": timeout, "write": timeout, "pool": timeout}
        request = httpx.Request(method, url, headers=pairs, content=body, extensions={"timeout": waits})
        if body:
            request.stream = _Body(body)  # as content=, it would be sent in chunks and without its length
        return request

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes | None,
        *,
        timeout: float,
        max_body: int,
    ) -> Reply:
        """Send one request and read its whole reply."""
        request = self._request(method, url, headers, body, timeout)
        with anyio.fail_after(timeout + GRACE):
            incoming = _HttpxIncoming(await self.transport.handle_async_request(request))
            try:
                return Reply(incoming.status, incoming.headers, await collect(incoming, max_body))
            finally:
                await incoming.aclose()

    async def open(
        self, method: str, url: str, headers: Headers, body: bytes | None, *, timeout: float, idle: float
    ) -> Incoming:
        """Send one request and return once the head of its reply has arrived."""
        request = self._request(method, url, headers, body, timeout)
        # The silence between two events may be longer than the time until the first.
        request.extensions["timeout"]["read"] = max(timeout, idle)
        with anyio.fail_after(timeout + GRACE):
            return _HttpxIncoming(await self.transport.handle_async_request(request), idle)

    def open_connections(self) -> int:
        return 0  # httpx's interface does not say

    async def aclose(self) -> None:
        """Close the transport."""
        await self.transport.aclose()

    async def abandon(self) -> None:
        """Close the transport from another event loop, as far as it lets itself be closed there."""
        with anyio.move_on_after(PATIENCE), suppress(Exception):
            await self.transport.aclose()


@attrs.define(eq=False)
class Borrowed(httpx.AsyncBaseTransport):
    """A transport that several engines share, and that somebody else closes."""

    lender: httpx.AsyncBaseTransport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.lender.handle_async_request(request)

    async def aclose(self) -> None:
        """Leave it open."""


def httpx_pool(
    *, ssl_context: ssl.SSLContext | None, proxy: str | None, max_connections: int, keepalive: float
) -> httpx.AsyncHTTPTransport:
    """Return httpx's own connection pool, set up as our engine is."""
    return httpx.AsyncHTTPTransport(
        verify=ssl_context if ssl_context is not None else False,  # None: http on this machine, no TLS at all
        proxy=proxy,
        trust_env=False,
        limits=httpx.Limits(max_connections=max_connections, keepalive_expiry=keepalive),
    )


async def _finish(chunks: object) -> None:
    # A generator left to the garbage collector would close its connection at some later time, or never.
    if isinstance(chunks, AsyncGenerator):
        await chunks.aclose()


@attrs.define(eq=False)
class _Pool:
    """One pool and the number of exchanges in it."""

    transport: httpx.AsyncBaseTransport
    users: int = 0
    retired: bool = False


class _Lease(httpx.AsyncByteStream):
    """A reply's body: it gives its place in the pool back, and retires the pool unless read to its end."""

    def __init__(self, owner: RecyclingTransport, pool: _Pool, stream: httpx.AsyncByteStream) -> None:
        self._owner = owner
        self._pool = pool
        self._stream = stream
        self._chunks: Any = None
        self._complete = False
        self._returned = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._chunks = aiter(self._stream)
        return self

    async def __anext__(self) -> bytes:
        try:
            return cast("bytes", await anext(self._chunks))
        except StopAsyncIteration:
            self._complete = True
            raise

    async def aclose(self) -> None:
        if self._returned:
            return
        normal = False
        try:
            await _finish(self._chunks)
            await self._stream.aclose()
            normal = self._complete
        finally:
            self.abandon(normal=normal)
            await self._owner.bury()

    def abandon(self, *, normal: bool = False) -> None:
        if not self._returned:
            self._returned = True
            self._owner.leave(self._pool, normal=normal)


@attrs.define(eq=False)
class RecyclingTransport(httpx.AsyncBaseTransport):
    """httpx's pool made safe: a broken-off exchange can poison it (httpcore #1093), so it is replaced.

    Args:
        make: Returns a fresh pool.
        capacity: Most exchanges at a time; the pool itself never queues.
    """

    make: Callable[[], httpx.AsyncBaseTransport] = attrs.field(repr=False)
    capacity: int = 100
    _places: anyio.Semaphore = attrs.field(init=False, repr=False)
    _current: _Pool | None = attrs.field(default=None, init=False, repr=False)
    _dead: list[_Pool] = attrs.field(factory=list, init=False, repr=False)

    @_places.default
    def _make_places(self) -> anyio.Semaphore:
        return anyio.Semaphore(self.capacity, max_value=self.capacity)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass one request to the current pool, when a place is free."""
        # Waiting happens here and never in the pool, whose queue is what a cancellation damages.
        await self._places.acquire()
        pool = self._current = self._current or _Pool(self.make())
        pool.users += 1
        try:
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            self.leave(pool, normal=False)
            await self.bury()
            raise
        stream = _Lease(self, pool, cast("httpx.AsyncByteStream", response.stream))
        return httpx.Response(response.status_code, headers=response.headers, stream=stream)

    def leave(self, pool: _Pool, *, normal: bool) -> None:
        """End one exchange; after any other than a normal end nobody enters its pool again."""
        self._places.release()
        pool.users -= 1
        if not normal and not pool.retired:
            pool.retired = True  # those who are in it may finish; nobody new comes in
            self._current = None if self._current is pool else self._current
        if pool.retired and not pool.users:
            self._dead.append(pool)

    async def bury(self) -> None:
        """Close the pools that nobody uses any more."""
        while self._dead:
            with anyio.move_on_after(PATIENCE, shield=True):
                await self._dead.pop().transport.aclose()

    async def aclose(self) -> None:
        """Close the current pool and all retired ones."""
        if self._current is not None:
            self._dead.append(self._current)
            self._current = None
        await self.bury()
