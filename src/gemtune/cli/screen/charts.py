"""Curves over each other, each in its colour, or made of its letter where there are no colours."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gemtune.cli.screen.paint import DIM, curve_style
from gemtune.show.curve import NARROWEST, chart
from gemtune.show.palette import stroke
from gemtune.show.picture import Point

LOWEST = 5
"""Lines below which a chart says nothing."""
TALLEST = 14


def drawn(
    curves: Sequence[tuple[int, Sequence[Point]]],
    width: int,
    height: int,
    *,
    last: int = 0,
    color: bool,
    looks: Sequence[tuple[str, str]] = (),
) -> list[Text]:
    """Return a chart with its line of steps, of at most so many lines; nothing if there is no room or no loss.

    Args:
        curves: The number of each, which decides its colour and letter, and its points.
        width: The most columns.
        height: The most lines.
        last: The last step that will come.
        color: Whether there are colours.
        looks: Of each curve, the style and the letter, if its number does not decide them.
    """
    if height < LOWEST or width < NARROWEST + 4:
        return []
    looks = looks or [(curve_style(number), stroke(number).letter) for number, _ in curves]
    letters = "" if color or len(curves) < 2 else "".join(letter for _, letter in looks)
    made = chart([points for _, points in curves], width, min(height - 1, TALLEST), last=last, letters=letters)
    lines = []
    for pieces in made.lines:
        line = Text(no_wrap=True)
        for piece, owner in pieces:
            line.append(piece, DIM if owner is None else looks[owner][0])
        line.rstrip()
        lines.append(line)
    if made.logarithmic and lines:
        note = "  log scale"
        if lines[0].cell_len + len(note) <= width:
            lines[0].append(note, DIM)
    return lines
