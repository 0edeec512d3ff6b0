"""The Gemini API's files: one function per remote method, and one per step of an upload in pieces.

An upload is a session with an address of its own (``X-Goog-Upload-*``). Each piece says where it begins. The question
``query`` brings how much has arrived, so that a piece whose reply was lost is not sent again in vain. The piece that
ends the file brings the file itself.

The file's name is chosen by whoever uploads, and a name is given only once. So a file whose last reply was lost is
found by its name, and no second one can come into being beside it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import partial
from typing import Final, Never
from urllib.parse import parse_qsl, urlsplit

import attrs

from gemtune.errors import MalformedResponse
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import decode, dumps, loads
from gemtune.protocol.gemini import Page, paging
from gemtune.protocol.storage import Arrived, UploadSession
from gemtune.types.files import File, ListFilesResponse

MAX_BYTES: Final = 2_147_483_648
"""The most bytes of one file."""
_UPLOAD: Final = "/upload/v1beta/files"
_FILE: Final = partial(decode, File)
_GRANULARITY: Final = re.compile(r"[1-9]\d{0,8}")


@attrs.frozen(kw_only=True)
class NewFile:
    """A file that is to be uploaded.

    Args:
        name: ``files/{id}``, chosen for it.
        display_name: What people call it.
        mime_type: The type of its content.
        size: Its bytes.
    """

    name: str
    display_name: str
    mime_type: str
    size: int


def begin_upload(new: NewFile) -> Call[UploadSession | None]:
    """``media.upload``: begin a session; there is no file before all of it has arrived."""
    body: dict[str, object] = {"name": new.name}
    if new.display_name:
        body["displayName"] = new.display_name
    return Call(
        method="media.upload",
        verb="POST",
        path=_UPLOAD,
        body=dumps({"file": body}, strict=True),
        headers=(
            ("content-type", "application/json"),
            ("x-goog-upload-protocol", "resumable"),
            ("x-goog-upload-command", "start"),
            ("x-goog-upload-header-content-length", str(new.size)),
            ("x-goog-upload-header-content-type", new.mime_type),
        ),
        effect=Effect.READ,
        decode=_no_json,
        read=_session,
        resource=new.name,
    )


def put_piece(session: UploadSession, new: NewFile, start: int, data: bytes) -> Call[File | Arrived]:
    """Send a piece of an upload; the last one brings the file."""
    last = start + len(data) >= new.size
    command = "upload, finalize" if last else "upload"
    headers = (("x-goog-upload-command", command), ("x-goog-upload-offset", str(start)))
    return _step(session, new, data, headers, start + len(data))


def ask_upload(session: UploadSession, new: NewFile) -> Call[File | Arrived]:
    """Ask how much of an upload has arrived; all of it, if it has ended."""
    return _step(session, new, b"", (("x-goog-upload-command", "query"),), None)


def get_file(name: str) -> Call[File]:
    """``files.get``."""
    return Call(method="files.get", verb="GET", path=f"/v1beta/{name}", effect=Effect.READ, decode=_FILE, resource=name)


def list_files(*, page_size: int | None = None, page_token: str | None = None) -> Call[Page[File]]:
    """``files.list``: by default 10 a page."""
    return Call(
        method="files.list",
        verb="GET",
        path="/v1beta/files",
        query=paging(page_size, page_token),
        effect=Effect.READ,
        decode=_files,
    )


def delete_file(name: str) -> Call[None]:
    """``files.delete``; a file of that name that is made later cannot be meant, so that it may be repeated."""
    return Call(
        method="files.delete",
        verb="DELETE",
        path=f"/v1beta/{name}",
        effect=Effect.READ,
        decode=lambda _: None,
        read=lambda *_: None,
        resource=name,
    )


def download_file(name: str) -> Call[bytes]:
    """The content of a file that the service has made."""
    return Call(
        method="files.download",
        verb="GET",
        path=f"/download/v1beta/{name}:download",
        query=(("alt", "media"),),
        effect=Effect.READ,
        decode=lambda _: b"",
        read=lambda _status, _headers, body: body,
        resource=name,
        bulky=True,
    )


def digest_matches(said: str, sha256: bytes) -> bool:
    """Return whether a file's ``sha256_hash`` is that of its content; True if it cannot be understood.

    The field is documented as bytes in Base64. What the service has been seen to write is the Base64 of the
    hexadecimal digits.

    Args:
        said: The field.
        sha256: The digest of the content.
    """
    try:
        found = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError):
        return True
    if len(found) == len(sha256):
        return found == sha256
    return len(found) != 2 * len(sha256) or found.lower() == sha256.hex().encode()


def _files(value: object) -> Page[File]:
    found = decode(ListFilesResponse, value)
    return Page(found.files, found.next_page_token or None)


def _session(status: int, headers: Mapping[str, str], body: bytes) -> UploadSession:  # noqa: ARG001
    # Of the address only what follows the host: to which host the credential goes is never for a reply to say.
    parts = urlsplit(headers.get("x-goog-upload-url", ""))
    if not parts.path.startswith("/upload/") or not parts.query:
        raise MalformedResponse("the reply names no session for the upload")
    granularity = headers.get("x-goog-upload-chunk-granularity", "1")
    unit = int(granularity) if _GRANULARITY.fullmatch(granularity) else 1
    return UploadSession(parts.path, tuple(parse_qsl(parts.query, keep_blank_values=True)), unit)


def _step(
    session: UploadSession, new: NewFile, data: bytes, headers: tuple[tuple[str, str], ...], sent: int | None
) -> Call[File | Arrived]:
    def read(status: int, answered: Mapping[str, str], body: bytes) -> File | Arrived:  # noqa: ARG001
        state = answered.get("x-goog-upload-status", "")
        if state == "final":
            return _uploaded(body, new)
        if state != "active":
            raise MalformedResponse(f"the state of the upload cannot be understood: {state!r:.60}")
        said = answered.get("x-goog-upload-size-received", "" if sent is None else str(sent))
        if not said.isdecimal() or int(said[:16]) > new.size:
            raise MalformedResponse(f"how much of the upload has arrived cannot be understood: {said!r:.60}")
        return Arrived(int(said))

    return Call(
        method="media.upload",
        verb="POST",
        path=session.path,
        query=session.query,
        body=data,
        headers=headers,
        effect=Effect.READ,
        decode=_no_json,
        read=read,
        resource=new.name,
        bulky=bool(data),
    )


def _no_json(value: object) -> Never:  # noqa: ARG001
    raise MalformedResponse("the headers of this reply say what matters")


def _uploaded(body: bytes, new: NewFile) -> File:
    """Return the file that the last piece brought; only its name, if the reply holds no more."""
    value = loads(body) if body.strip() else {}
    found = value.get("file") if isinstance(value, dict) else None
    return decode(File, found) if isinstance(found, dict) else File(name=new.name)
