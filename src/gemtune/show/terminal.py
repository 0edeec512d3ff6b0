"""Drawing on a stream: in place on a terminal, in plain lines everywhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TextIO

import attrs

_UP = "\x1b[{}A"
_CLEAR_BELOW = "\r\x1b[J"


def encodes_unicode(stream: TextIO) -> bool:
    """Return whether the stream's encoding has the characters that curves and bars are made of."""
    try:
        "█░▁┤⣿→".encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def draws_in_place(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether control sequences may be written: a terminal, and not a dumb one."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def wants_color(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether to colour: a terminal, and NO_COLOR is not set (no-color.org: to any but an empty value)."""
    return draws_in_place(stream, environ) and not environ.get("NO_COLOR")


def printable(text: str, *, lines: bool = False) -> str:
    """Return a text from elsewhere without the characters that would control a terminal.

    Args:
        text: What the service or a model said.
        lines: Whether line breaks and tabs are kept; else they become spaces.
    """
    kept = "\n\t" if lines else ""
    return "".join(char if char.isprintable() or char in kept else " " if char in "\r\n\t" else "�" for char in text)


class View(Protocol):
    """What can be shown: one job, or many."""

    @property
    def state(self) -> str:
        """The state in a few words."""

    @property
    def tenths(self) -> int:
        """How many tenths of the way are done."""

    def line(self, width: int = 80, *, unicode: bool = True) -> str:
        """Return one line."""

    def block(self, width: int = 80, height: int = 8, *, unicode: bool = True) -> list[str]:
        """Return some lines."""


@attrs.define(eq=False)
class Live:
    """Shows the progress of a job, or of many: redrawn in place on a terminal, else a line for every tenth of the way.

    Args:
        stream: Where to; nothing but plain lines goes to what is not a terminal.
        in_place: Whether the stream takes control sequences.
        unicode: Whether it takes more than ASCII.
        size: Returns columns and lines of the terminal.
        indent: What every line begins with.
    """

    stream: TextIO
    in_place: bool = False
    unicode: bool = True
    size: Callable[[], os.terminal_size] = shutil.get_terminal_size
    indent: str = ""
    _drawn: int = attrs.field(default=0, init=False)
    _told: tuple[str, int] | None = attrs.field(default=None, init=False)

    def show(self, view: View) -> None:
        """Show where the job is."""
        if not self.in_place:
            self._tell(view)
            return
        columns, lines = self.size()
        # The last column stays free: a full line makes some terminals wrap, and the block would creep.
        width = min(columns - 1, 100) - len(self.indent)
        self._draw(view.block(width, max(2, min(10, lines - 4)), unicode=self.unicode)[: max(lines - 1, 1)])

    def erase(self) -> None:
        """Take away what was drawn in place."""
        if self._drawn:
            self.stream.write(_UP.format(self._drawn) + _CLEAR_BELOW)
            self.stream.flush()
            self._drawn = 0

    def _draw(self, block: Sequence[str]) -> None:
        up = _UP.format(self._drawn) + _CLEAR_BELOW if self._drawn else ""
        self.stream.write(up + "".join(f"{self.indent}{line}\n" for line in block))
        self.stream.flush()
        self._drawn = len(block)

    def _tell(self, view: View) -> None:
        told = (view.state, view.tenths)
        if told != self._told:
            self._told = told
            self.stream.write(f"{self.indent}{view.line(100, unicode=self.unicode)}\n")
            self.stream.flush()
