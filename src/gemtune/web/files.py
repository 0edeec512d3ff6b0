"""The files of the page, read once: a name that is not among them is no file, whatever path it pretends to be."""

from __future__ import annotations

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

import attrs

# Not from the system's table, which on some machines takes a script for plain text.
_KINDS: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


@attrs.frozen
class StaticFile:
    """A file: what it holds, and its media type."""

    content: bytes
    kind: str


def _read() -> dict[str, StaticFile]:
    found: dict[str, StaticFile] = {}

    def collect(folder: Traversable, prefix: str) -> None:
        for each in folder.iterdir():
            if each.is_dir():
                collect(each, f"{prefix}{each.name}/")
            else:
                kind = _KINDS.get(PurePosixPath(each.name).suffix, "text/plain")
                found[prefix + each.name] = StaticFile(each.read_bytes(), kind)

    collect(importlib.resources.files("gemtune.web") / "static", "")
    return found


FILES: Final = _read()
"""The files by their names: read while the module is loaded, because nothing may be read once a server runs."""
