"""Cloud Storage's JSON API, as far as training data needs it: one function per request.

An object is written only if there is none of its name (``ifGenerationMatch=0``). Its name is made of its content, so
that whoever is refused for that reason (412) has the object already, and any of these requests may be repeated.

An upload in pieces is a session with an address of its own. The answer to a piece says how much of the whole has
arrived (308 with ``Range``), or is the object; the question ``bytes */N`` brings the same answer without a piece.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Never
from urllib.parse import parse_qsl, quote, urlsplit

import attrs

from gemtune.errors import MalformedResponse
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import dumps, loads
from gemtune.protocol.gemini import Page
from gemtune.settings.addresses import STORAGE

PIECE: Final = 256 * 1024
"""Every piece but the last is a multiple of this many bytes long."""
JSONL: Final = "application/jsonl"
_BOUNDARY: Final = "gemtune"
_EXISTS: Final = 412
_INCOMPLETE: Final = 308
_UPLOAD: Final = "/upload/storage/v1/"
_RANGE: Final = re.compile(r"bytes=0-(\d{1,15})")


@attrs.frozen(kw_only=True)
class CloudObject:
    """An object in Cloud Storage.

    Args:
        bucket: Its bucket.
        name: Its name.
        size: Its bytes.
        crc32c: Their CRC-32C as the service writes it; empty if it does not say.
        generation: Which version of the object it is.
    """

    bucket: str
    name: str
    size: int
    crc32c: str = ""
    generation: str = ""

    @property
    def uri(self) -> str:
        """Its address, ``gs://bucket/name``."""
        return f"gs://{self.bucket}/{self.name}"


@attrs.frozen
class UploadSession:
    """An upload in pieces that was begun.

    Args:
        path: The path of its address.
        query: The rest of it, which names the session.
        unit: Every piece but the last must be a multiple of this many bytes long.
    """

    path: str
    query: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    unit: int = 1


@attrs.frozen
class Arrived:
    """How many bytes of an upload have arrived, from the first one on."""

    count: int


def get_object(bucket: str, name: str) -> Call[CloudObject]:
    """``storage.objects.get``."""
    return Call(
        method="storage.objects.get",
        verb="GET",
        path=f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}",
        query=(("fields", "bucket,name,size,crc32c,generation"),),
        effect=Effect.READ,
        origin=STORAGE,
        decode=_object,
        resource=f"gs://{bucket}/{name}",
    )


def list_objects(bucket: str, prefix: str, *, page_token: str | None = None) -> Call[Page[CloudObject]]:
    """``storage.objects.list``: those whose names begin with a prefix."""
    return Call(
        method="storage.objects.list",
        verb="GET",
        path=f"/storage/v1/b/{quote(bucket, safe='')}/o",
        query=(
            ("prefix", prefix),
            ("pageToken", page_token),
            ("fields", "items(bucket,name,size,crc32c,generation),nextPageToken"),
        ),
        effect=Effect.READ,
        origin=STORAGE,
        decode=_objects,
        resource=f"gs://{bucket}/{prefix}",
    )


def read_object(found: CloudObject) -> Call[Never]:
    """``storage.objects.get`` of the content, of this version of it and no other."""
    return Call(
        method="storage.objects.get",
        verb="GET",
        path=f"/storage/v1/b/{quote(found.bucket, safe='')}/o/{quote(found.name, safe='')}",
        query=(("alt", "media"), ("generation", found.generation or None)),
        effect=Effect.READ,
        origin=STORAGE,
        decode=_no_json,
        resource=found.uri,
        bulky=True,
    )


def insert_object(wanted: CloudObject, data: bytes) -> Call[CloudObject | None]:
    """``storage.objects.insert`` in one request; None if there is an object of that name."""
    head = (
        f"--{_BOUNDARY}\r\ncontent-type: application/json\r\n\r\n".encode()
        + dumps(_metadata(wanted))
        + f"\r\n--{_BOUNDARY}\r\ncontent-type: {JSONL}\r\n\r\n".encode()
    )
    return Call(
        method="storage.objects.insert",
        verb="POST",
        path=f"{_UPLOAD}b/{quote(wanted.bucket, safe='')}/o",
        query=(("uploadType", "multipart"), ("ifGenerationMatch", 0)),
        # The data stands between these lines as it is: no line of JSON begins as they do.
        body=b"".join((head, data, f"\r\n--{_BOUNDARY}--\r\n".encode())),
        headers=(("content-type", f'multipart/related; boundary="{_BOUNDARY}"'),),
        accepts=frozenset({_EXISTS}),
        effect=Effect.READ,
        origin=STORAGE,
        decode=_object,
        read=_inserted,
        resource=wanted.uri,
        bulky=True,
    )


def begin_upload(wanted: CloudObject) -> Call[UploadSession | None]:
    """``storage.objects.insert`` in pieces: begin a session; None if there is an object of that name."""
    return Call(
        method="storage.objects.insert",
        verb="POST",
        path=f"{_UPLOAD}b/{quote(wanted.bucket, safe='')}/o",
        query=(("uploadType", "resumable"), ("ifGenerationMatch", 0)),
        body=dumps(_metadata(wanted)),
        headers=(
            ("content-type", "application/json"),
            ("x-upload-content-type", JSONL),
            ("x-upload-content-length", str(wanted.size)),
        ),
        accepts=frozenset({_EXISTS}),
        effect=Effect.READ,
        origin=STORAGE,
        decode=_no_json,
        read=_session,
        resource=wanted.uri,
    )


def put_piece(session: UploadSession, wanted: CloudObject, start: int, data: bytes) -> Call[CloudObject | Arrived]:
    """Send a piece of an upload; the object itself once it is complete, and what is there now if it existed."""
    end = start + len(data)
    headers = [("content-type", JSONL), ("content-range", f"bytes {start}-{end - 1}/{wanted.size}")]
    if end == wanted.size and wanted.crc32c:
        headers.append(("x-goog-hash", f"crc32c={wanted.crc32c}"))
    return _put(session, wanted, data, headers)


def ask_upload(session: UploadSession, wanted: CloudObject) -> Call[CloudObject | Arrived]:
    """Ask how much of an upload has arrived."""
    return _put(session, wanted, b"", [("content-range", f"bytes */{wanted.size}")])


def delete_object(found: CloudObject) -> Call[None]:
    """``storage.objects.delete`` of this version of an object and of no other."""
    return Call(
        method="storage.objects.delete",
        verb="DELETE",
        path=f"/storage/v1/b/{quote(found.bucket, safe='')}/o/{quote(found.name, safe='')}",
        query=(("ifGenerationMatch", found.generation or None),),
        effect=Effect.READ,
        origin=STORAGE,
        decode=_no_json,
        read=lambda *_: None,
        resource=found.uri,
    )


def _put(
    session: UploadSession, wanted: CloudObject, data: bytes, headers: list[tuple[str, str]]
) -> Call[CloudObject | Arrived]:
    def read(status: int, answered: Mapping[str, str], body: bytes) -> CloudObject | Arrived:
        if status == _EXISTS:
            return attrs.evolve(wanted, crc32c="", generation="")  # to be looked up
        if status != _INCOMPLETE:
            return _object(loads(body))
        said = answered.get("range")
        found = None if said is None else _RANGE.fullmatch(said)
        count = 0 if found is None else int(found[1]) + 1
        if (said is not None and found is None) or count > wanted.size:
            raise MalformedResponse(f"the range of an upload cannot be understood: {said!r:.60}")
        return Arrived(count)

    return Call(
        method="storage.objects.insert",
        verb="PUT",
        path=session.path,
        query=session.query,
        body=data,
        headers=tuple(headers),
        accepts=frozenset({_INCOMPLETE, _EXISTS}),
        effect=Effect.READ,
        origin=STORAGE,
        decode=_no_json,
        read=read,
        resource=wanted.uri,
        bulky=bool(data),
    )


def _metadata(wanted: CloudObject) -> dict[str, object]:
    return {"name": wanted.name, "contentType": JSONL, "crc32c": wanted.crc32c}


def _no_json(value: object) -> Never:  # noqa: ARG001
    raise MalformedResponse("there should be no JSON in this reply")


def _inserted(status: int, headers: Mapping[str, str], body: bytes) -> CloudObject | None:  # noqa: ARG001
    return None if status == _EXISTS else _object(loads(body))


def _session(status: int, headers: Mapping[str, str], body: bytes) -> UploadSession | None:  # noqa: ARG001
    if status == _EXISTS:
        return None
    # Of the address only what follows the host: to which host the credential goes is never for a reply to say.
    parts = urlsplit(headers.get("location", ""))
    if not re.fullmatch(rf"{_UPLOAD}b/[^/]+/o", parts.path) or "upload_id=" not in parts.query:
        raise MalformedResponse("the reply names no session for the upload")
    return UploadSession(parts.path, tuple(parse_qsl(parts.query, keep_blank_values=True)), PIECE)


def _object(value: object) -> CloudObject:
    if not isinstance(value, dict):
        raise MalformedResponse("the object is not a JSON object")
    bucket, name, size = (value.get(key) for key in ("bucket", "name", "size"))
    if not (isinstance(bucket, str) and isinstance(name, str) and str(size).isdecimal()):
        raise MalformedResponse("the object lacks its bucket, name or size")
    return CloudObject(
        bucket=bucket,
        name=name,
        size=int(str(size)),
        crc32c=str(value.get("crc32c") or ""),
        generation=str(value.get("generation") or ""),
    )


def _objects(value: object) -> Page[CloudObject]:
    if not isinstance(value, dict):
        raise MalformedResponse("the list is not a JSON object")
    found, token = value.get("items") or [], value.get("nextPageToken") or None
    if not isinstance(found, list) or not (token is None or isinstance(token, str)):
        raise MalformedResponse("the list's items or nextPageToken has the wrong type")
    return Page(tuple(map(_object, found)), token)
