"""How colours get onto a line."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import attrs
from rich.console import Console as Easel
from rich.text import Text

from gemtune.show.palette import TONES, stroke
from gemtune.show.picture import JobPicture
from gemtune.show.terminal import cells, printable

DIM = "dim"
Line: TypeAlias = Text
"""A line with its colours, for those who hand it on and need not know rich."""
_FULL, _HALF, _REST = "━", "╸", "─"


@attrs.frozen
class Paint:
    """Turns styled text into the characters that a terminal understands, as many colours as it has.

    Args:
        color: Whether colours are wanted; without them, curves are made of letters.
    """

    color: bool

    def lines(self, texts: Iterable[Text]) -> list[str]:
        """Return each text as a line with its control sequences."""
        easel = Easel(
            file=io.StringIO(),
            force_terminal=True,
            no_color=not self.color,
            color_system="auto" if self.color else None,
            width=1 << 12,  # what is too wide has been cut already
            highlight=False,
            emoji=False,
            markup=False,
            legacy_windows=False,
        )
        with easel.capture() as written:
            for text in texts:
                easel.print(text, soft_wrap=True)
        return written.get().splitlines()


def plain(said: str, style: str = "") -> Text:
    """Return what somebody said as text, without what would control the terminal."""
    return Text(printable(said), style, no_wrap=True, overflow="ellipsis", end="")


def cut(text: Text, width: int) -> Text:
    """Return a text that takes no more than so many columns; one that is cut ends in an ellipsis."""
    if text.cell_len > width:
        text = text.copy()
        text.truncate(max(width, 0), overflow="ellipsis")
    return text


def padded(text: Text, width: int) -> Text:
    """Return a text that takes exactly so many columns."""
    text = cut(text, width)
    return text + Text(" " * (width - text.cell_len))


def joined(parts: Sequence[Text | str], between: str = " · ") -> Text:
    """Return the parts that are not empty beside each other."""
    return Text(between, DIM).join([part if isinstance(part, Text) else plain(part) for part in parts if part])


def fitting(parts: Sequence[Text | str], width: int, between: str = " · ") -> Text:
    """Return as many of the parts, from the first on, as fit beside each other."""
    left = [part for part in parts if part]
    while len(left) > 1 and joined(left, between).cell_len > width:
        left.pop()
    return cut(joined(left, between), width)


def sign(picture: JobPicture) -> Text:
    """Return the sign of a job's state, in its colour."""
    ink = TONES[picture.tone]
    return Text.assemble((ink.glyph, ink.terminal))  # what is added to it keeps colours of its own


def word(picture: JobPicture) -> Text:
    """Return the word of a job's state, in its colour."""
    return plain(picture.word, TONES[picture.tone].terminal)


def bar(share: float | None, width: int, style: str) -> Text:
    """Return a share, from 0 to 1, as a bar of so many columns; nothing if it is unknown."""
    if share is None or width < 1:
        return Text()
    halves = round(min(max(share, 0.0), 1.0) * width * 2)
    full, half = divmod(halves, 2)
    done = _FULL * full + _HALF * half
    return Text(done, style) + Text(_REST * (width - len(done)), DIM)


def curve_style(number: int) -> str:
    """Return the colour of the curve with a number."""
    return stroke(number).color


def width_of(texts: Iterable[Text | str]) -> int:
    """Return the columns of the widest."""
    return max((text.cell_len if isinstance(text, Text) else cells(text) for text in texts), default=0)
