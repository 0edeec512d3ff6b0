"""The OUTPUT of ``gemtune batch``: a file with its journal beside it, or standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

from gemtune.cli.console import Console
from gemtune.errors import InvalidInput

_NO_FOLDERS: Final = frozenset(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))
"""Where names stand for what a process has open, and no file can be made beside them."""


@attrs.frozen
class Target:
    """Where answers go.

    Args:
        output: A file's path, or ``-``.
        resume: Whether to continue from the file's journal.
    """

    output: str
    resume: bool

    @property
    def journal(self) -> str | None:
        """Where answers stand until the output is whole."""
        return None if self.output == "-" else f"{self.output}.journal"

    @property
    def kept(self) -> str | None:
        """The journal, if there is one by now."""
        return self.journal if self.journal is not None and Path(self.journal).is_file() else None

    def check(self, source: str) -> None:
        """Refuse an OUTPUT that cannot be written, that would be lost, or that would begin again by mistake.

        Args:
            source: The INPUT.

        Raises:
            InvalidInput: The output cannot be used.
        """
        if self.journal is None:
            if self.resume:
                raise InvalidInput("standard output cannot be resumed: name an OUTPUT file", field="--resume")
            return
        path, journal = Path(self.output), Path(self.journal)
        if not path.parent.is_dir():
            raise InvalidInput(f"there is no folder {path.parent}: make it, or name another OUTPUT")
        if path.is_dir():
            raise InvalidInput(f"{path} is a directory: name a file in it as OUTPUT")
        if path.absolute().parent in _NO_FOLDERS or (path.exists() and not path.is_file()):
            raise InvalidInput(f"{path} is not a file of its own: give - as OUTPUT, and redirect standard output there")
        self._keep(source)
        if journal.exists() and not self.resume:
            both = f"{journal} and {path}" if path.exists() else f"{journal}"
            raise InvalidInput(
                f"{journal} holds the answers of an earlier run: --resume continues from there; "
                f"to begin again, remove {both}"
            )
        if path.exists() and not journal.exists():
            raise InvalidInput(f"{path} exists, without a journal to resume from: remove it, or name another OUTPUT")

    def _keep(self, source: str) -> None:
        for suffix in ("", ".journal"):
            path = Path(f"{self.output}{suffix}")
            if source != "-" and path.exists() and path.samefile(source):
                what = f"OUTPUT is written by way of {path}, and that" if suffix else f"{path}"
                raise InvalidInput(f"{what} is the INPUT: name another OUTPUT")

    def leave(self, console: Console) -> None:
        """After a run that did not reach its end: say how to resume, and keep no journal that holds nothing."""
        from gemtune.batch.journal.locked import remove_if_empty
        from gemtune.batch.journal.reading import has_open_parts

        if self.journal is None or self.kept is None or remove_if_empty(self.journal):
            return
        how = "the same command" if self.resume else "the same command and --resume"
        runs = "batches of this run continue at the service, and " if has_open_parts(self.journal) else ""
        console.note(f"{runs}what was answered is in {self.journal}; resume with {how}")
