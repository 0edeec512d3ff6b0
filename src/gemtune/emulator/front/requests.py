"""Reading a request off the ASGI connection."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

from gemtune.emulator.front.delivery import Receive, Scope
from gemtune.emulator.messages.http import HttpRequest


async def read_request(scope: Scope, receive: Receive, limit: int) -> HttpRequest | None:
    """Return the whole request; a body beyond the limit is counted but not kept. None if the caller went away."""
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
        if not message.get("more_body"):
            break
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    path = raw_path.partition(b"?")[0].decode("latin-1")
    return HttpRequest(scope["method"], path, query, headers, b"".join(chunks), size)
