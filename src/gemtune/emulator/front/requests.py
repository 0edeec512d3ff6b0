"""Reading a request off the ASGI connection, within bounds of size and time."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

import anyio

from gemtune.emulator.front.delivery import Receive, Scope
from gemtune.emulator.messages.http import HttpRequest
from gemtune.emulator.world.settings import Settings

# A body that is a little too large is read to its end, because many clients only look at a reply when all is sent.
_PATIENCE = 4


class BodyTooLong(Exception):
    """A body came without an end, or too slowly; no more of it is read."""


async def read_request(scope: Scope, receive: Receive, settings: Settings) -> HttpRequest | None:
    """Return the whole request; None if the caller went away.

    A body larger than any method takes is counted but not kept.

    Raises:
        BodyTooLong: with a message for the caller, whose connection is to be closed.
    """
    limit = settings.largest_body
    with anyio.move_on_after(settings.body_seconds) as waiting:  # real time, whatever the emulator's clock does
        body = await _read_body(receive, limit)
    if waiting.cancelled_caught:
        raise BodyTooLong(f"The body did not arrive within {settings.body_seconds:g} s.")
    if body is None:
        return None
    chunks, size = body
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    path = raw_path.partition(b"?")[0].decode("latin-1")
    return HttpRequest(scope["method"], path, query, headers, b"".join(chunks), size)


async def _read_body(receive: Receive, limit: int) -> tuple[list[bytes], int] | None:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        else:
            chunks.clear()
        if not message.get("more_body"):
            return chunks, size
        if size > _PATIENCE * limit:
            raise BodyTooLong(f"The body is longer than {_PATIENCE * limit} bytes.")
