"""How objects come in: whole, with their metadata (multipart), or in a resumable upload (``sessions.py``)."""

from __future__ import annotations

import re

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.contents import Scratch
from gemtune.emulator.messages.http import HttpReply
from gemtune.emulator.storage.calls import StorageRequest, bucket_of, read_json
from gemtune.emulator.storage.refusals import bad_parameter, refused
from gemtune.emulator.storage.sessions import begin
from gemtune.emulator.storage.uploads import GivenObject, finish
from gemtune.emulator.world.store import MethodCall, Store

_HEAD = 1 << 20  # bytes in which the metadata of a multipart body must be
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)


def insert(store: Store, call: MethodCall) -> Value | HttpReply:
    """Take in an object, or begin a resumable upload of one."""
    bucket_of(store, call)
    match call.query.get("uploadType"):
        case "media":
            request = StorageRequest.of(call)
            given = GivenObject.of(call, {}, request.headers.get("content-type"))
            return finish(store, call, given, request.data)
        case "multipart":
            return _multipart(store, call)
        case "resumable":
            return begin(store, call)
        case other:
            raise bad_parameter("uploadType", str(other))


def _multipart(store: Store, call: MethodCall) -> Value:
    request = StorageRequest.of(call)
    metadata, content_type, start, stop = _parts(request.headers.get("content-type", ""), request.data)
    given = GivenObject.of(call, read_json(metadata), content_type)
    media = store.objects.depot.scratch()
    for block in request.data.blocks(start, stop):
        media.append(block)
    return finish(store, call, given, media)


def _parts(content_type: str, data: Scratch) -> tuple[bytes, str | None, int, int]:
    """Return the metadata of a multipart/related body, the type of its media, and where they begin and end."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or found is None:
        raise refused(400, "Multipart content-type must be multipart/related and name a boundary.", "badContent")
    mark = b"--" + (found[1] or found[2]).encode("latin-1", "replace")
    head = data.read(0, _HEAD)
    first = _line(head, mark, 0)
    second = _line(head, mark, first[1]) if first else None
    if not first or not second:
        raise refused(400, "Missing metadata part in multipart body.", "badContent")
    _, metadata = _split(head[first[1] : second[0]])
    kind, media = _split(head[second[1] :])
    start = len(head) - len(media)
    # Between the last boundary and the end there is nothing, or a little white space.
    at = max(start - 2, data.size - len(mark) - 256)
    tail = data.read(at, data.size - at).rstrip()
    before = tail.removesuffix(mark + b"--")
    if before == tail or not before.endswith(b"\n"):
        raise refused(400, "Missing end boundary in multipart body.", "badContent")
    return metadata, kind, start, max(start, at + _end(before))


def _line(head: bytes, mark: bytes, at: int) -> tuple[int, int] | None:
    """Return where the line break before the next boundary is, and where the line after it begins."""
    while (found := head.find(mark, at)) >= 0:
        end = head.find(b"\n", found)
        if head[found - 1 : found] in (b"", b"\n") and end >= 0 and not head[found + len(mark) : end].strip():
            return _end(head[max(0, found - 2) : found]) + max(0, found - 2), end + 1
        at = found + len(mark)
    return None


def _end(text: bytes) -> int:
    """Return the length without one line break at the end."""
    return len(text.removesuffix(b"\n").removesuffix(b"\r"))


def _split(part: bytes) -> tuple[str | None, bytes]:
    """Return the Content-Type and the body of a part."""
    kind, at = None, 0
    while (end := part.find(b"\n", at)) >= 0:
        line, at = part[at:end].strip(), end + 1
        if not line:
            return kind, part[at:]
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-type":
            kind = value.strip().decode("latin-1")
    return kind, b""
