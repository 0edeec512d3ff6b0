"""The folder of a sweep: one process writes it, and it is read once, when it is opened.

Lines are few (a handful for each point), and each is on the disk before what follows from it is sent. So every line is
written and synchronised at once, in a thread; whoever waits for that may be cancelled, and the line is whole or not
there. A sweep without a journal has the same object without a folder, which forgets everything.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import attrs

from gemtune.batch.journal.lines import sound_lines
from gemtune.batch.journal.locked import LockedFile, SharedFile, journal_error
from gemtune.errors import JournalBusy, JournalCorrupt, JournalError, JournalMismatch
from gemtune.remedy import Argument, Remedy
from gemtune.sweep.journal.lines import SWEEP_VERSION, KnownPoint, SweepHeader, read_point

POINTS: Final = "points.journal"
EVALUATION: Final = "evaluation"
_RESTORE: Final = Remedy("restore the file, or name another folder: ", Argument("journal"))
_ANOTHER: Final = Remedy("name another folder: ", Argument("journal"))


@attrs.define(eq=False)
class SweepJournal:
    """What a sweep writes down, and what earlier runs have written.

    Args:
        folder: The folder; None for a sweep that keeps nothing.
        of: What the sweep is of, by name.
        id: The sweep's own id, after ``open``.
        known: What earlier runs have written, by the number of the point, after ``open``.
        made: Whether ``open`` has made the folder.
    """

    folder: Path | None
    of: Mapping[str, str]
    id: str = attrs.field(factory=lambda: f"sweep-{secrets.token_hex(8)}", init=False)
    known: dict[int, KnownPoint] = attrs.field(factory=dict, init=False)
    made: bool = attrs.field(default=False, init=False)
    _shared: SharedFile = attrs.field(factory=SharedFile, init=False, repr=False)

    @property
    def resumed(self) -> bool:
        """Whether an earlier run has written something."""
        return bool(self.known)

    async def open(self) -> None:
        """Open the folder, or begin one; learn what earlier runs have written.

        Raises:
            JournalBusy: Another process runs this sweep.
            JournalMismatch: It is of another sweep, or of another version.
            JournalError: It cannot be read or written.
        """
        if self.folder is not None:
            await anyio.to_thread.run_sync(self._open, self.folder)

    async def note(self, *lines: bytes) -> None:
        """Write lines, and wait until they are on the disk.

        Raises:
            JournalError: They could not be written.
        """
        if self.folder is None:
            return
        # What is written follows a decision, or something that has happened: it is written by whoever is cancelled.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._write, b"".join(lines))

    def close(self, *, wait: bool = False) -> None:
        """Let go of the folder.

        Args:
            wait: Whether to wait for a thread that still writes; blocks. If not, the thread lets go of it at its end.
        """
        self._shared.close(wait=wait)

    def _open(self, folder: Path) -> None:
        # In a thread: where a process works, the disk knows; and it may work elsewhere later.
        self.folder = folder = folder.absolute()
        path = folder / POINTS
        try:
            self.made = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._shared.working():
                if self._shared.closed:
                    return
                self._shared.file = file = LockedFile.open(path)
                self._load(file)
        except JournalBusy:
            what = f"the sweep in {folder} is running already: wait for it, or name another folder"
            raise JournalBusy(what, path=str(folder)) from None
        except FileExistsError:
            raise journal_error(folder, "of a sweep is a folder, and there is a file of that name") from None
        except OSError as error:
            self.close()
            raise journal_error(folder, f"cannot be used: {error.strerror}") from None
        except BaseException:
            self.close()
            raise

    def _load(self, file: LockedFile) -> None:
        with open(file.fd, "rb", closefd=False) as content:
            content.seek(0)
            first = content.readline()
            header = SweepHeader.parse(first)
            if header is None:
                self._begin(file, first, content.readline())
                return
            self._check(file, header)
            self.id, end = header.id, len(first)
            try:
                for offset, line in sound_lines(content, end):
                    if not read_point(line, self.known):
                        raise journal_error(file.path, f"has a line at byte {offset} that this version cannot read")
                    end = offset + len(line)
            except JournalCorrupt as error:
                raise _damaged(file, error.offset) from None
        self._check_points(file)
        os.ftruncate(file.fd, end)  # what a kill has torn
        file.size = file.synced = end

    def _begin(self, file: LockedFile, first: bytes, second: bytes) -> None:
        # A first line that a kill has torn was never followed by anything, and no job has an id of it.
        if second or (first.endswith(b"\n") and first.strip()):
            raise JournalMismatch(f"{file.path} is not the journal of a sweep", _ANOTHER, path=str(file.path))
        file.begin(SweepHeader(self.id, self.of).to_line())

    def _check(self, file: LockedFile, header: SweepHeader) -> None:
        why = header.differs_from(self.of)
        if header.version != SWEEP_VERSION:
            why = "was written by another version of gemtune"
        if why:
            raise JournalMismatch(f"the journal {file.path.parent} {why}", _ANOTHER, path=str(file.path))

    def _check_points(self, file: LockedFile) -> None:
        lost = next((number for number, each in self.known.items() if each.begun and each.values is None), None)
        if lost is not None:  # somebody has deleted a line; another point of that number might be created beside it
            what = f"says that point {lost} was begun, and no longer what it is"
            raise JournalError(f"the journal {file.path} {what}", _RESTORE, path=str(file.path))

    def _write(self, data: bytes) -> None:
        with self._shared.working():
            file = self._shared.file
            if file is None:
                raise JournalError(f"the journal {self.folder} is closed", path=str(self.folder))
            try:
                wrong = file.changed()
                if wrong:
                    raise journal_error(file.path, wrong)
                file.append(data)
                file.sync()
            except OSError as error:
                raise journal_error(file.path, f"could not be written: {error.strerror}") from None


def _damaged(file: LockedFile, offset: int) -> JournalCorrupt:
    # Not the advice for a batch, to delete the line: what it says has happened would be done again.
    what = f"the journal {file.path} was changed after it was written, at byte {offset}"
    damage = JournalCorrupt(what, _RESTORE, path=str(file.path))
    damage.offset = offset
    return damage
