"""HTTP replies: the frontend's headers and layouts, streams, and what a fault makes of them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from typing import Literal

from attrs import evolve, field, frozen

from gemtune.emulator.gemini.routes import Route
from gemtune.emulator.messages.codec import Value, dumps, encode
from gemtune.emulator.messages.errors import NOT_FOUND_PAGE, ApiError, bad_gateway_page
from gemtune.emulator.messages.masks import Mask, apply_mask
from gemtune.emulator.trouble.faults import Cut, Fault
from gemtune.emulator.world.clock import SECOND

_JSON = "application/json; charset=UTF-8"
_HTML = "text/html; charset=UTF-8"
_FRONTEND = {
    "vary": "Origin, X-Origin, Referer",
    "server": "scaffolding on HTTPServer2",
    "x-xss-protection": "0",
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    "server-timing": "gfet4t7; dur=1",
    "alt-svc": 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
}


@frozen(kw_only=True)
class Layout:
    """How a caller wants JSON written.

    Args:
        pretty: over several lines; the default of the service.
        enum_numbers: enums as numbers.
        sse: a stream as server-sent events instead of one JSON array.
        array: everything is an element of a JSON array, as in a stream without ``alt=sse``.
    """

    pretty: bool = True
    enum_numbers: bool = False
    sse: bool = False
    array: bool = False


@frozen(kw_only=True)
class Reply:
    """One HTTP reply.

    Args:
        status: HTTP status.
        chunks: pieces of the body, sent one by one.
        headers: by lower-case name.
        drop: after the chunks close the connection; without chunks, send nothing at all.
        exact: of a fault, these bytes instead of everything else.
        cut: of a fault, where the reply breaks off.
        pace: of a fault, (bytes, seconds) of each piece.
        then: of a fault, what becomes of the connection.
    """

    status: int = 200
    chunks: tuple[bytes, ...] = ()
    headers: dict[str, str] = field(factory=dict)
    drop: bool = False
    exact: bytes | None = None
    cut: Cut | None = None
    pace: tuple[int, float] | None = None
    then: Literal["close", "reset"] | None = None

    @property
    def streams(self) -> bool:
        return len(self.chunks) > 1

    @property
    def breaks(self) -> bool:
        """Whether it is no HTTP reply."""
        return self.exact is not None or self.cut is not None


def value_reply(route: Route, value: Value | list[Value], layout: Layout, mask: Mask) -> Reply:
    """200 with a message, or with a stream of them; of each, what the mask leaves."""
    values = value if isinstance(value, list) else [value]
    bodies = [apply_mask(encode(route.message, item, enum_numbers=layout.enum_numbers), mask) for item in values]
    if layout.sse:
        return Reply(chunks=tuple(map(_event, bodies)), headers={"content-type": "text/event-stream"})
    if layout.array:
        return Reply(chunks=tuple(_array(bodies, layout)), headers={"content-type": _JSON})
    return Reply(chunks=(dumps(bodies[0], pretty=layout.pretty),), headers={"content-type": _JSON})


def error_reply(error: ApiError, layout: Layout) -> Reply:
    """An error before the first byte; an element of an array where a stream would have been one."""
    body = encode("ErrorBody", error.body)
    content = b"".join(_array([body], layout)) if layout.array else dumps(body, pretty=layout.pretty)
    return Reply(status=error.code, chunks=(content,), headers={"content-type": _JSON, **error.headers})


def not_found_reply(path: str) -> Reply:
    """The frontend's page for a URL that is bound to nothing."""
    shown = path.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    page = NOT_FOUND_PAGE.replace("{path}", shown)
    return Reply(status=404, chunks=(page.encode(),), headers={"content-type": _HTML})


def _event(body: object) -> bytes:
    return b"data: " + dumps(body, pretty=False, colon=": ") + b"\r\n\r\n"


def _array(bodies: Iterable[object], layout: Layout) -> list[bytes]:
    chunks = [dumps(body, pretty=layout.pretty) for body in bodies]
    separators = [b"["] + [b",\r\n"] * (len(chunks) - 1)
    pieces = [separator + chunk for separator, chunk in zip(separators, chunks, strict=True)]
    pieces[-1] += b"]"
    return pieces


def fault_reply(fault: Fault, layout: Layout) -> Reply:
    """The reply an instruction asks for instead of the request's own."""
    if fault.drop:
        return Reply(status=0, drop=True)
    if fault.exact is not None:
        return Reply(status=0, exact=fault.exact.encode("latin-1"))
    if fault.html:
        status = fault.status or 502
        return Reply(status=status, chunks=(bad_gateway_page(status).encode(),), headers={"content-type": _HTML})
    if fault.garbage:
        return Reply(status=fault.status or 200, chunks=(b'{\n  "name": "tunedMod',), headers={"content-type": _JSON})
    if fault.body is None:
        return error_reply(fault.api_error, layout)
    if isinstance(fault.body, str | bytes):
        content = fault.body.encode() if isinstance(fault.body, str) else fault.body
    else:
        content = b"".join(_array([fault.body], layout)) if layout.array else dumps(fault.body, pretty=layout.pretty)
    return Reply(status=fault.status or 200, chunks=(content,), headers={"content-type": _JSON})


def spoil(reply: Reply, fault: Fault, layout: Layout) -> Reply:
    """What an instruction makes of the reply to a request that was carried out."""
    if not fault.replaces_reply:
        return reply
    if fault.after is None or not (layout.sse or layout.array):
        return fault_reply(fault, layout)
    kept = reply.chunks[: fault.after] if layout.sse else reply.chunks[: min(fault.after, len(reply.chunks) - 1)]
    if fault.drop:
        return evolve(reply, chunks=kept, drop=True)
    if isinstance(fault.body, str):
        return evolve(reply, chunks=(*kept, fault.body.encode()))
    body = encode("ErrorBody", fault.api_error.body) if fault.body is None else fault.body
    if fault.raw or not layout.sse:
        separator = b"" if layout.sse else b",\r\n" if kept else b"["
        return evolve(reply, chunks=(*kept, separator + dumps(body) + (b"" if layout.sse else b"]")))
    return evolve(reply, chunks=(*kept, _event(body)))


def mark(reply: Reply, fault: Fault) -> Reply:
    """Add an instruction's headers, and what it says about bytes and connections."""
    headers = reply.headers | {name.lower(): value for name, value in fault.headers.items()}
    if fault.cut == "json":
        body = b"".join(reply.chunks)
        return evolve(reply, headers=headers, chunks=(body[: len(body) // 2],), pace=fault.pace, then=fault.then)
    return evolve(reply, headers=headers, cut=fault.cut, pace=fault.pace, then=fault.then)


def compress(reply: Reply, accept_encoding: str) -> Reply:
    """Compress a whole body for a caller that accepts it; streams are sent as they are."""
    if reply.streams or not reply.chunks or not _accepts_gzip(accept_encoding):
        return reply
    content = gzip.compress(reply.chunks[0], compresslevel=1, mtime=0)
    return evolve(reply, chunks=(content,), headers=reply.headers | {"content-encoding": "gzip"})


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip is among the codings of RFC 9110, section 12.5.3, and not with a weight of zero."""
    codings = (coding.partition(";") for coding in accept_encoding.lower().replace(" ", "").split(","))
    return any(name == "gzip" and weight.rstrip("0.") != "q=" for name, _, weight in codings)


def header_lines(headers: Mapping[str, str], now: int) -> list[tuple[bytes, bytes]]:
    """Header lines as the frontend sends them, with the emulator's own date."""
    every = {"date": formatdate(now // SECOND, usegmt=True), **_FRONTEND, **headers}
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in every.items()]
