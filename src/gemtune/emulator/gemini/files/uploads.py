"""Resumable uploads of files, as Google's upload server speaks: commands in headers, always POST.

==========================  =====================================================================================
``X-Goog-Upload-Command``   answer
==========================  =====================================================================================
``start``                   ``x-goog-upload-url``: where the rest goes; what parts must be a multiple of
``upload``                  ``x-goog-upload-status: active``, how much is there
``upload, finalize``        ``final``, and the file
``query``                   ``active`` and how much is there; ``final`` or ``cancelled`` if it is over
``cancel``                  ``cancelled``
==========================  =====================================================================================

A part must begin where the last one ended: a client that got no reply has to ask. Uploads do not outlive the process;
their file does once they are finished. The address of an upload is its own credential.
"""

from __future__ import annotations

import re

from gemtune.emulator.gemini.files.calls import MediaRequest
from gemtune.emulator.gemini.files.shelf import PendingFile, StoredFile, file_value
from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.gemini.shelf import shelf_of
from gemtune.emulator.messages.bodies import JSON
from gemtune.emulator.messages.codec import Value, decode, encode
from gemtune.emulator.messages.errors import (
    RpcError,
    already_exists,
    bad_request,
    invalid_fields,
    not_found,
    unimplemented,
)
from gemtune.emulator.messages.http import HttpReply
from gemtune.emulator.messages.json_text import dumps, parse_json
from gemtune.emulator.world.clock import nanoseconds
from gemtune.emulator.world.store import MethodCall, Store

_ID = re.compile(r"files/[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_MOST_NAME = 512
_MOST_JSON = 1 << 16


def start(store: Store, call: MethodCall) -> HttpReply:
    """Begin a resumable upload; the reply says where to send the parts."""
    request, files = MediaRequest.of(call), shelf_of(store).files
    if request.headers.get("x-goog-upload-protocol", "").lower() != "resumable" or request.command() != "start":
        raise unimplemented()
    given = _given(request)
    if given["name"] and files.find(given["name"], call.caller.email):
        raise _taken(given["name"])
    size = request.number("header-content-length")
    _check_size(store, call.caller.email, size or 0)
    upload = PendingFile(
        id=store.random_id(48), owner=call.caller.email, begun=call.now, given=given, size=size,
        data=store.objects.depot.scratch(),
    )  # fmt: skip
    files.begin(upload)
    url = f"{request.origin}/upload/{call.version}/files?upload_id={upload.id}&upload_protocol=resumable"
    headers = {
        "x-goog-upload-url": url,
        "x-goog-upload-control-url": url,
        "x-goog-upload-chunk-granularity": str(store.settings.file_granularity),
    }
    return _status(upload, headers)


def _given(request: MediaRequest) -> dict[str, str]:
    text = request.data.read(0, _MOST_JSON)
    message = decode(SCHEMA, "CreateFileRequest", parse_json(text)) if text.strip() else {}
    file = message.get("file")
    fields = file if isinstance(file, dict) else {}
    given = {key: str(fields.get(key) or "") for key in ("name", "display_name", "mime_type")}
    found = []
    if given["name"] and not _ID.fullmatch(given["name"]):
        what = "must be 1 to 40 lower-case letters, digits and dashes, and neither begin nor end with a dash"
        found.append(("file.name", f"File ID (name excluding 'files/') {what}."))
    if len(given["display_name"]) > _MOST_NAME:
        found.append(("file.display_name", f"must be at most {_MOST_NAME} characters long."))
    if found:
        raise invalid_fields("CreateFileRequest", found)
    given["mime_type"] = request.headers.get("x-goog-upload-header-content-type") or given["mime_type"]
    return given


def is_long(store: Store, call: MethodCall) -> bool:
    """Return whether the data of a call, or of the upload that it belongs to, are more than a moment's work."""
    upload = shelf_of(store).files.uploads.get(call.query.get("upload_id", ""))
    parts = [MediaRequest.of(call).data, *([upload.data] if upload else [])]
    return any(part.is_long for part in parts) or store.objects.depot.blocks(sum(part.size for part in parts))


def part(store: Store, call: MethodCall) -> HttpReply:
    """Take in a part, end an upload, or say how much is there."""
    request = MediaRequest.of(call)
    upload = shelf_of(store).files.uploads.get(call.query.get("upload_id", ""))
    if upload is None:
        raise _with_status(not_found("There is no such upload: it was never begun, or has been forgotten."), None)
    with upload.lock:  # a client that lost patience sends the same again while the first is still being written
        command = request.command()
        if command == "query":
            return _status(upload, {})
        if upload.status != "active":
            raise _with_status(bad_request("Upload has already been terminated."), upload)
        if command == "cancel":
            upload.status = "cancelled"
            upload.data.discard()
            return _status(upload, {})
        if command not in ("upload", "finalize", "upload,finalize"):
            raise _with_status(bad_request(f"Unknown X-Goog-Upload-Command: {command[:50]!r}."), upload)
        try:
            if "upload" in command:
                _take(store, upload, request, final="finalize" in command)
            return _finish(store, upload, request, call.now) if "finalize" in command else _status(upload, {})
        except RpcError as error:
            raise _with_status(error, upload) from None


def _take(store: Store, upload: PendingFile, request: MediaRequest, *, final: bool) -> None:
    offset, unit = request.number("offset"), store.settings.file_granularity
    if offset != upload.received:
        said = "no offset" if offset is None else f"the offset {offset}"
        raise bad_request(f"The part has {said}, but {upload.received} bytes have been received.")
    total = upload.received + request.data.size
    if upload.size is not None and total > upload.size:
        raise bad_request(f"The upload was begun for {upload.size} bytes, and now has {total}.")
    if not final and request.data.size % unit:
        raise bad_request(f"A part that is not the last must be a multiple of {unit} bytes, not {request.data.size}.")
    if total > store.settings.max_file_bytes:
        raise _too_large(store)
    upload.take(request.data)


def _finish(store: Store, upload: PendingFile, request: MediaRequest, now: int) -> HttpReply:
    files, given = shelf_of(store).files, upload.given
    if upload.size is not None and upload.received != upload.size:
        raise bad_request(f"The upload was begun for {upload.size} bytes, and ends after {upload.received}.")
    _check_size(store, upload.owner, upload.received)
    name = given["name"] or f"files/{store.random_id(12)}"
    if name in files.files:
        raise _taken(name)
    _, content = store.objects.settle(upload.data, now)
    found = StoredFile(
        number=store.next_number(), name=name, owner=upload.owner, created=now // 1000 * 1000,
        # Observed: it is counted from the beginning of the upload.
        expires=upload.begun + nanoseconds(store.settings.file_seconds),
        content=content, sha256=upload.digest.hexdigest(), display_name=given["display_name"],
        mime_type=given["mime_type"],
    )  # fmt: skip
    files.files[name] = found
    upload.status = "final"
    value: Value = {"file": file_value(found, request.origin)}
    body = dumps(encode(SCHEMA, "CreateFileResponse", value))
    return _status(upload, {"content-type": JSON}, body)


def _check_size(store: Store, owner: str, size: int) -> None:
    """Refuse a file that is too large, or too much for all files of its owner."""
    if size > store.settings.max_file_bytes:
        raise _too_large(store)
    most = store.settings.max_all_files_bytes
    there = sum(found.content.size for found in shelf_of(store).files.of(owner))
    if there + size > most:
        text = f"Quota exceeded for metric: generativelanguage.googleapis.com/file_storage_bytes, limit: {most}"
        raise RpcError("RESOURCE_EXHAUSTED", text)


def _too_large(store: Store) -> RpcError:
    most = store.settings.max_file_bytes
    return RpcError("INVALID_ARGUMENT", f"The file is larger than {most} bytes.", code=413)


def _taken(name: str) -> RpcError:
    return already_exists(f"The file {name} already exists.")


def _status(upload: PendingFile, headers: dict[str, str], body: bytes = b"") -> HttpReply:
    told = {
        "x-goog-upload-status": upload.status,
        "x-goog-upload-size-received": str(upload.received),
        "x-guploader-uploadid": upload.id,
        "content-length": str(len(body)),
    }
    return HttpReply(chunks=(body,) if body else (), headers=told | headers)


def _with_status(error: RpcError, upload: PendingFile | None) -> RpcError:
    """Return an error with the state of the upload, which tells a client whether it may go on."""
    error.headers["x-goog-upload-status"] = upload.status if upload else "cancelled"
    if upload:
        error.headers["x-goog-upload-size-received"] = str(upload.received)
    return error
