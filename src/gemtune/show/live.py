"""Drawing progress on a stream: in place on a terminal, in plain lines everywhere else.

In place means that a block of lines is drawn again over itself. Between two drawings the cursor rests where the block
begins, so that one control sequence erases it (ED of ECMA-48, on every terminal since the VT100), and so that nothing
of it stays when the window becomes narrower: a terminal may wrap the lines that are there already or cut them, and
nobody can know how many lines the block takes then, but the cursor stays with its beginning. No line ever reaches the
last column, because some terminals wrap a full line and the block would creep.

A pipe, a file and a dumb terminal get no control sequences at all: for them a line each tenth of the way is progress.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Protocol, TextIO

import attrs

from gemtune.show.terminal import size_of

_UP = "\x1b[{}A"  # the cursor goes up so many lines
_CLEAR_BELOW = "\r\x1b[J"


class View(Protocol):
    """What can be shown: one job, many jobs, or a batch."""

    def reports(self, width: int, *, unicode: bool = True) -> Iterable[tuple[str, object, str]]:
        """Return for each thing what would have to change for a new line, and the line."""

    def block(self, width: int, height: int, passed: int | None, *, unicode: bool = True) -> list[str]:
        """Return some lines; ``passed`` are the seconds since the beginning, and None once it is over."""

    def above(self, width: int, height: int, *, unicode: bool = True) -> list[str]:
        """Return the lines that leave the block before it is drawn again, and stay above it for good."""


@attrs.define(eq=False)
class Live:
    """Shows how far a job, many jobs or a batch are: redrawn in place, or a line for every tenth of the way.

    Args:
        stream: Where to draw; what is not a terminal gets plain lines only.
        in_place: Whether the stream takes control sequences.
        unicode: Whether it takes more than ASCII.
        indent: What every line begins with.
        widest: The most columns that it takes.
        size: Returns the columns and lines of the terminal; None asks the stream.
        clock: Returns the time in seconds.
    """

    stream: TextIO
    in_place: bool = False
    unicode: bool = True
    indent: str = ""
    widest: int = 100
    size: Callable[[], os.terminal_size] | None = None
    clock: Callable[[], float] = time.monotonic
    _began: float = attrs.field(init=False)
    _view: View | None = attrs.field(default=None, init=False)
    _drawn: tuple[os.terminal_size, int] | None = attrs.field(default=None, init=False)
    _reported: dict[str, object] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()

    def show(self, view: View) -> None:
        """Draw the view, or report of it what is a tenth further or in another state."""
        self._view = view
        if self.in_place:
            self._draw(view)
        else:
            self._report(view)

    def tick(self) -> None:
        """Draw again what was shown last, if a second has passed or the terminal has another size by now."""
        if self._view is not None and self.in_place and self._drawn != (self._size(), self._passed()):
            self._draw(self._view)

    def erase(self) -> None:
        """Remove what was drawn in place; it comes back with the next tick."""
        if self._drawn is not None:
            self._drawn = None
            self.stream.write(_CLEAR_BELOW)
            self.stream.flush()

    def finish(self, *, keep: bool = True) -> None:
        """Draw nothing any more, and leave the last picture where it is.

        Args:
            keep: False removes it.
        """
        view, self._view = self._view, None
        self.erase()
        if keep and view is not None and self.in_place:
            width, height = self._room()
            gone = view.above(width, height, unicode=self.unicode)
            lines = [*gone, *view.block(width, height, None, unicode=self.unicode)]
            self.stream.write("".join(f"{self.indent}{line}\n" for line in lines))
            self.stream.flush()

    def _draw(self, view: View) -> None:
        width, height = self._room()
        gone = view.above(width, height, unicode=self.unicode)
        block = view.block(width, height, self._passed(), unicode=self.unicode)[:height]
        lines = "".join(f"{self.indent}{line}\n" for line in [*gone, *block])
        self.stream.write(_CLEAR_BELOW + lines + _UP.format(len(block)))
        self.stream.flush()
        self._drawn = (self._size(), self._passed())

    def _room(self) -> tuple[int, int]:
        columns, rows = self._size()
        # One line is for the cursor below the block, where the terminal would scroll.
        return max(min(columns - 1, self.widest) - len(self.indent), 1), max(rows - 1, 1)

    def _report(self, view: View) -> None:
        width = self._room()[0] if self.stream.isatty() else self.widest - len(self.indent)
        for key, mark, line in view.reports(width, unicode=self.unicode):
            if self._reported.get(key) != mark:
                self._reported[key] = mark
                self.stream.write(f"{self.indent}{line}\n")
        self.stream.flush()

    def _size(self) -> os.terminal_size:
        return self.size() if self.size is not None else size_of(self.stream)

    def _passed(self) -> int:
        return int(self.clock() - self._began)
