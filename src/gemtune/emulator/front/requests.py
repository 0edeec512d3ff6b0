"""Reading a request off the ASGI connection, within bounds of size and time."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

import anyio
import anyio.to_thread

from gemtune.emulator.front.delivery import Receive, Scope
from gemtune.emulator.messages.contents import MIB, Scratch
from gemtune.emulator.messages.http import HttpRequest
from gemtune.emulator.world.settings import Settings

# A body that is a little too large is read to its end, because many clients only look at a reply when all is sent.
_PATIENCE = 4


_LOGGED = 1 << 16  # bytes of an upload that are shown in the log
_WHILE = 8 * MIB  # bytes of an upload that have as long as any other body


class BodyTooLong(Exception):
    """A body came without an end, or too slowly; no more of it is read."""


async def read_request(
    scope: Scope, receive: Receive, settings: Settings, upload: Scratch | None = None
) -> HttpRequest | None:
    """Return the whole request; None if the caller went away.

    A body larger than any method takes is counted but not kept.

    Args:
        scope: of the request.
        receive: of the request.
        settings: for the bounds.
        upload: what takes the body, if it may be long.

    Raises:
        BodyTooLong: with a message for the caller, whose connection is to be closed.
        DepotFull: there is no room for an upload.
    """
    with anyio.move_on_after(settings.body_seconds) as waiting:  # real time, whatever the emulator's clock does
        if upload is None:
            body = await _read_body(receive, settings.largest_body)
        else:
            body = await _spool(receive, upload, settings, waiting)
    if waiting.cancelled_caught:
        raise BodyTooLong(f"The body did not arrive within {settings.body_seconds:g} s.")
    if body is None:
        return None
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    origin = f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}"
    return HttpRequest(scope["method"], path_of(scope), query, headers, *body, origin=origin, upload=upload)


def path_of(scope: Scope) -> str:
    """Return the path of a request as it was sent."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("latin-1")


async def _read_body(receive: Receive, limit: int) -> tuple[bytes, int] | None:
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
            return b"".join(chunks), size
        if size > _PATIENCE * limit:
            raise BodyTooLong(f"The body is longer than {_PATIENCE * limit} bytes.")


async def _spool(
    receive: Receive, upload: Scratch, settings: Settings, waiting: anyio.CancelScope
) -> tuple[bytes, int] | None:
    """Take in a body that may be long: a part at a time, and what is written to a file in a thread."""
    limit, held, due = settings.max_object_bytes + MIB, bytearray(), _WHILE  # a multipart body has more than the object
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        held += message.get("body", b"")
        size, more = upload.size + len(held), message.get("more_body")
        if size > limit:
            raise BodyTooLong(f"The body is longer than {limit} bytes (max_object_bytes).")
        if size >= due:
            waiting.deadline, due = anyio.current_time() + settings.body_seconds, size + _WHILE
        if size > upload.memory and (len(held) >= MIB or not more):
            await anyio.to_thread.run_sync(upload.append, bytes(held))
            held = bytearray()
        elif not more:
            upload.append(bytes(held))
        if not more:
            return upload.read(0, _LOGGED), size
