"""What a failed exchange means: httpx's exceptions → ours, with nothing of the request kept."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator

from gemtune.errors import (
    CallError,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Failure,
    InvalidInput,
    MalformedResponse,
    TLSVerificationError,
)
from gemtune.http._httpx import httpx
from gemtune.http.engines.aiohttp_engine import MalformedReply, ProxyUnreachable, StaleConnection
from gemtune.remedy import Argument, Remedy

TRANSLATED = (httpx.TransportError, httpx.InvalidURL, httpx.StreamError, TimeoutError, OSError, ValueError)
"""What an engine or a transport of the user's may raise for a failed exchange; anything else is a bug."""

_LOST = ("Server disconnected", "peer closed connection")


def translate(exc: Exception, host: str, seconds: float) -> CallError | InvalidInput:
    """Return our error for a transport's exception; it refers neither to the exception nor to its frames.

    Args:
        exc: What the transport raised.
        host: Host and port called, for the message.
        seconds: The time the attempt was given.
    """
    if isinstance(exc, CallError):
        # Its frames hold the request's headers, and those the credential.
        exc.__cause__ = exc.__context__ = exc.__traceback__ = None
        return exc
    # First those of which it is certain that nothing was sent: a creation may then be repeated.
    if isinstance(exc, httpx.ConnectTimeout | httpx.ConnectError | httpx.ProxyError | httpx.PoolTimeout):
        return _not_connected(exc, host)
    if isinstance(exc, TimeoutError | httpx.TimeoutException):
        return DeadlineExceeded(f"{host} did not answer completely within {seconds:g} s", reason="timeout")
    if isinstance(exc, MalformedReply):
        return MalformedResponse(f"{host} answered with something that is not HTTP, or with too large a head")
    if isinstance(exc, StaleConnection):
        return ConnectionLost(f"{host} closed a connection that had been kept alive", reason="stale")
    # httpx has one class for a broken connection and for what is not HTTP; only its words tell them apart.
    if isinstance(exc, httpx.RemoteProtocolError) and not str(exc).startswith(_LOST):
        return MalformedResponse(f"{host} answered with something that is not HTTP, or with too large a head")
    if isinstance(exc, httpx.DecodingError):
        return MalformedResponse(f"the reply of {host} cannot be decompressed")
    if isinstance(exc, ValueError | httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return InvalidInput("the request cannot be put into HTTP: look for line breaks in names and header values")
    return ConnectionLost(f"the connection to {host} broke before the reply was complete", reason="lost")


def _not_connected(exc: Exception, host: str) -> CallError:
    causes = list(_causes(exc))
    if _files_used_up(causes):
        return ConnectFailed(
            f"{host} cannot be reached: this process may open no more files and connections ({_file_limit()})",
            Remedy("lower ", Argument("concurrency")),
            Remedy("raise the limit of open files (ulimit -n)"),
            reason="files",
        )
    if isinstance(exc, ProxyUnreachable):
        return ConnectFailed(
            f"the proxy {exc} on the way to {host} cannot be reached: {_why(causes)[1]}; "
            "check HTTPS_PROXY, ALL_PROXY and NO_PROXY",
            reason="proxy",
        )
    if isinstance(exc, httpx.ProxyError):
        refused = str(exc).startswith("407")  # other credentials are needed, so that repeating it helps nobody
        what = "asks for other credentials (407)" if refused else "did not let the connection through"
        return ConnectFailed(
            f"the proxy on the way to {host} {what}: check HTTPS_PROXY and NO_PROXY",
            reason="proxy",
            failure=Failure.FATAL if refused else None,
        )
    # The reason is what people search for in logs; it is taken from the innermost error, which knows it.
    for cause in causes:
        # aiohttp's own subclass has no words of its own; the one from the ssl module follows.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return TLSVerificationError(
                f"the certificate of {host} is not trusted ({cause.verify_message})",
                Remedy("if your network has its own certificate authority, name its file in SSL_CERT_FILE"),
                Remedy("pass ", Argument("ssl_context")),
                reason="certificate",
            )
    if isinstance(exc, httpx.PoolTimeout):
        return ConnectFailed(
            f"no connection to {host} was free in time, as all that this client may open were in use; nothing was sent",
            Remedy("raise ", Argument("max_connections")),
            Remedy("lower ", Argument("concurrency")),
            reason="timeout",
        )
    if isinstance(exc, httpx.TimeoutException):
        return ConnectFailed(f"no connection came about to {host} in time; nothing was sent", reason="timeout")
    reason, why = _why(causes)
    return ConnectFailed(f"{host} cannot be reached: {why}; check network, proxy and address", reason=reason)


def _why(causes: list[BaseException]) -> tuple[str, str]:
    """Return why there is no connection, for programs and for people."""
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "dns", "its name cannot be resolved"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "refused", "it refuses the connection"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "tls", "the TLS handshake failed"
    return "connect", "no connection could be made"


def _files_used_up(causes: list[BaseException]) -> bool:
    if any(isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE} for cause in causes):
        return True
    if not any(isinstance(cause, socket.gaierror) for cause in causes):
        return False
    # The resolver, which cannot open its own files either, only says that it knows no such name.
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as exc:
        return exc.errno in {errno.EMFILE, errno.ENFILE}
    return False


def _file_limit() -> str:
    try:
        import resource
    except ImportError:  # on Windows
        return "the limit of this system"
    return f"the limit, ulimit -n, is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"


def _causes(exc: BaseException) -> Iterator[BaseException]:
    # A breadth-first walk: anyio wraps the failures of several addresses in a group, each with causes of its own.
    seen: set[int] = set()
    waiting: list[BaseException | None] = [exc]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]
            waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
