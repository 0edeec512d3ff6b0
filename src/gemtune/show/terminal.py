"""What a stream can show, and how text fits into it: encodings, control characters, widths, tables."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

_JOINERS = "\u200c\u200d"  # they join letters of Persian and people of an emoji, and control nothing


def encodes_unicode(stream: TextIO) -> bool:
    """Return whether the stream's encoding has the characters that curves and bars are made of."""
    try:
        "█░▁┤⣿→".encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


_ASCII: Final = str.maketrans(
    dict(
        zip(
            "▁▂▃▄▅▆▇█·×±→…≈\N{EN DASH}\N{MINUS SIGN}",
            [*"_.-=+*%#", "-", "x", "+-", "->", "~", "~", "-", "-"],
            strict=True,
        )
    )
)


def in_ascii(text: str) -> str:
    """Return what we say with the characters of ASCII for those that tables and figures are made of; no others."""
    return text.translate(_ASCII)


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


def size_of(stream: TextIO) -> os.terminal_size:
    """Return the columns and lines of the terminal behind a stream, or what COLUMNS and LINES say, or 80 and 24."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (AttributeError, OSError, ValueError):  # not a terminal, or no file at all
        found = os.terminal_size((0, 0))
    # A terminal may not know its size, and then says 0.
    return found if found.columns > 0 and found.lines > 0 else shutil.get_terminal_size()


def width_of(stream: TextIO, most: int) -> int:
    """Return how wide lines may be: as wide as the terminal is, but at most so many columns."""
    return min(size_of(stream).columns, most) if stream.isatty() else most


def wrapped(text: str, stream: TextIO) -> str:
    """Return a text in lines that a terminal need not break; a command at its end stays whole, to be copied."""
    columns = size_of(stream).columns - 1
    if not stream.isatty() or cells(text) <= columns:
        return text
    words, colon, command = text.partition(": gemtune ")
    lines = textwrap.wrap(words + colon[:1], max(columns, 1), break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, f"gemtune {command}"] if command else lines)


def folded(text: str, width: int, indent: str = "  ") -> list[str]:
    """Return a text as lines of at most so many columns, wide characters included; all but the first are indented."""
    if cells(text) == len(text):
        return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)
    lines, line = [], ""
    for word in text.split():
        gap = " " if line.strip() else ""
        if cells(line + gap + word) <= width:
            line += gap + word
        elif cells(indent + word) <= width:
            lines.append(line)
            line = indent + word
        else:  # scripts without blanks are one long word, which may end anywhere
            line += gap
            for char in word:
                if cells(line + char) > width:
                    lines.append(line.rstrip())
                    line = indent
                line += char
    return [*lines, line] if line.strip() else lines


def cells(text: str) -> int:
    """Return how many columns of a terminal a string takes: two for wide characters, none for marks on others."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def clipped(text: str, width: int) -> str:
    """Return a string that takes no more than so many columns; one that is cut ends in ``~``."""
    if cells(text) <= width:
        return text
    taken, room = 0, max(width, 1) - 1
    for place, char in enumerate(text):
        taken += _cells(char)
        if taken > room:
            return text[:place] + "~"
    return text


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines, with every column but the last as wide as its widest cell.

    Args:
        rows: The rows, with the same number of cells in each.
    """
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)][:-1]
    return [
        "  ".join([*(padded(cell, width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def padded(text: str, width: int) -> str:
    """Return a string with blanks behind it until it takes so many columns."""
    return text + " " * (width - cells(text))


def fitted(rows: Sequence[Sequence[str]], width: int, spare: Sequence[int]) -> list[str]:
    """Return a table as lines of at most so many columns, without what is empty in all rows and what can be spared.

    Args:
        rows: The rows, headings included, with the same number of cells in each.
        width: The columns that there are.
        spare: The columns of the table that can be left out, the most dispensable first.
    """
    left = [column for column in range(len(rows[0]) if rows else 0) if any(row[column] for row in rows)]
    lines: list[str] = []
    for column in (None, *spare):
        if len(left) > 1 and column == left[-1]:
            # The last column needs no room of its own: a few characters of it are better than nothing.
            before = aligned([[*(row[other] for other in left[:-1]), "|"] for row in rows])
            if width + 1 - max(map(cells, before)) >= _ENOUGH:
                return [clipped(line, width) for line in lines]
        left = [other for other in left if other != column]
        lines = aligned([[row[other] for other in left] for row in rows]) if left else [""] * len(rows)
        if all(cells(line) <= width for line in lines):
            break
    return lines


_ENOUGH = 8
