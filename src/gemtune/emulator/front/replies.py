"""What a fault makes of a reply, and what the frontend adds to every one: its headers, compression."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from email.utils import formatdate

import attrs

from gemtune.emulator.messages.bodies import HTML, JSON, error_body, event, whole
from gemtune.emulator.messages.errors import bad_gateway_page
from gemtune.emulator.messages.http import HttpReply, JsonLayout
from gemtune.emulator.messages.json_text import dumps
from gemtune.emulator.trouble.faults import Fault
from gemtune.emulator.world.clock import SECOND
from gemtune.emulator.world.face import Face

# Observed on replies of Google's frontends; clients must cope with them. A service says its own name.
_FRONTEND = {
    "vary": "Origin, X-Origin, Referer",
    "server": "gemtune emulator",
    "x-xss-protection": "0",
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    "server-timing": "gfet4t7; dur=1",
    "alt-svc": 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
}


def fault_reply(fault: Fault, layout: JsonLayout, face: Face) -> HttpReply:
    """Return the reply that a fault asks for instead of the request's own."""
    if fault.drop:
        return HttpReply(status=0, drop=True)
    if fault.status in (204, 205, 304):  # HTTP gives these no body, whatever the fault says
        return HttpReply(status=fault.status)
    if fault.exact is not None:
        return HttpReply(status=0, exact=fault.exact.encode("latin-1"))
    if fault.html:
        status = fault.status or 502
        return HttpReply(status=status, chunks=(bad_gateway_page(status).encode(),), headers={"content-type": HTML})
    if fault.garbage:
        return HttpReply(status=fault.status or 200, chunks=(b'{\n  "name": "',), headers={"content-type": JSON})
    if fault.body is None:
        return face.refuse(fault.rpc_error(face.usual_error), layout)
    if isinstance(fault.body, str | bytes):
        content = fault.body.encode() if isinstance(fault.body, str) else fault.body
    else:
        content = whole(fault.body, layout)
    return HttpReply(status=fault.status or 200, chunks=(content,), headers={"content-type": JSON})


def spoil(reply: HttpReply, fault: Fault, layout: JsonLayout, face: Face) -> HttpReply:
    """Return what a fault makes of the reply to a request that was carried out."""
    if not fault.replaces_reply:
        return reply
    if fault.after is None or not (layout.sse or layout.array):
        return fault_reply(fault, layout, face)
    kept = reply.chunks[: fault.after] if layout.sse else reply.chunks[: min(fault.after, len(reply.chunks) - 1)]
    if fault.drop:
        return attrs.evolve(reply, chunks=kept, drop=True)
    if isinstance(fault.body, str):
        return attrs.evolve(reply, chunks=(*kept, fault.body.encode()))
    body = error_body(fault.rpc_error(face.usual_error)) if fault.body is None else fault.body
    if fault.raw or not layout.sse:
        separator = b"" if layout.sse else b",\r\n" if kept else b"["
        return attrs.evolve(reply, chunks=(*kept, separator + dumps(body) + (b"" if layout.sse else b"]")))
    return attrs.evolve(reply, chunks=(*kept, event(body)))


def mark(reply: HttpReply, fault: Fault) -> HttpReply:
    """Add a fault's headers, and what it says about bytes and connections."""
    headers = reply.headers | {name.lower(): value for name, value in fault.headers.items()}
    if fault.cut == "json":
        body, file = b"".join(reply.chunks), reply.file
        headers.pop("content-length", None)
        return attrs.evolve(
            reply, headers=headers, chunks=(body[: len(body) // 2],), pace=fault.pace, then=fault.then,
            file=file and attrs.evolve(file, size=file.size // 2),
        )  # fmt: skip
    return attrs.evolve(reply, headers=headers, cut=fault.cut, pace=fault.pace, then=fault.then)


def compress(reply: HttpReply, accept_encoding: str) -> HttpReply:
    """Compress a whole body for a caller that accepts it; streams are sent as they are."""
    # A compressed stream would arrive when the compressor pleases and not event by event. And what says its length is
    # data, of which a caller may want a part.
    if "content-length" in reply.headers or reply.streams or not reply.chunks or not _accepts_gzip(accept_encoding):
        return reply
    content = gzip.compress(reply.chunks[0], compresslevel=1, mtime=0)
    return attrs.evolve(reply, chunks=(content,), headers=reply.headers | {"content-encoding": "gzip"})


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip is among the codings of RFC 9110, section 12.5.3, and not with a weight of zero."""
    codings = (coding.partition(";") for coding in accept_encoding.lower().replace(" ", "").split(","))
    return any(name == "gzip" and weight.rstrip("0.") != "q=" for name, _, weight in codings)


def own_error(code: int, message: str, status: str) -> HttpReply:
    """Return an error of the emulator itself, which no service would give."""
    body = dumps({"error": {"code": code, "message": message, "status": status}})
    return HttpReply(status=code, chunks=(body,), headers={"content-type": JSON})


def header_lines(headers: Mapping[str, str], now: int) -> list[tuple[bytes, bytes]]:
    """Return header lines as the frontend sends them, with the emulator's own date."""
    every = {"date": formatdate(now // SECOND, usegmt=True), **_FRONTEND, **headers}
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in every.items()]
