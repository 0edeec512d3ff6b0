"""Resumable uploads: one after the other, parts of an object arrive, and at any time it can be asked how much is there.

=====================================  ==============================================================================
PUT says                               answer
=====================================  ==============================================================================
``bytes A-B/N``, the end of it         200 and the object
``bytes A-B/N`` or ``bytes A-B/*``     308 and ``Range: bytes=0-K``; what is kept is a multiple of 256 KiB
``bytes */N`` or ``bytes */*``         the same, with nothing new: the question how much is there
anything, once it is finished          200 and the object, again
=====================================  ==============================================================================

A part may begin before the end of what is there: a client that got no reply sends it again, and what has already
arrived is passed over. Uploads do not outlive the process; their object does once they are finished.
"""

from __future__ import annotations

import re
import threading
from typing import cast

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.contents import Scratch
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.http import HttpReply
from gemtune.emulator.storage.calls import StorageRequest, bucket_of, check_conditions, read_json
from gemtune.emulator.storage.refusals import refused
from gemtune.emulator.storage.uploads import GivenObject, check_size, finish
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import MethodCall, Store

_UNIT = 256 * 1024
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")


@attrs.define(eq=False)
class EmulatedUpload:
    """A resumable upload.

    Args:
        id: how it is called in ``upload_id``.
        query: of the request that began it; its preconditions hold for the end as well.
        given: about the object.
        size: of the object, if it was announced.
        data: what has arrived.
    """

    id: str
    query: dict[str, str]
    given: GivenObject
    size: int | None
    data: Scratch
    lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    finished: Value | None = attrs.field(default=None, init=False)


@attrs.define
class UploadShelf:
    """The resumable uploads under way, the oldest first."""

    settings: Settings
    uploads: dict[str, EmulatedUpload] = attrs.field(factory=dict, init=False)

    def add(self, upload: EmulatedUpload) -> None:
        """Take in an upload, in place of the oldest if there are too many."""
        while len(self.uploads) >= self.settings.max_uploads:
            del self.uploads[next(iter(self.uploads))]
        self.uploads[upload.id] = upload

    def clear(self) -> None:
        self.uploads.clear()

    def dump(self) -> object:
        """Return nothing: an upload ends with the process."""
        return {}

    def restore(self, kept: object) -> None:
        """Take over nothing."""


def _shelf(store: Store) -> UploadShelf:
    return cast(UploadShelf, store.shelves["storage"])


def begin(store: Store, call: MethodCall) -> HttpReply:
    """Begin a resumable upload; the reply says where to send the parts."""
    request, bucket = StorageRequest.of(call), bucket_of(store, call)
    metadata = read_json(request.data.read(0, request.data.size))
    given = GivenObject.of(call, metadata, request.headers.get("x-upload-content-type"))
    check_conditions(call, bucket.objects.get(given.name))
    announced = request.headers.get("x-upload-content-length", "")
    size = int(announced) if announced.isascii() and announced.isdigit() else None
    check_size(store, size or 0)
    upload = EmulatedUpload(store.random_id(48), call.query, given, size, store.objects.depot.scratch())
    _shelf(store).add(upload)
    path = f"/upload/storage/v1/b/{bucket.facts.name}/o"
    location = f"{request.origin}{path}?uploadType=resumable&upload_id={upload.id}"
    return HttpReply(headers={"location": location, "x-guploader-uploadid": upload.id, "content-length": "0"})


def find(store: Store, call: MethodCall) -> EmulatedUpload:
    """Return the upload that a call is about; raises RpcError (404) for one that is unknown or over."""
    upload = _shelf(store).uploads.get(call.query.get("upload_id", ""))
    if upload is None:
        raise refused(404, "There is no such upload: it was never begun, has ended, or the emulator began anew.")
    return upload


def is_long(store: Store, call: MethodCall) -> bool:
    """Return whether the data of a call, or of the upload that it belongs to, are more than a moment's work."""
    upload = _shelf(store).uploads.get(call.query.get("upload_id", ""))
    parts = [StorageRequest.of(call).data, *([upload.data] if upload else [])]
    return any(part.is_long for part in parts) or store.objects.depot.blocks(sum(part.size for part in parts))


def cancel(store: Store, call: MethodCall) -> HttpReply:
    """Give an upload up."""
    upload = find(store, call)
    if upload.finished is None:
        del _shelf(store).uploads[upload.id]
    return HttpReply(status=499, headers={"content-length": "0"})


def put(store: Store, call: MethodCall) -> Value | HttpReply:
    """Take in a part, or say how much is there."""
    upload = find(store, call)
    with upload.lock:  # a client that lost patience sends the same again while the first is still being written
        if upload.finished is None:
            ended = _take(store, call, upload)
            if not ended:
                return _incomplete(upload)
            merged = attrs.evolve(call, query=upload.query | call.query)
            try:
                upload.finished = finish(store, merged, upload.given, upload.data)
            except RpcError:  # what has arrived is not the object that was wanted: the client has to begin again
                _shelf(store).uploads.pop(upload.id, None)
                raise
        return upload.finished


def _take(store: Store, call: MethodCall, upload: EmulatedUpload) -> bool:
    """Add the part of a request to an upload; return whether that was the last."""
    request = StorageRequest.of(call)
    data, there = request.data, upload.data.size
    text = request.headers.get("content-range", f"bytes 0-{data.size - 1}/{data.size}" if data.size else "bytes */0")
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        raise refused(400, f"Failed to parse Content-Range header: {text[:100]!r}.", "badRequest")
    total = None if match[3] == "*" else int(match[3])
    check_size(store, total or 0)
    if upload.size is not None and total not in (None, upload.size):
        raise refused(400, f"The upload was begun for {upload.size} bytes, and now has {total}.", "badRequest")
    upload.size = upload.size if total is None else total
    if match[1] is None:
        return total is not None and total == there
    first, last = int(match[1]), int(match[2])
    if last - first + 1 != data.size or (total is not None and last >= total):
        raise refused(400, f"The Content-Range {text!r} is not that of {data.size} bytes.", "badRequest")
    if first > there:
        raise refused(400, f"The part begins at {first}, but only {there} bytes are there.", "badRequest")
    final = total is not None and last + 1 == total
    if not final and data.size < _UNIT:
        raise refused(
            400,
            "Invalid request.  The number of bytes uploaded is required to be equal or greater than 262144, except "
            "for the final request (it's recommended to be the exact multiple of 262144).  The received request "
            f"contained {data.size} bytes, which does not meet this requirement.",
            "badRequest",
        )
    stop = last + 1 if final else (last + 1) // _UNIT * _UNIT
    if there == first == 0 and stop == data.size:
        upload.data = data.moved()  # all at once, as most clients send it: nothing has to be copied
    else:
        for block in data.blocks(there - first, stop - first):
            upload.data.append(block)
    return final and upload.data.size == total


def _incomplete(upload: EmulatedUpload) -> HttpReply:
    there = {"range": f"bytes=0-{upload.data.size - 1}"} if upload.data.size else {}
    return HttpReply(status=308, headers={"content-length": "0", "x-guploader-uploadid": upload.id, **there})
