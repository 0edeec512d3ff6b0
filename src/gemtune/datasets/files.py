"""The files of a chat: where they lie decides whether a model can be tuned on them.

Vertex AI learns from files in Cloud Storage alone. A request to a model may hold a file itself (``inlineData``) or
point to any address, so that such files have a form in Google's layout, but none that can be tuned on.
"""

from __future__ import annotations

import mimetypes
import re
from typing import Any, Final

from gemtune.datasets.conversations import wrong

_DATA: Final = re.compile(r"data:(?P<kind>[\w.+-]+/[\w.+-]+)(;[^,;]*)*;base64,(?P<data>[A-Za-z0-9+/=\s]+)", re.ASCII)


def file_part(uri: str, place: str, *, anywhere: bool) -> dict[str, Any]:
    """Return the part for a file.

    Args:
        uri: ``gs://bucket/name.png``; an address or ``data:`` if it may lie anywhere.
        place: Where it stands, for errors.
        anywhere: Whether it may lie elsewhere than in Cloud Storage.

    Raises:
        RowError: It lies where it cannot be learned from, or it is not known what it is.
    """
    kind = mimetypes.guess_type(uri)[0] if not uri.startswith("data:") else None
    if uri.startswith("gs://") and kind:
        return {"fileData": {"mimeType": kind, "fileUri": uri}}
    if not anywhere:
        what = "holds an image that is not in Cloud Storage: put it there (gs://bucket/name.png)"
        raise wrong(place, what, "file_not_in_cloud_storage")
    inline = _DATA.fullmatch(uri)
    if inline is not None:
        return {"inlineData": {"mimeType": inline["kind"], "data": inline["data"]}}
    if uri.startswith(("https://", "http://")) and kind:
        return {"fileData": {"mimeType": kind, "fileUri": uri}}
    raise wrong(place, f"is no file whose kind is known: {uri:.60}", "invalid_part")


def uri_of(part: dict[str, Any]) -> str | None:
    """Return what points to the file of a part with ``fileData`` or ``inlineData``; None if it holds something else."""
    given = part.get("fileData") or part.get("inlineData") or {}
    if "fileUri" in given:
        return str(given["fileUri"])
    return f"data:{given['mimeType']};base64,{given['data']}" if "data" in given else None
