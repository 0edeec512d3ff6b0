"""Objects: get, download, list, delete. How they come in is in ``uploads.py``."""

from __future__ import annotations

from pathlib import Path

from gemtune.emulator.messages.bodies import HTML
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.http import FileSlice, HttpReply, byte_range
from gemtune.emulator.storage.calls import StorageRequest, bucket_of, check_conditions, number
from gemtune.emulator.storage.listing import page_of
from gemtune.emulator.storage.messages import HEADERS, hash_header, object_value
from gemtune.emulator.storage.refusals import no_object, refused
from gemtune.emulator.world.objects import StoredObject
from gemtune.emulator.world.store import MethodCall, Store


def find(store: Store, call: MethodCall) -> StoredObject:
    """Return the object that a call is about; raises RpcError (404, 412)."""
    bucket, name = bucket_of(store, call), call.params["object"]
    found = bucket.objects.get(name)
    # Only the latest generation is kept, as in a bucket without versioning.
    wanted = number(call, "generation")
    if found is None or wanted not in (None, found.generation):
        raise no_object(bucket.facts.name, name)
    check_conditions(call, found)
    return found


def is_in_file(store: Store, call: MethodCall) -> bool:
    """Return whether a file has to be opened for what a call asks for."""
    found = store.objects.find(call.params["bucket"], call.params["object"])
    return call.query.get("alt") == "media" and found is not None and isinstance(found.content.data, Path)


def get(store: Store, call: MethodCall) -> Value | HttpReply:
    """Return an object's resource, or with ``alt=media`` its bytes."""
    if call.query.get("alt") != "media":
        return object_value(find(store, call), StorageRequest.of(call).origin)
    try:
        return _download(find(store, call), StorageRequest.of(call).headers.get("range", ""))
    except RpcError as error:
        # Observed: where data is asked for, an error is text.
        return HttpReply(status=error.code, chunks=(error.message.encode(),), headers={"content-type": HTML})


def _download(found: StoredObject, asked: str) -> HttpReply:
    size = found.content.size
    part = byte_range(asked, size)
    start, stop = part or (0, size)
    if part and start == stop:
        raise refused(416, f"The requested range cannot be satisfied: {asked} of {size} bytes.")
    headers = {
        "content-type": found.content_type or "application/octet-stream",
        **{HEADERS[name]: value for name, value in found.headers.items()},
        "content-length": str(stop - start),
        "accept-ranges": "bytes",
        "x-goog-generation": str(found.generation),
        "x-goog-metageneration": "1",
        "x-goog-hash": hash_header(found),
        "x-goog-storage-class": "STANDARD",
        "x-goog-stored-content-encoding": found.headers.get("content_encoding", "identity"),
        "x-goog-stored-content-length": str(size),
    }
    if part:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    status = 206 if part else 200
    if isinstance(found.content.data, bytes):
        return HttpReply(status=status, chunks=(found.content.data[start:stop],), headers=headers)
    try:
        file = found.content.open()
    except FileNotFoundError:  # another object has just taken its place
        raise refused(503, "The object is being replaced. Please try again.") from None
    return HttpReply(status=status, file=FileSlice(file, start, stop - start), headers=headers)


def list_(store: Store, call: MethodCall) -> Value:
    """Return a page of the objects in a bucket."""
    bucket = bucket_of(store, call)
    page, origin = page_of(call, bucket.names), StorageRequest.of(call).origin
    found = (bucket.objects.get(name) for name in page.names)
    return {
        "kind": "storage#objects",
        "next_page_token": page.token,
        "prefixes": page.prefixes,
        "items": [object_value(each, origin) for each in found if each],
    }


def delete(store: Store, call: MethodCall) -> HttpReply:
    """Remove an object."""
    store.objects.remove(find(store, call))
    return HttpReply(status=204)
