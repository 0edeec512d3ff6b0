"""What is left of a sweep that never had a job: nothing that anybody would miss."""

from __future__ import annotations

import os
from pathlib import Path

from gemtune.batch.journal.lines import sound_lines
from gemtune.batch.journal.locked import LockedFile
from gemtune.errors import JournalError
from gemtune.sweep.journal.folder import POINTS
from gemtune.sweep.journal.lines import SWEEP_VERSION, KnownPoint, SweepHeader, read_point


def remove_if_no_job(folder: str | os.PathLike[str], *, whole: bool = True) -> bool:
    """Remove the journal of a sweep of which surely no job was ever created; return whether it did; blocks.

    So a wrong base model leaves no folder that would have to be removed by hand before the next try. Whatever cannot be
    read, whatever may have been created, and a folder that holds anything else stays.

    Args:
        folder: The folder.
        whole: Whether the folder goes as well as the file in it.
    """
    place = Path(folder)
    try:
        if not place.is_dir() or [each.name for each in place.iterdir()] != [POINTS]:
            return False
        file = LockedFile.open(place.absolute() / POINTS)
    except (OSError, JournalError):
        return False
    try:
        if not _is_without_jobs(file):
            return False
        (place / POINTS).unlink()
        if whole:
            place.rmdir()
    except (OSError, JournalError):
        return False
    finally:
        file.close()
    return True


def _is_without_jobs(file: LockedFile) -> bool:
    known: dict[int, KnownPoint] = {}
    with open(file.fd, "rb", closefd=False) as content:
        header = SweepHeader.parse(content.readline())
        if header is None or header.version != SWEEP_VERSION:
            return False
        if not all(read_point(line, known) for _, line in sound_lines(content)):
            return False
    return not any(point.creating or point.job for point in known.values())
