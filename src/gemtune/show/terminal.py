"""Drawing on a stream: in place on a terminal, in plain lines everywhere else.

In place means that a block of lines is drawn again over itself: the cursor goes up as many lines as were drawn, what is
below is erased, the new block follows. Two control sequences do this on every terminal since the VT100 (CUU and ED of
ECMA-48), and no line ever reaches the last column, because some terminals wrap a full line and the block would creep.
A pipe, a file and a dumb terminal get no control sequences at all: for them a line each tenth of the way is progress.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TextIO

import attrs

_UP = "\x1b[{}A"  # the cursor goes up so many lines
_CLEAR_BELOW = "\r\x1b[J"
_JOINERS = "\u200c\u200d"  # they join letters of Persian and people of an emoji, and control nothing


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
    """Return whether to colour: on a terminal, unless NO_COLOR is set (no-color.org: an empty value does not count)."""
    return draws_in_place(stream, environ) and not environ.get("NO_COLOR")


def printable(text: str, *, lines: bool = False) -> str:
    """Return a string from elsewhere without the characters that would control a terminal.

    Args:
        text: What the service or a model said.
        lines: Whether line breaks and tabs are kept; otherwise they become spaces.
    """
    if text.isprintable():
        return text
    kept = f"\n\t{_JOINERS}" if lines else _JOINERS
    return "".join(char if char.isprintable() or char in kept else " " if _blank(char) else "�" for char in text)


def one_line(text: str) -> str:
    """Return a string with its line breaks and tabs as spaces, for a cell of a table."""
    return "".join(" " if _blank(char) else char for char in text)


def _blank(char: str) -> bool:
    return char.isspace() and char not in "\x0b\x0c\x1c\x1d\x1e\x1f\x85"


def printable_json(line: str) -> str:
    """Return a line of JSON in which what would control a terminal is escaped, so that it means the same.

    JSON itself escapes only the first 32 characters. U+009B is the start of a control sequence as well, and U+202E
    turns the direction of what follows.
    """
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in line)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines, with every column but the last as wide as its widest cell.

    Args:
        rows: The rows, with the same number of cells in each.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return [
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


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
    """Shows the progress of one job or of many: redrawn in place on a terminal, otherwise a line for every tenth.

    Args:
        stream: Where to draw; what is not a terminal gets plain lines only.
        in_place: Whether the stream takes control sequences.
        unicode: Whether it takes more than ASCII.
        size: Returns the columns and lines of the terminal.
        indent: What every line begins with.
    """

    stream: TextIO
    in_place: bool = False
    unicode: bool = True
    size: Callable[[], os.terminal_size] = shutil.get_terminal_size
    indent: str = ""
    _drawn: int = attrs.field(default=0, init=False)
    _reported: tuple[str, int] | None = attrs.field(default=None, init=False)

    def show(self, view: View) -> None:
        """Draw the view, or report it if a tenth more is done or the state is another."""
        if not self.in_place:
            self._report(view)
            return
        columns, lines = self.size()
        width = min(columns - 1, 100) - len(self.indent)
        self._draw(view.block(width, max(2, min(10, lines - 4)), unicode=self.unicode)[: max(lines - 1, 1)])

    def erase(self) -> None:
        """Remove what was drawn in place."""
        if self._drawn:
            self.stream.write(_UP.format(self._drawn) + _CLEAR_BELOW)
            self.stream.flush()
            self._drawn = 0

    def _draw(self, block: Sequence[str]) -> None:
        up = _UP.format(self._drawn) + _CLEAR_BELOW if self._drawn else ""
        self.stream.write(up + "".join(f"{self.indent}{printable(line)}\n" for line in block))
        self.stream.flush()
        self._drawn = len(block)

    def _report(self, view: View) -> None:
        reported = (view.state, view.tenths)
        if reported != self._reported:
            self._reported = reported
            self.stream.write(f"{self.indent}{printable(view.line(100, unicode=self.unicode))}\n")
            self.stream.flush()
