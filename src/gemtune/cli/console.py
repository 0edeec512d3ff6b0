"""Where a command writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from typing import TextIO

import attrs

from gemtune.show.terminal import Live, draws_in_place, encodes_unicode, printable, wants_color

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "cyan": "36"}


@attrs.define(eq=False)
class Console:
    """The two streams of a command and what they can show.

    Args:
        out: Where results go.
        err: Where progress, notes and errors go.
        json: Whether results are written as JSON, one object a line.
        color: Whether colour is wanted at all.
    """

    out: TextIO = attrs.field(factory=lambda: sys.stdout)
    err: TextIO = attrs.field(factory=lambda: sys.stderr)
    json: bool = False
    color: bool = True
    _live: Live | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """Let no character that an encoding lacks stop the command."""
        for stream in (self.out, self.err):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")

    @property
    def unicode(self) -> bool:
        """Whether results may be drawn with more than ASCII characters."""
        return encodes_unicode(self.out)

    def paint(self, text: str, style: str) -> str:
        """Return a text for standard output, coloured where that is wanted."""
        if not (self.color and wants_color(self.out, os.environ)):
            return text
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m"

    def print(self, text: str = "") -> None:
        """Write a line to standard output, unless JSON is wanted."""
        if not self.json:
            self.write(f"{text}\n")

    def record(self, value: object) -> None:
        """Write a value as one line of JSON to standard output, if JSON is wanted."""
        if self.json:
            self.write(json.dumps(value, ensure_ascii=not self.unicode, separators=(",", ":")) + "\n")

    def write(self, text: str) -> None:
        """Write a text to standard output at once, below anything that is drawn in place."""
        if self._live is not None:
            self._live.erase()
        self.out.write(text)
        self.out.flush()

    def note(self, text: str) -> None:
        """Write a line for people to standard error."""
        if self._live is not None:
            self._live.erase()
        self.err.write(f"{printable(text)}\n")
        self.err.flush()

    def error(self, text: str) -> None:
        """Write one line that begins with ``error:`` to standard error."""
        self.note(f"error: {text}")

    def live(self, indent: str = "") -> Live | None:
        """Return what shows progress on standard error; None with JSON, whose lines are the progress.

        It draws in place only where both streams are the terminal: a pipe's lines would arrive in the middle of it.
        """
        if self.json:
            return None
        in_place = self.out.isatty() and draws_in_place(self.err, os.environ)
        self._live = Live(self.err, in_place=in_place, unicode=encodes_unicode(self.err), indent=indent)
        return self._live


class NoteHandler(logging.Handler):
    """Shows what the SDK warns about, without disturbing what is drawn in place."""

    def __init__(self, console: Console) -> None:
        """Keep the console."""
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write one note; a standard error that nobody reads any more does not disturb what is noted."""
        with suppress(OSError, ValueError):
            self._console.note(f"note: {record.getMessage()}")
