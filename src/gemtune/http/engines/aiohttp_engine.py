"""The default engine on asyncio: aiohttp, with httpx's words for what went wrong.

httpx's own pool does not scale and does not survive every cancellation (httpcore #1093); aiohttp does both: 0.3 ms of
CPU a request at 500 connections instead of 3.6 to 5.5, and 712 cancellation scenarios that damaged no pool.

It says exactly whether the service may have seen a failed request, because a creation is repeated only if not. The
ready-made bridge (httpx-aiohttp) maps a dropped connection to ``ConnectTimeout``, which would create a job twice::

    no connection was given to the request     ConnectError, ConnectTimeout, ProxyError     nothing was sent
    one was, and then the exchange failed      ReadError, ReadTimeout, RemoteProtocolError  the service may have acted
    ... it had been kept alive, no head came   StaleConnection                              most likely it has not
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import io
import math
import os
import ssl
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.cookies import BaseCookie
from typing import Any, Final

import aiohttp
import attrs
from yarl import URL

from gemtune.http._httpx import httpx
from gemtune.http.engines.body import Incoming, Reply, collect
from gemtune.http.engines.leaving import abort_all, left_open, let_go

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

WHOLE: Final = 262_144
"""Up to this many bytes a plain body is read in one go."""
_HEADS: Final[dict[str, Any]] = {"max_line_size": 65_536, "max_field_size": 65_536}
"""Bytes of a reply's status line and of each of its headers: gateways add long ones (policies, traces, cookies)."""
if "max_headers" in inspect.signature(aiohttp.ClientSession).parameters:  # from aiohttp 3.14 on
    _HEADS["max_headers"] = 1_000
LARGE: Final = 1_048_576
"""From this many bytes on a request body is sent in pieces, as aiohttp asks for."""


class StaleConnection(httpx.RemoteProtocolError):
    """A kept-alive connection was lost before the reply began: most likely the server had closed it."""


class ProxyUnreachable(httpx.ProxyError):
    """No connection to the proxy came about; the message is its host and port."""


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


class _Sending:
    """What is known of one request on its way."""

    __slots__ = ("begun", "connected", "fresh", "made", "proxy", "tried")

    def __init__(self, proxy: str | None = None) -> None:
        self.proxy = proxy
        self.made = False  # a connection was to be made for it; until then it waits for a free one
        self.tried = False  # a connection was asked for
        self.connected = False  # it was given a connection
        self.fresh = False  # that was made for it, and not used before
        self.begun = False  # the reply's head has arrived

    def explain(self, exc: Exception) -> Exception:
        """Return the httpx exception that says what happened and whether the server may have acted."""
        # aiohttp.InvalidURL is a ValueError as well, but aiohttp raises it only before anything is sent.
        if isinstance(exc, ValueError) and not isinstance(exc, aiohttp.ClientError):
            return httpx.LocalProtocolError("the request cannot be put into HTTP")
        if not self.connected:
            if isinstance(exc, TimeoutError) and self.tried and not self.made:
                return httpx.PoolTimeout("no connection was free")
            return _not_sent(exc, self.proxy)
        if isinstance(exc, TimeoutError):
            return httpx.ReadTimeout("no complete reply in time")
        if isinstance(exc, aiohttp.ClientResponseError):
            return MalformedReply("the reply is not well-formed HTTP")
        # A server closes idle connections when it likes. A request that crosses the closing was not read.
        if not self.fresh and not self.begun:
            return StaleConnection("a connection that had been kept alive was lost")
        if isinstance(exc, aiohttp.ServerDisconnectedError):
            return httpx.RemoteProtocolError("Server disconnected without sending a response")
        return httpx.ReadError(_reason(exc))


class _Connector(aiohttp.TCPConnector):
    """A pool that notes what a request is given, and bounds the making of a connection as a whole.

    aiohttp asks it in the task that makes the request, which is how it knows which one that is: a context variable
    would be kept alive by every timer, including those that have been cancelled.
    """

    def __init__(self, *, connect_timeout: float, **options: Any) -> None:
        super().__init__(**options)
        self._connect_timeout = connect_timeout
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        self._suspect: weakref.WeakSet[Any] = weakref.WeakSet()
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()
        self.sendings: dict[asyncio.Task[Any] | None, _Sending] = {}

    async def connect(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        sending = self.sendings[asyncio.current_task()]
        if sending.tried:
            # aiohttp would repeat idempotent methods on its own; the one retry of this package is elsewhere.
            raise aiohttp.ServerDisconnectedError
        sending.tried = True
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol: Any = connection.protocol
            # What came in while it lay idle would be taken for the answer to this request.
            if sending.fresh or not (protocol.should_close or protocol in self._suspect):
                break
            connection.close()
        sending.connected = True
        return connection

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        self.sendings[asyncio.current_task()].made = True
        # Name lookup, TCP, proxy and TLS together; waiting for a free connection is not counted.
        async with asyncio.timeout(self._connect_timeout):
            protocol = await super()._create_connection(req, traces, timeout)
        self._known.add(protocol)
        with suppress(TypeError):  # a loop of another kind may have transports that cannot be watched so
            self._made.add(protocol.transport)
        self.sendings[asyncio.current_task()].fresh = True
        return protocol

    def open_connections(self) -> int:
        """Return how many connections are open, idle ones included."""
        return sum(protocol.is_connected() for protocol in self._known)

    def transports(self) -> list[Any]:
        """Return the transports of all connections that are open."""
        return [protocol.transport for protocol in self._known if protocol.transport is not None]

    async def leave(self) -> None:
        """Close what still takes leave of its peer, as TLS does: a loop that ends now would forget it."""
        if left := list(self._made):
            abort_all(left)
            for _ in range(3):  # the sockets are closed in callbacks
                await asyncio.sleep(0)

    def suspect(self) -> None:
        """Use none of the present connections for another request: one has died, and most likely with its server."""
        self._suspect.update(self._known)

    def __del__(self, *_: Any) -> None:
        """Say nothing: what is left open is closed and reported by the engine (see ``leaving``)."""


class _NoCookies(aiohttp.DummyCookieJar):
    """A jar that does not make an empty collection for every request."""

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:  # noqa: ARG002
        return _EMPTY


_EMPTY: Final[BaseCookie[str]] = BaseCookie()


def _reason(exc: BaseException) -> str:
    return exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__


def _not_sent(exc: Exception, proxy: str | None = None) -> Exception:
    if isinstance(exc, TimeoutError):
        return httpx.ConnectTimeout("no connection in time")
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return httpx.ProxyError(f"{exc.status} {exc.message}"[:200])
    failure: Exception
    # A proxy whose name cannot be resolved is no ClientProxyConnectionError, but an error about its name.
    if isinstance(exc, aiohttp.ClientConnectorError) and proxy == f"{exc.host}:{exc.port}":
        failure = ProxyUnreachable(proxy)
    else:
        failure = httpx.ConnectError(_reason(exc))
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        failure.__cause__ = exc.certificate_error
    elif isinstance(exc, aiohttp.ClientConnectorError):
        failure.__cause__ = exc.os_error
    return failure


class _AiohttpIncoming:
    """A reply of aiohttp's as Incoming."""

    __slots__ = ("_response", "_sending", "headers", "status")

    def __init__(self, sending: _Sending, response: aiohttp.ClientResponse) -> None:
        self._sending = sending
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except _FAILURES as exc:
            raise self._sending.explain(exc) from exc

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()  # a connection whose reply was read to its end has been given back already


@attrs.define(eq=False)
class AiohttpEngine:
    """Exchanges on asyncio, over aiohttp: HTTP/1.1, keep-alive, no redirects, no cookies.

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
    _keeper: Any = attrs.field(default=None, init=False, repr=False)
    _proxy: str | None = attrs.field(init=False, repr=False)

    @_proxy.default
    def _find_proxy(self) -> str | None:
        parts = URL(self.proxy) if self.proxy else None
        return f"{parts.host}:{parts.port}" if parts is not None else None

    def _open_session(self) -> tuple[aiohttp.ClientSession, _Connector]:
        connector = self._connector = _Connector(
            connect_timeout=self.connect_timeout,
            limit=self.max_connections,
            # Shorter than most servers', so that few requests meet a connection that is being closed.
            keepalive_timeout=self.keepalive,
            ssl=self.ssl_context or True,
            timeout_ceil_threshold=math.inf,
        )
        session = self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"Accept-Encoding": "gzip"},  # what we inflate ourselves, in bounded steps
            cookie_jar=_NoCookies(),
            auto_decompress=False,  # aiohttp would inflate without a bound
            **_HEADS,
            # netrc and per-request proxy lookups (two threads each) are off; the proxy was found once, by us.
            trust_env=False,
            proxy=self.proxy,
        )
        loop = asyncio.get_running_loop()
        # Called when this engine is dropped, and at the end of the program; it must not hold the engine itself.
        self._keeper = weakref.finalize(self, left_open, session, connector.transports, loop, os.getpid())
        return session, connector

    async def _start(
        self,
        sending: _Sending,
        limits: aiohttp.ClientTimeout,
        method: str,
        url: str,
        headers: Headers,
        body: bytes | None,
    ) -> aiohttp.ClientResponse:
        session, connector = self._session, self._connector
        if session is None or connector is None:
            session, connector = self._open_session()
        # bytes of a megabyte and more block the loop while they are written, as aiohttp warns.
        data = io.BytesIO(body) if body is not None and len(body) >= LARGE else body
        task = asyncio.current_task()
        connector.sendings[task] = sending
        try:
            response = await session.request(
                method,
                _parse(url),
                headers=headers,
                data=data,
                allow_redirects=False,  # the credential must not travel to another host
                timeout=limits,
            )
        finally:
            del connector.sendings[task]
        sending.begun = True
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
        sending = _Sending(self._proxy)
        try:
            response = await self._start(sending, _limits(timeout), method, url, headers, body)
            try:
                found = {name.lower(): value for name, value in response.headers.items()}
                # The usual reply is small and of known length: no decoder, no pieces, no copy.
                length = response.content_length
                if length is not None and length <= min(WHOLE, max_body) and "content-encoding" not in found:
                    content = await response.read()
                else:
                    content = await collect(_AiohttpIncoming(sending, response), max_body)
            finally:
                response.close()  # does nothing after a complete reply, whose connection is back in the pool already
        except _FAILURES as exc:
            raise self._explained(sending, exc) from exc
        return Reply(response.status, found, content)

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
        sending = _Sending(self._proxy)
        try:
            async with asyncio.timeout(timeout):
                response = await self._start(sending, _limits(None, idle), method, url, headers, body)
        except _FAILURES as exc:
            raise self._explained(sending, exc) from exc
        return _AiohttpIncoming(sending, response)

    def _explained(self, sending: _Sending, exc: Exception) -> Exception:
        failure = sending.explain(exc)
        if isinstance(failure, StaleConnection) and self._connector is not None:
            self._connector.suspect()
        return failure

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            self._keeper.detach()
            await self._session.close()
        if self._connector is not None:
            await self._connector.leave()

    async def abandon(self) -> None:
        """Close every connection from another event loop; nothing happens in another process, which shares them."""
        kept = self._keeper.detach() if self._keeper is not None else None
        if kept is not None:
            _, _, (session, transports, loop, process), _ = kept
            if os.getpid() == process:
                let_go(session, transports, loop)

    def open_connections(self) -> int:
        """Return how many connections are open, idle ones included."""
        return self._connector.open_connections() if self._connector is not None else 0
