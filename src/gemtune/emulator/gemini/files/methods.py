"""Files: get, list, delete and download. How they come in is in ``uploads.py``."""

from __future__ import annotations

from pathlib import Path

from gemtune.emulator.gemini.files.calls import MediaRequest
from gemtune.emulator.gemini.files.shelf import StoredFile, file_value
from gemtune.emulator.gemini.shelf import shelf_of
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError, bad_request, permission_denied
from gemtune.emulator.messages.http import FileSlice, HttpReply, byte_range
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Store

_LONGEST_ID = 40
_NEWEST_FIRST = 1 << 62


def no_file(name: str) -> RpcError:
    """Return 403: the service does not say whether there is no such file, or whether it is somebody else's."""
    shown = name.removeprefix("files/")
    return permission_denied(f"You do not have permission to access the File {shown} or it may not exist.")


def find_file(store: Store, name: str, owner: str) -> StoredFile:
    """Return a file; raises RpcError (403)."""
    found = shelf_of(store).files.find(name, owner)
    if found is None:
        raise no_file(name)
    return found


def _named(store: Store, call: MethodCall, request: str) -> StoredFile:
    name = call.params["name"]
    # Observed: the results of a batch have longer ids than that, and can be downloaded but neither got nor deleted.
    if len(name.removeprefix("files/")) > _LONGEST_ID:
        text = f"File ID (name excluding 'files/') cannot be more than {_LONGEST_ID} characters."
        raise bad_request(f"* {request}.name: {text}\n")
    return find_file(store, name, call.caller.email)


def get(store: Store, call: MethodCall) -> Value:
    """Return a file's resource."""
    return file_value(_named(store, call, "GetFileRequest"), MediaRequest.of(call).origin)


def list_(store: Store, call: MethodCall) -> Value:
    """List the caller's files, newest first."""
    every = reversed(shelf_of(store).files.of(call.caller.email))
    page, token = take_page(call, ((_NEWEST_FIRST - each.number, each) for each in every), default=10, maximum=100)
    origin = MediaRequest.of(call).origin
    return {"files": [file_value(each, origin) for each in page], "next_page_token": token}


def delete(store: Store, call: MethodCall) -> Value:
    """Remove a file; a batch that has begun with it keeps what it needs."""
    shelf_of(store).remove_file(store, _named(store, call, "DeleteFileRequest"))
    return {}


def is_in_file(store: Store, call: MethodCall) -> bool:
    """Return whether a file of the disk has to be opened for what a call asks for."""
    found = shelf_of(store).files.files.get(call.params["name"])
    return found is not None and isinstance(found.content.data, Path)


def download(store: Store, call: MethodCall) -> HttpReply:
    """Return the bytes of a file that the service has made, or a range of them."""
    found = find_file(store, call.params["name"], call.caller.email)
    if found.source != "GENERATED":
        raise bad_request(f"Only generated files can be downloaded, and {found.name} was uploaded.")
    size, asked = found.content.size, MediaRequest.of(call).headers.get("range", "")
    wanted = byte_range(asked, size)
    start, stop = wanted or (0, size)
    if wanted and start == stop:
        headers = {"content-range": f"bytes */{size}"}
        raise RpcError("OUT_OF_RANGE", f"The range {asked} is not in {size} bytes.", code=416, headers=headers)
    headers = {
        "content-type": found.mime_type or "application/octet-stream",
        "content-length": str(stop - start),
        "accept-ranges": "bytes",
    }
    if wanted:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    status = 206 if wanted else 200
    if isinstance(found.content.data, bytes):
        return HttpReply(status=status, chunks=(found.content.data[start:stop],), headers=headers)
    return HttpReply(status=status, file=FileSlice(found.content.open(), start, stop - start), headers=headers)
