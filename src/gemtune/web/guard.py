"""Who may see a dashboard: checked before anything else, and the headers that every reply carries.

A page on one's own machine is open to every other page in the same browser: a stranger's site can send requests to
``localhost`` (cross-site), or let its own name resolve to 127.0.0.1 and so become "the same site" (DNS rebinding).
Against the second the Host is checked, against the first the Origin and what browsers say of a request's origin
(``Sec-Fetch-Site``); a request without either comes from no page, such as one of curl.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

import attrs
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The names of this machine, to itself."""

CUSTOM_HEADER: Final = "x-gemtune"
"""What a POST must carry: no form and no link can, and a script of another site only after asking, which is refused."""

KEY: Final = "key"
"""The parameter of a link that lets somebody in."""
_COOKIE: Final = "gemtune_visitor"
"""What the name of the cookie begins with; browsers share cookies among the ports of a host, so the port follows."""
_VISITORS: Final = 100
"""How many browsers may be in at a time; the one that came first has to come anew."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors "
)
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@attrs.frozen
class Refusal:
    """Why a request is refused, in words for the person who mounted the page."""

    status: int
    why: str


@attrs.frozen
class VisitorCheck:
    """The rules.

    Args:
        hosts: Under which names the page answers; ``*`` stands for any. None: this machine's own, and to visitors on
            this machine only.
        frame_ancestors: Which pages may frame it, as the Content-Security-Policy says it.
    """

    hosts: frozenset[str] | None = None
    frame_ancestors: str = "'none'"

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return why a request is refused; None if it is not."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if not self._is_ours(host):
            return Refusal(421, "this dashboard does not answer under that name; name it in allowed_hosts")
        if self.hosts is None and not _is_local(scope, headers):
            return Refusal(403, "this dashboard answers to its own machine only; see allowed_hosts")
        return _foreign(scope, headers, host)

    def _is_ours(self, host: str) -> bool:
        allowed = LOOPBACK if self.hosts is None else self.hosts
        name = name_of(host)
        if self.hosts is None and _is_loopback(name):  # such as 127.0.0.2; no name can be made to look like it
            return True
        return bool(name) and ("*" in allowed or name in allowed or host in allowed)


def _is_local(scope: Scope, headers: Headers) -> bool:
    """Return whether a request was made on this machine, and did not come through a proxy on it."""
    # No browser speaks HTTP/1.0, but nginx does unless told otherwise, and then names neither Host nor visitor.
    if any(name in headers for name in _FORWARDED) or scope.get("http_version") == "1.0":
        return False
    client = scope.get("client")
    if client is None:  # a socket of this machine's file system
        return True
    return _is_loopback(client[0])


def _is_loopback(address: str) -> bool:
    """Return whether something is an address of this machine's, alone or as it stands in a Host."""
    try:
        found = ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _foreign(scope: Scope, headers: Headers, host: str) -> Refusal | None:
    """Return why a request that a page of another site has made is refused."""
    origin = headers.get("origin")
    if origin is not None and origin.lower().partition("://")[2] != host:
        return Refusal(403, "requests of other sites' pages are refused")
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode")
    following = scope["method"] in {"GET", "HEAD"} and mode == "navigate"  # somebody clicked a link to the page
    if site not in {"none", "same-origin"} and not following:
        return Refusal(403, "requests of other sites' pages are refused")
    if scope["method"] == "POST" and CUSTOM_HEADER not in headers:
        return Refusal(403, f"a POST needs the header {CUSTOM_HEADER}: 1")
    return None


def name_of(host: str) -> str:
    """Return a Host without its port; empty if it is none."""
    found = _HOST.fullmatch(host)
    return found[1] if found else ""


@attrs.define(eq=False)
class Entrance:
    """Lets in whoever has had a link with the key, which works once; from then on a cookie says so.

    A link is seen by more eyes than a cookie: in a history, in the log of a proxy, over a shoulder.

    Args:
        on_used: Called when a link has been used, with nothing: there is a new key then.
    """

    on_used: Callable[[], object] = lambda: None
    key: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), init=False)
    _visitors: deque[str] = attrs.field(factory=lambda: deque(maxlen=_VISITORS), init=False)

    def answer(self, request: Request) -> Response | None:
        """Return what a visitor is told who is not in yet; None lets the request pass."""
        name = _cookie_of(request)
        cookie, given = request.cookies.get(name, ""), request.query_params.get(KEY, "")
        # All are compared, and each in constant time: how long it takes says nothing about how much was right.
        if any([_equal(cookie, visitor) for visitor in self._visitors]):  # noqa: C419
            return None
        if request.method != "GET" or not _equal(given, self.key):
            return PlainTextResponse("This page opens with the link that the program has printed; it works once.", 401)
        self._visitors.append(secrets.token_urlsafe(32))
        self.key = secrets.token_urlsafe(32)
        self.on_used()
        entered = Response(status_code=303, headers={"location": "./"})
        # Not "strict": a browser would leave it out right after a link in somebody's mail was followed.
        secure = request.url.scheme == "https"
        entered.set_cookie(name, self._visitors[-1], path="/", secure=secure, httponly=True, samesite="lax")
        return entered


def _cookie_of(request: Request) -> str:
    port = request.headers.get("host", "").rpartition("]")[2].rpartition(":")[2]
    return f"{_COOKIE}_{port}" if port.isascii() and port.isdecimal() else _COOKIE


def _equal(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())


@attrs.define(eq=False)
class Guarded:
    """An ASGI application behind the rules; every reply says that it is nobody else's to keep, frame or guess at."""

    app: ASGIApp
    check: VisitorCheck
    entrance: Entrance | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"]).update(self._headers())
            await send(message)

        await self._answered_by(scope)(scope, receive, with_headers)

    def _answered_by(self, scope: Scope) -> ASGIApp:
        refusal = self.check.refusal(scope)
        if refusal is not None:
            return JSONResponse({"error": refusal.why}, refusal.status)
        told = self.entrance.answer(Request(scope)) if self.entrance is not None else None
        return self.app if told is None else told

    def _headers(self) -> dict[str, str]:
        framed = {"x-frame-options": "DENY"} if self.check.frame_ancestors == "'none'" else {}
        return {
            "cache-control": "no-store",
            "content-security-policy": _POLICY + self.check.frame_ancestors,
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            **framed,
        }


def checked_hosts(hosts: Collection[str] | None) -> frozenset[str] | None:
    """Return the allowed hosts, in lower case."""
    if isinstance(hosts, str):
        hosts = [hosts]
    return None if hosts is None else frozenset(host.lower() for host in hosts)
