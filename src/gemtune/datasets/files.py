"""The files of a chat: where they lie decides whether a model can be tuned on them.

Vertex AI learns from files in Cloud Storage alone. A request to a model may hold a file itself (``inlineData``) or
point to any address, so that such files have a form in Google's layout, but none that can be tuned on.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from gemtune.datasets.conversations import wrong
from gemtune.errors import InvalidInput
from gemtune.wholefile import whole_file

_DATA: Final = re.compile(r"data:(?P<kind>[\w.+-]+/[\w.+-]+)(;[^,;]*)*;base64,(?P<data>[A-Za-z0-9+/=\s]+)", re.ASCII)


@attrs.frozen
class FileShelf:
    """A folder for files that stand in the data itself, and where in Cloud Storage it will be.

    Args:
        folder: The folder.
        uri: ``gs://bucket/folder``.
    """

    folder: Path
    uri: str

    @classmethod
    def of(cls, folder: str | os.PathLike[str], uri: str) -> FileShelf:
        """Return one whose folder is there.

        Raises:
            InvalidInput: The place is none in Cloud Storage.
        """
        if not re.fullmatch(r"gs://[^/]+(/.*)?", uri):
            raise InvalidInput(f"files_uri is a place in Cloud Storage, 'gs://bucket/folder', not {uri!r:.60}")
        Path(folder).mkdir(parents=True, exist_ok=True)
        return cls(Path(folder), uri.rstrip("/"))

    def put(self, kind: str, data: bytes) -> str:
        """Write a file under the hash of its content, and return its address."""
        name = f"{hashlib.sha256(data).hexdigest()[:32]}{mimetypes.guess_extension(kind) or ''}"
        target = self.folder / name
        if not target.exists():
            with whole_file(target) as file:
                file.write(data)
        return f"{self.uri}/{name}"


def file_part(uri: str, place: str, *, anywhere: bool, shelf: FileShelf | None = None) -> dict[str, Any]:
    """Return the part for a file.

    Args:
        uri: ``gs://bucket/name.png``; an address or ``data:`` if it may lie anywhere.
        place: Where it stands, for errors.
        anywhere: Whether it may lie elsewhere than in Cloud Storage.
        shelf: Takes a file that stands in the data itself.

    Raises:
        InvalidInput: It lies where it cannot be learned from, or it is not known what it is.
    """
    kind = mimetypes.guess_type(uri)[0] if not uri.startswith("data:") else None
    if uri.startswith("gs://") and kind:
        return {"fileData": {"mimeType": kind, "fileUri": uri}}
    inline = _DATA.fullmatch(uri)
    if inline is not None and shelf is not None and not anywhere:
        try:
            data = base64.b64decode(inline["data"], validate=False)
        except binascii.Error:
            raise wrong(place, "holds an image that is not valid base64", "invalid_part") from None
        return {"fileData": {"mimeType": inline["kind"], "fileUri": shelf.put(inline["kind"], data)}}
    if not anywhere:
        what = "holds an image that is not in Cloud Storage: put it there (gs://bucket/name.png)"
        raise wrong(place, what, "file_not_in_cloud_storage")
    if inline is not None:
        return {"inlineData": {"mimeType": inline["kind"], "data": inline["data"]}}
    if uri.startswith(("https://", "http://")) and kind:
        return {"fileData": {"mimeType": kind, "fileUri": uri}}
    raise wrong(place, f"is no file whose kind is known: {uri:.60}", "invalid_part")


def uri_of(file: Mapping[str, Any]) -> str | None:
    """Return what points to a file: its address, or the file itself; None if it has neither."""
    if file.get("fileUri"):
        return str(file["fileUri"])
    return f"data:{file['mimeType']};base64,{file['data']}" if file.get("data") else None
