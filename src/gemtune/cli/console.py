"""Where a command writes: results to standard output, everything else to standard error.

What a model or the service says may hold characters that control a terminal: escape sequences, C1 controls such as
U+009B, marks that reorder a line. On a terminal they are replaced, in JSON they are escaped; a file or a pipe gets
every character as it came. Colour is therefore put on last, on pieces of a line that say which style they want.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from typing import Final, TextIO

import attrs

from gemtune.cli.streams import failing, silence
from gemtune.errors import GemtuneError
from gemtune.show.live import Live
from gemtune.show.terminal import draws_in_place, encodes_unicode, printable, printable_json, wants_color, wrapped

DATA_LOG: Final = "gemtune.datasets"
"""The logger that says what was read of training data, and how far its upload is."""
_STYLES: Final = {"bold": "1", "cyan": "36", "green": "32"}


@attrs.frozen
class Styled:
    """A piece of a line that is to be coloured, if colour is wanted."""

    text: str
    style: str


@attrs.define(eq=False)
class Console:
    """The two streams of a command and what they can show.

    Args:
        out: Where results go.
        err: Where progress, notes and errors go.
        json: Whether results are written as JSON, one object per line.
        color: Whether colour is wanted at all.
        deed: Whether the command does something that its output only reports. It then goes on, and reports on standard
            error, if standard output fails; otherwise its output was all it had to do, and it has failed.
        quiet: Whether nothing but errors goes to standard error: no notes, and no progress.
    """

    out: TextIO = attrs.field(factory=lambda: sys.stdout)
    err: TextIO = attrs.field(factory=lambda: sys.stderr)
    json: bool = False
    color: bool = True
    deed: bool = False
    quiet: bool = False
    _live: Live | None = attrs.field(default=None, init=False)
    _altered: bool = attrs.field(default=False, init=False)
    _unread: bool = attrs.field(default=False, init=False)
    hinted: bool = attrs.field(default=False, init=False)
    """Whether it was said that rich is missing."""

    def __attrs_post_init__(self) -> None:
        for stream in (self.out, self.err):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:  # no character that an encoding lacks stops a command
                reconfigure(errors="backslashreplace")

    @property
    def unicode(self) -> bool:
        """Whether results may be drawn with more than ASCII characters."""
        return encodes_unicode(self.out)

    def check(self) -> None:
        """Refuse to begin what costs money if nobody could hear of its result.

        Raises:
            BrokenPipeError: Nobody reads standard output any more.
            GemtuneError: Standard output cannot be written.
        """
        trouble = failing(self.out)
        if trouble is not None and not (self.deed and failing(self.err) is None):
            raise unwritten(trouble)

    def print(self, *pieces: str | Styled) -> None:
        """Write a line to standard output, unless JSON is wanted."""
        if not self.json:
            self.write("".join([*map(self._shown, pieces), "\n"]))

    def piece(self, text: str) -> None:
        """Write a part of a line to standard output, unless JSON is wanted."""
        if not self.json:
            self.write(self._shown(text))

    def record(self, value: object, *, passing: bool = False) -> None:
        """Write a value as one line of JSON to standard output, if JSON is wanted.

        Args:
            value: The value.
            passing: Whether it only says how far a deed is, so that it is left out once nobody reads (``| head``).
        """
        if self.json and not (passing and self._unread):
            text = json.dumps(value, ensure_ascii=not self.unicode, separators=(",", ":"))
            self.json_line(text, passing=passing)

    def json_line(self, text: str, *, passing: bool = False) -> None:
        """Write a line that is JSON already to standard output; for ``passing`` see ``record``."""
        self.write(f"{printable_json(text) if self.out.isatty() else text}\n", passing=passing)

    def _shown(self, piece: str | Styled) -> str:
        text, style = (piece, "") if isinstance(piece, str) else (piece.text, piece.style)
        text = printable(text, lines=True) if self.out.isatty() else text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if style and self._colors else text

    @property
    def _colors(self) -> bool:
        return self.color and wants_color(self.out, os.environ)

    def write(self, text: str, *, passing: bool = False) -> None:
        """Write a string to standard output at once, below anything that is drawn in place; see ``record``.

        Raises:
            BrokenPipeError: Nobody reads standard output any more, and the output was all that the command had to do.
            GemtuneError: Standard output could not be written, and likewise.
        """
        if self._live is not None:
            self._live.erase()
        self._warn_of_encoding(text)
        try:
            self.out.write(text)
            self.out.flush()
        except OSError as error:
            silence(self.out)
            if not self.deed:
                raise unwritten(error) from None
            self.out, self._unread = self.err, isinstance(error, BrokenPipeError)
            if not self._unread:
                self.note(f"note: standard output cannot be written ({error.strerror}); it continues here")
            elif passing:
                self.note("note: nobody reads standard output any more; what comes out in the end is said here")
                return
            self.out.write(text)
            self.out.flush()

    def _warn_of_encoding(self, text: str) -> None:
        if self._altered or text.isascii() or self.unicode:
            return
        try:
            text.encode(self.out.encoding or "ascii")
        except (LookupError, UnicodeEncodeError):
            self._altered = True
            self.note(
                f"note: standard output is {self.out.encoding}, which lacks some of these characters; they are written "
                "as \\uXXXX. PYTHONIOENCODING=utf-8 keeps them"
            )

    def note(self, text: str, *, error: bool = False) -> None:
        """Write a line for people to standard error, unless they want quiet and it is no error."""
        if self.quiet and not error:
            return
        with suppress(OSError, ValueError):  # a note that is lost changes nothing of what it is about
            if self._live is not None:
                self._live.erase()
            self.err.write(f"{wrapped(printable(text), self.err)}\n")
            self.err.flush()

    def error(self, text: str) -> None:
        """Write one line that begins with ``error:`` to standard error."""
        self.note(f"error: {text}", error=True)

    def live(self, indent: str = "", *, beside: bool = False) -> Live | None:
        """Return what shows progress on standard error; None with JSON, whose lines are the progress, or if quiet.

        It draws in place only if both streams are the terminal: lines in a pipe between them would arrive in the
        middle of the drawing.

        Args:
            indent: What every line begins with.
            beside: Whether nothing is written to standard output meanwhile, wherever that goes.
        """
        if self.json or self.quiet:
            return None
        in_place = (beside or self.out.isatty()) and draws_in_place(self.err, os.environ)
        self._live = Live(self.err, in_place=in_place, unicode=encodes_unicode(self.err), indent=indent)
        return self._live

    @property
    def draws(self) -> bool:
        """Whether progress is drawn in place."""
        return self._live is not None and self._live.in_place


def unwritten(error: OSError) -> Exception:
    """Return what to raise of output that could not be written."""
    if isinstance(error, BrokenPipeError):
        return error
    return GemtuneError(f"standard output cannot be written: {error.strerror}; make room, or write elsewhere")


class NoteHandler(logging.Handler):
    """Shows what the SDK warns about and what it has read, without disturbing what is drawn in place."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == DATA_LOG and record.levelno == logging.INFO:
            self._console.note(record.getMessage())
            return
        kind = "note" if record.levelno >= logging.WARNING else record.levelname.lower()
        self._console.note(f"{kind}: {record.getMessage()}")
