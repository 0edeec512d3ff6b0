"""The bodies of replies: a message, a stream of them, an error, the frontend's pages."""

from __future__ import annotations

from collections.abc import Iterable

from gemtune.emulator.messages.codec import Value, encode
from gemtune.emulator.messages.errors import NOT_FOUND_PAGE, RpcError
from gemtune.emulator.messages.http import HttpReply, JsonLayout
from gemtune.emulator.messages.json_text import dumps
from gemtune.emulator.messages.masks import Mask, apply_mask
from gemtune.emulator.messages.schema import COMMON, Schema

JSON = "application/json; charset=UTF-8"
HTML = "text/html; charset=UTF-8"


def value_reply(schema: Schema, message: str, value: Value | list[Value], layout: JsonLayout, mask: Mask) -> HttpReply:
    """Return 200 with a message, or with a stream of them; of each, what the mask leaves."""
    values = value if isinstance(value, list) else [value]
    bodies = [apply_mask(encode(schema, message, item, enum_numbers=layout.enum_numbers), mask) for item in values]
    if layout.sse:
        return HttpReply(chunks=tuple(map(event, bodies)), headers={"content-type": "text/event-stream"})
    if layout.array:
        return HttpReply(chunks=tuple(array(bodies, layout)), headers={"content-type": JSON})
    return HttpReply(chunks=(dumps(bodies[0], pretty=layout.pretty),), headers={"content-type": JSON})


def error_body(error: RpcError) -> dict[str, object]:
    """Return the JSON of an error."""
    return encode(COMMON, "ErrorBody", error.body)


def error_reply(error: RpcError, layout: JsonLayout) -> HttpReply:
    """Return an error before the first byte; in place of a stream it is an element of an array."""
    content = whole(error_body(error), layout)
    return HttpReply(status=error.code, chunks=(content,), headers={"content-type": JSON, **error.headers})


def not_found_reply(path: str) -> HttpReply:
    """Return the frontend's page for a URL that is bound to nothing."""
    shown = path.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    page = NOT_FOUND_PAGE.replace("{path}", shown)
    return HttpReply(status=404, chunks=(page.encode(),), headers={"content-type": HTML})


def event(body: object) -> bytes:
    """Return a server-sent event."""
    return b"data: " + dumps(body, pretty=False, colon=": ") + b"\r\n\r\n"


def array(bodies: Iterable[object], layout: JsonLayout) -> list[bytes]:
    """Return the pieces of a JSON array, one for each element."""
    chunks = [dumps(body, pretty=layout.pretty) for body in bodies]
    separators = [b"["] + [b",\r\n"] * (len(chunks) - 1)
    pieces = [separator + chunk for separator, chunk in zip(separators, chunks, strict=True)]
    pieces[-1] += b"]"
    return pieces


def whole(body: object, layout: JsonLayout) -> bytes:
    """Return one body that is the only one of its reply."""
    return b"".join(array([body], layout)) if layout.array else dumps(body, pretty=layout.pretty)
