"""The only seam to the network: bytes out, bytes in.

A Wire knows one origin, so that a credential cannot travel to another. On asyncio it uses aiohttp, which costs a third
of httpx's pool per request, and a tenth under load; on trio it uses that pool; given an httpx transport, it uses that.
All are engines (``engines/``) with two methods, for a whole reply and for an open one. What is the same for both is
here: who may use the wire, what a target is, and the translation of errors. Only gemtune's errors are raised, and none
of them refers to the request, which holds the credential.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import attrs

from gemtune.errors import CallError, InvalidInput, MisuseError
from gemtune.http._httpx import httpx
from gemtune.http.engines.aiohttp_engine import AiohttpEngine
from gemtune.http.engines.body import Reply
from gemtune.http.engines.failures import TRANSLATED, translate
from gemtune.http.engines.httpx_engine import ForeignEngine, RecyclingTransport, httpx_pool
from gemtune.http.environment import find_proxy, make_ssl_context
from gemtune.http.stream import StreamReply
from gemtune.loops import current_loop, on_asyncio
from gemtune.settings.addresses import checked_origin, is_loopback

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
Engine: TypeAlias = AiohttpEngine | ForeignEngine

_TARGET = re.compile(r"/(?!.*/\.{1,2}(?:[/?]|\Z))(?!\.{1,2}(?:[/?]|\Z))[!-\"$-~]*")
"""An absolute path with a query, percent-encoded, without dot segments and fragment (RFC 9112, 3.2.1)."""

KEEPALIVE = 15.0
"""Seconds for which an idle connection is used again: load balancers close theirs after 60 s and more."""
KEEPALIVE_LOCAL = 4.0
"""The same on this machine, where development servers (uvicorn, Node.js) close after 5 s."""
HTTPX_CAPACITY = 32
"""Most exchanges at a time in httpx's pool, whose cost per request grows with the number of connections."""


@attrs.frozen(kw_only=True)
class WireStatistics:
    """What a wire has done so far.

    Args:
        in_flight: Requests under way.
        connections: Connections open, idle ones included; 0 if the transport does not say.
    """

    in_flight: int
    connections: int


OnRequest = Callable[[str, str, bytes | None], object]
"""Is shown a request: its method, its target (path and query) and its body, never its headers."""


@attrs.define(eq=False, on_setattr=attrs.setters.NO_OP)
class Wire:
    """Exchanges bytes with one origin.

    Args:
        origin: The address, such as ``https://generativelanguage.googleapis.com``; http for loopback only.
        transport: An httpx transport to use instead of the default one; it is closed with the wire.
        ssl_context: TLS settings for https; None means the usual roots and SSL_CERT_FILE.
        connect_timeout: Seconds for making a connection: name lookup, TCP, proxy and TLS.
        max_connections: Most connections open at a time.
        max_body: Most bytes of a reply's body, on the wire and decompressed.
        trust_env: Whether proxies and roots are taken from the environment.
        trusted_hosts: Hosts to which plain http is allowed as it is to this machine.
        on_request: Called with method, target and body of every request before it is sent, repeats included. It is
            not given the headers, which hold the credential.

    Raises:
        SettingsError: The origin is not one, or would carry a credential unencrypted.
    """

    origin: str
    transport: httpx.AsyncBaseTransport | None = attrs.field(default=None, kw_only=True)
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, kw_only=True, repr=False)
    connect_timeout: float = attrs.field(default=10.0, kw_only=True)
    max_connections: int = attrs.field(default=1000, kw_only=True)
    max_body: int = attrs.field(default=64 * 1024 * 1024, kw_only=True)
    trust_env: bool = attrs.field(default=True, kw_only=True)
    trusted_hosts: frozenset[str] = attrs.field(default=frozenset(), kw_only=True)
    on_request: OnRequest | None = attrs.field(default=None, kw_only=True, repr=False)
    host: str = attrs.field(init=False, repr=False)
    _engine: Engine | None = attrs.field(default=None, init=False)
    _opening: anyio.Lock = attrs.field(factory=anyio.Lock, init=False, repr=False)
    _home: tuple[int, Any] | None = attrs.field(default=None, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False)
    _in_flight: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.origin = checked_origin(self.origin, trusted=self.trusted_hosts)
        self.host = urlsplit(self.origin).netloc

    def check(self) -> None:
        """Raise MisuseError if this wire cannot be used: it is closed, or belongs to another process or event loop."""
        if self._closed:
            raise MisuseError("this client is closed: make a new one")
        # Connections belong to the loop that made them, and after a fork two processes would share their sockets.
        home = (os.getpid(), current_loop())
        if self._home is None:
            self._home = home
        elif self._home != home:
            what = "after a fork" if self._home[0] != home[0] else "in another event loop than the first"
            raise MisuseError(
                f"this client is used {what}: make one client for each process and event loop (aclose() closes "
                "this one in any loop)"
            )

    def send(
        self, method: str, target: str, headers: Headers, body: bytes | None, *, timeout: float
    ) -> Awaitable[Reply]:
        """Send one request and return its complete reply, whatever its status.

        Args:
            method: The HTTP method.
            target: Absolute path and query, percent-encoded: ``/v1beta/tunedModels?pageSize=10``.
            headers: The headers, credential included.
            body: The body, or None.
            timeout: Seconds for everything, from the wait for a connection to the reply's last byte.

        Raises:
            ConnectFailed: Nothing was sent.
            TLSVerificationError: The certificate is not trusted; nothing was sent.
            ConnectionLost: The server may have acted; ``reason`` ``stale``: a kept-alive connection was lost.
            DeadlineExceeded: Time ran out; the server may have acted.
            MalformedResponse: What arrived is not HTTP, or its body cannot be decompressed.
            ResponseTooLarge: The reply is larger than ``max_body``.
            InvalidInput: The target or a header cannot be put into HTTP.
            MisuseError: See ``check``.
        """
        return cast("Awaitable[Reply]", self._run(method, target, headers, body, timeout, None))

    def open(
        self, method: str, target: str, headers: Headers, body: bytes | None, *, timeout: float, idle: float
    ) -> Awaitable[StreamReply]:
        """Send one request and return once the head of its reply has arrived.

        Args:
            method: The HTTP method.
            target: As for ``send``.
            headers: The headers, credential included.
            body: The body, or None.
            timeout: Seconds until the head must have arrived.
            idle: Most seconds of silence while the body is read.

        Raises:
            GemtuneError: As ``send`` does.
        """
        return cast("Awaitable[StreamReply]", self._run(method, target, headers, body, timeout, idle))

    async def _run(
        self, method: str, target: str, headers: Headers, body: bytes | None, timeout: float, idle: float | None
    ) -> Reply | StreamReply:
        self.check()
        engine = self._engine or await self._open()
        url = self._url(target)
        if self.on_request is not None:
            self.on_request(method, target, body)
        self._in_flight += 1  # until the head of a stream has arrived
        try:
            if idle is None:
                return await engine.exchange(method, url, headers, body, timeout=timeout, max_body=self.max_body)
            incoming = await engine.open(method, url, headers, body, timeout=timeout, idle=idle)
            return StreamReply(incoming, host=self.host, idle=idle, max_body=self.max_body, home=self._home)
        except (CallError, *TRANSLATED) as exc:
            error = translate(exc, self.host, timeout)
        finally:
            self._in_flight -= 1
        # Out here the library's own error, whose frames hold the request, is not our error's context; and this frame,
        # which our error's traceback does show, lets go of the credential.
        headers = ()
        raise error

    def _url(self, target: str) -> str:
        if _TARGET.fullmatch(target) is None:
            raise InvalidInput(f"not a request target: {target[:80]!r}", field="target")
        return self.origin + target

    async def _open(self) -> Engine:
        # The first calls may come all at once: one of them makes the engine, and the others wait for it.
        async with self._opening:
            if self._engine is None:
                self._engine = await self._choose()
        return self._engine

    async def _choose(self) -> Engine:
        if self.transport is not None:
            return ForeignEngine(self.transport, self.connect_timeout)
        context, proxy, keepalive = self.ssl_context, None, KEEPALIVE_LOCAL
        # To this machine there is no proxy, whatever the variables say. Looking for one, and reading the root
        # certificates, take files and tens of milliseconds, and therefore a thread.
        if not is_loopback(urlsplit(self.origin).hostname or ""):
            keepalive = KEEPALIVE
            if self.trust_env:
                proxy = await anyio.to_thread.run_sync(find_proxy, self.origin, abandon_on_cancel=True)
        if context is None and self.origin.startswith("https:"):
            context = await anyio.to_thread.run_sync(make_ssl_context, self.trust_env, abandon_on_cancel=True)
        if on_asyncio():
            return AiohttpEngine(
                ssl_context=context,
                proxy=proxy,
                connect_timeout=self.connect_timeout,
                max_connections=self.max_connections,
                keepalive=keepalive,
            )
        capacity = min(HTTPX_CAPACITY, self.max_connections)

        def pool() -> httpx.AsyncHTTPTransport:
            return httpx_pool(ssl_context=context, proxy=proxy, max_connections=capacity, keepalive=keepalive)

        return ForeignEngine(RecyclingTransport(pool, capacity), self.connect_timeout)

    def statistics(self) -> WireStatistics:
        """Return the counts of requests and connections."""
        return WireStatistics(
            in_flight=self._in_flight,
            connections=self._engine.open_connections() if self._engine is not None else 0,
        )

    async def aclose(self) -> None:
        """Close every connection; requests under way fail. Closing twice is fine, and so is closing in any loop."""
        if self._closed:
            return
        self._closed = True
        if self._engine is not None and self._home != (os.getpid(), current_loop()):
            await self._engine.abandon()
        elif self._engine is not None:
            await self._engine.aclose()
        elif self.transport is not None:
            await self.transport.aclose()
