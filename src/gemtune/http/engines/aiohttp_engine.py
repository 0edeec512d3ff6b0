"""The default engine on asyncio: aiohttp behind httpx's transport interface.

httpx's own pool does not scale and does not survive every cancellation (httpcore #1093); aiohttp does both.
The engine gets one thing right that ready-made bridges do not: whether the server may have seen the request.
Nothing left this machine: ``ConnectError``, ``ConnectTimeout``, ``ProxyError``. The server may have acted:
``ReadError``, ``ReadTimeout``, ``RemoteProtocolError``.
"""

from __future__ import annotations

import asyncio
import functools
import io
import math
import ssl
import weakref
from collections.abc import AsyncIterator, Iterable, Mapping
from http.cookies import BaseCookie
from typing import Any, Final

import aiohttp
import attrs
from yarl import URL

from gemtune.http._httpx import httpx
from gemtune.http.engines.body import Incoming, Reply, collect

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

WHOLE: Final = 262_144
"""Up to this many bytes a plain body is read in one go."""
LARGE: Final = 1_048_576
"""From this many bytes on a request body is sent in pieces, as aiohttp asks for."""


class StaleConnection(httpx.RemoteProtocolError):
    """A kept-alive connection was lost before the reply began: most likely the server had closed it."""


class MalformedReply(httpx.RemoteProtocolError):
    """What arrived is not HTTP, or its head is too large."""


_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


@functools.lru_cache(maxsize=128)
def _limits(total: float | None, read: float | None = None) -> aiohttp.ClientTimeout:
    # aiohttp rounds waits of more than 5 s up to a whole second unless told not to.
    return aiohttp.ClientTimeout(total=total, sock_read=read, ceil_threshold=math.inf)


@functools.lru_cache(maxsize=1024)
def _parse(url: str) -> URL:
    return URL(url, encoded=True)


class _Flight:
    """What is known of one request on its way."""

    __slots__ = ("begun", "connected", "fresh", "tried")

    def __init__(self) -> None:
        self.tried = False  # a connection was asked for
        self.connected = False  # it was given a connection
        self.fresh = False  # that was made for it, and not used before
        self.begun = False  # the reply's head has arrived

    def explain(self, exc: Exception) -> Exception:
        """Return the httpx exception that says what happened and whether the server may have acted."""
        if isinstance(exc, ValueError) and not isinstance(exc, aiohttp.ClientError):
            return httpx.LocalProtocolError("the request cannot be put into HTTP")
        if not self.connected:
            return _not_sent(exc)
        if isinstance(exc, TimeoutError):
            return httpx.ReadTimeout("no complete reply in time")
        if isinstance(exc, aiohttp.ClientResponseError):
            return MalformedReply("the reply is not well-formed HTTP")
        if not self.fresh and not self.begun:
            return StaleConnection("a connection that had been kept alive was lost")
        if isinstance(exc, aiohttp.ServerDisconnectedError):
            return httpx.RemoteProtocolError("Server disconnected without sending a response")
        return httpx.ReadError(_reason(exc))


class _Connector(aiohttp.TCPConnector):
    """A pool that notes what a request is given, and bounds the making of a connection as a whole.

    aiohttp asks it in the task that makes the request, which is how it knows which one that is: a context variable
    would be kept alive by every timer, also those that have been cancelled.
    """

    def __init__(self, *, connect_timeout: float, **options: Any) -> None:
        super().__init__(**options)
        self._connect_timeout = connect_timeout
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        self.flights: dict[asyncio.Task[Any] | None, _Flight] = {}

    async def connect(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        flight = self.flights[asyncio.current_task()]
        if flight.tried:
            # aiohttp repeats idempotent methods by itself; the one retry of this package is elsewhere.
            raise aiohttp.ServerDisconnectedError
        flight.tried = True
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol: Any = connection.protocol
            # What came in while it lay idle would be taken for the answer to this request.
            if flight.fresh or not protocol.should_close:
                break
            connection.close()
        flight.connected = True
        return connection

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        # Name lookup, TCP, proxy and TLS together; waiting for a free connection is not counted.
        async with asyncio.timeout(self._connect_timeout):
            protocol = await super()._create_connection(req, traces, timeout)
        self._known.add(protocol)
        self.flights[asyncio.current_task()].fresh = True
        return protocol

    def open_connections(self) -> int:
        """Return how many connections are open, idle ones included."""
        return sum(protocol.is_connected() for protocol in self._known)


class _NoCookies(aiohttp.DummyCookieJar):
    """A jar that does not make an empty collection for every request."""

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:  # noqa: ARG002
        return _EMPTY


_EMPTY: Final[BaseCookie[str]] = BaseCookie()


def _reason(exc: BaseException) -> str:
    return exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__


def _not_sent(exc: Exception) -> Exception:
    if isinstance(exc, TimeoutError):
        return httpx.ConnectTimeout("no connection in time")
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return httpx.ProxyError(f"{exc.status} {exc.message}"[:200])
    failure: Exception
    if isinstance(exc, aiohttp.ClientProxyConnectionError):
        failure = httpx.ProxyError(_reason(exc.os_error))
    else:
        failure = httpx.ConnectError(_reason(exc))
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        failure.__cause__ = exc.certificate_error
    elif isinstance(exc, aiohttp.ClientConnectorError):
        failure.__cause__ = exc.os_error
    return failure


class _Arrival:
    """A reply of aiohttp's as Incoming."""

    __slots__ = ("_flight", "_response", "headers", "status")

    def __init__(self, flight: _Flight, response: aiohttp.ClientResponse) -> None:
        self._flight = flight
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except _FAILURES as exc:
            raise self._flight.explain(exc) from exc

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()  # a connection whose reply was read to its end has been given back already


class _Stream(httpx.AsyncByteStream):
    """The same as httpx's kind of stream."""

    def __init__(self, arrival: _Arrival) -> None:
        self._arrival = arrival

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._arrival.read():
            yield chunk

    async def aclose(self) -> None:
        self._arrival.close()


@attrs.define(eq=False)
class AiohttpEngine(httpx.AsyncBaseTransport):
    """An httpx transport for asyncio on aiohttp: HTTP/1.1, keep-alive, no redirects, no cookies.

    Args:
        ssl_context: What https connections are made with; None means the machine's and certifi's roots.
        proxy: The proxy's URL, or None.
        connect_timeout: Seconds for making a connection: name lookup, TCP, proxy and TLS together.
        max_connections: Most connections open at a time; further requests wait for one.
        keepalive: Seconds for which an idle connection may be used again.
    """

    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    proxy: str | None = attrs.field(default=None, repr=False)
    connect_timeout: float = 10.0
    max_connections: int = 1000
    keepalive: float = 15.0
    _session: aiohttp.ClientSession | None = attrs.field(default=None, init=False, repr=False)
    _connector: _Connector | None = attrs.field(default=None, init=False, repr=False)

    def _open_session(self) -> tuple[aiohttp.ClientSession, _Connector]:
        connector = self._connector = _Connector(
            connect_timeout=self.connect_timeout,
            limit=self.max_connections,
            keepalive_timeout=self.keepalive,
            ssl=self.ssl_context or True,
            timeout_ceil_threshold=math.inf,
        )
        session = self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"Accept-Encoding": "gzip"},
            cookie_jar=_NoCookies(),
            auto_decompress=False,
            # netrc and per-request proxy lookups (two threads each) are off; the proxy was found once, by us.
            trust_env=False,
            proxy=self.proxy,
        )
        return session, connector

    async def _start(
        self,
        flight: _Flight,
        limits: aiohttp.ClientTimeout,
        method: str,
        url: str,
        headers: Headers,
        body: bytes | None,
    ) -> aiohttp.ClientResponse:
        session, connector = self._session, self._connector
        if session is None or connector is None:
            session, connector = self._open_session()
        data = io.BytesIO(body) if body is not None and len(body) >= LARGE else body
        task = asyncio.current_task()
        connector.flights[task] = flight
        try:
            response = await session.request(
                method,
                _parse(url),
                headers=headers,
                data=data,
                allow_redirects=False,
                timeout=limits,
            )
        finally:
            del connector.flights[task]
        flight.begun = True
        return response

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
        """Send one request and read its whole reply, without httpx's Request and Response objects.

        Raises:
            httpx.TransportError: As the module says.
            MalformedResponse: The body is not what its headers say.
        """
        flight = _Flight()
        try:
            response = await self._start(flight, _limits(timeout), method, url, headers, body)
            try:
                found = {name.lower(): value for name, value in response.headers.items()}
                length = response.content_length
                if length is not None and length <= min(WHOLE, max_body) and "content-encoding" not in found:
                    content = await response.read()
                else:
                    content = await collect(_Arrival(flight, response), max_body)
            finally:
                response.close()
        except _FAILURES as exc:
            raise flight.explain(exc) from exc
        return Reply(response.status, found, content)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry out a request of httpx's: for transports of your own that wrap this one."""
        waits = request.extensions.get("timeout", {})
        flight = _Flight()
        body = await request.aread()
        headers = request.headers.multi_items()
        try:
            response = await self._start(
                flight,
                _limits(None, waits.get("read")),
                request.method,
                str(request.url),
                headers,
                body or None,
            )
        except _FAILURES as exc:
            raise flight.explain(exc) from exc
        arrival = _Arrival(flight, response)
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Stream(arrival))

    async def open(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes | None,
        *,
        timeout: float,
        idle: float | None,
    ) -> Incoming:
        """Send one request and return once the head of its reply has arrived, within ``timeout`` seconds."""
        flight = _Flight()
        try:
            async with asyncio.timeout(timeout):
                response = await self._start(flight, _limits(None, idle), method, url, headers, body)
        except _FAILURES as exc:
            raise flight.explain(exc) from exc
        return _Arrival(flight, response)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def open_connections(self) -> int:
        """Return how many connections are open, idle ones included."""
        return self._connector.open_connections() if self._connector is not None else 0
