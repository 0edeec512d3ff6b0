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
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

import attrs

from gemtune.show.progress import duration
from gemtune.show.terminal import clipped, size_of

_UP = "\x1b[{}A"  # the cursor goes up so many lines
_CLEAR_BELOW = "\r\x1b[J"
_WIDEST = 100


class View(Protocol):
    """What can be shown: one job, many jobs, or a batch."""

    @property
    def state(self) -> str:
        """The state in a few words."""

    @property
    def tenths(self) -> int:
        """How many tenths of the way are done."""

    @property
    def trouble(self) -> str:
        """What is wrong at present; empty if nothing is."""

    def line(self, width: int = 80, *, unicode: bool = True) -> str:
        """Return one line."""

    def block(self, width: int = 80, height: int = 8, *, unicode: bool = True) -> list[str]:
        """Return some lines."""


@attrs.define(eq=False)
class Live:
    """Shows how far a job, many jobs or a batch are: redrawn in place, or a line for every tenth of the way.

    Args:
        stream: Where to draw; what is not a terminal gets plain lines only.
        in_place: Whether the stream takes control sequences.
        unicode: Whether it takes more than ASCII.
        indent: What every line begins with.
        hint: What stands beside the time that has passed, as long as there is no trouble.
        size: Returns the columns and lines of the terminal; None asks the stream.
        clock: Returns the time in seconds.
    """

    stream: TextIO
    in_place: bool = False
    unicode: bool = True
    indent: str = ""
    hint: str = ""
    size: Callable[[], os.terminal_size] | None = None
    clock: Callable[[], float] = time.monotonic
    _began: float = attrs.field(init=False)
    _view: View | None = attrs.field(default=None, init=False)
    _drawn: tuple[os.terminal_size, int] | None = attrs.field(default=None, init=False)
    _reported: tuple[str, int, str] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()

    def show(self, view: View) -> None:
        """Draw the view, or report it if a tenth more is done or the state is another."""
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
            self.stream.write("".join(f"{line}\n" for line in self._block(view, ended=True)))
            self.stream.flush()

    def _draw(self, view: View) -> None:
        block = self._block(view, ended=False)
        self.stream.write(_CLEAR_BELOW + "".join(f"{line}\n" for line in block) + _UP.format(len(block)))
        self.stream.flush()
        self._drawn = (self._size(), self._passed())

    def _block(self, view: View, *, ended: bool) -> Sequence[str]:
        columns, rows = self._size()
        width = max(min(columns - 1, _WIDEST) - len(self.indent), 1)
        # One line is for the time, and one for the cursor below the block, where the terminal would scroll.
        lines = view.block(width, max(1, min(10, rows - 4)), unicode=self.unicode)[: max(rows - 2, 1)]
        if not ended:
            status = "  ".join(filter(None, (duration(self._passed()), view.trouble or self.hint)))
            lines = [*lines, clipped(status, width)]
        return [f"{self.indent}{line}" for line in lines]

    def _report(self, view: View) -> None:
        reported = (view.state, view.tenths, view.trouble)
        if reported != self._reported:
            self._reported = reported
            self.stream.write(f"{self.indent}{view.line(_WIDEST, unicode=self.unicode)}\n")
            self.stream.flush()

    def _size(self) -> os.terminal_size:
        return self.size() if self.size is not None else size_of(self.stream)

    def _passed(self) -> int:
        return int(self.clock() - self._began)
