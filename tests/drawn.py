"""Texts that are kept in files, to be read as they are seen."""

import os
from pathlib import Path


def same(name: str, text: str, folder: Path) -> None:
    """Compare a text with its file; GEMTUNE_DRAW=1 writes the file instead."""
    path = folder / f"{name}.txt"
    if os.environ.get("GEMTUNE_DRAW"):
        path.write_text(f"{text}\n", encoding="utf-8")
    assert f"{text}\n" == path.read_text(encoding="utf-8")
