"""The colours of everything that people look at, and what stands in for them where there are none.

Terminal, notebook and dashboard use these and no others, so that a job's curve has the same colour everywhere. A colour
is never the only sign: a state has its word and its glyph as well, a curve its letter and its dashes.

Notebooks do not say if their page is light or dark, and neither do terminals. So the colours of shapes are dark enough
for white paper and light enough for black (3:1 on both, what WCAG 2.2 asks of graphics). Text needs more contrast than
one colour can have on both (4.5:1): where a page knows its paper, it takes ``on_light`` or ``on_dark``.

The curves begin with Okabe and Ito's blue, vermilion and green. Their yellow, orange and sky blue vanish on white, so
the other five come from a search for colours that keep the greatest distance from each other in the eyes of people who
see no red, no green or no blue (Machado, Oliveira and Fernandes 2009, distances in OKLab): 0.066 at least, twice that
of the original eight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from gemtune.show.picture import Tone


@attrs.frozen
class Ink:
    """A colour that means something.

    Args:
        color: For shapes, on any paper.
        on_light: For text on white.
        on_dark: For text on a dark page.
        terminal: Its name in a terminal, whose theme decides what that is.
        glyph: What says the same without a colour.
        letter: The same in ASCII.
    """

    color: str
    on_light: str
    on_dark: str
    terminal: str
    glyph: str
    letter: str


@attrs.frozen
class Stroke:
    """How one curve among several is drawn.

    Args:
        color: Its colour, on any paper.
        letter: What names it where there are no colours.
        dash: Its ``stroke-dasharray`` in SVG; empty for a solid line.
    """

    color: str
    letter: str
    dash: str


TONES: Final[Mapping[Tone, Ink]] = {
    Tone.UNSEEN: Ink("#80868f", "#656b74", "#9aa1ab", "bright_black", "○", "."),
    Tone.WAITING: Ink("#b27900", "#8a5a00", "#e0a526", "yellow", "◌", "~"),
    Tone.RUNNING: Ink("#1a7fd4", "#0b67b2", "#58a6ff", "blue", "●", "*"),
    Tone.GOOD: Ink("#15924c", "#0d7a3c", "#3fb96c", "green", "✓", "+"),
    Tone.BAD: Ink("#dd3c3c", "#c02626", "#ff7b72", "red", "✗", "x"),
    Tone.OVER: Ink("#80868f", "#656b74", "#9aa1ab", "bright_black", "■", "-"),
}
"""What the colour of a state is."""

STROKES: Final = (
    Stroke("#0077aa", "a", ""),
    Stroke("#dd6600", "b", "7 3"),
    Stroke("#009977", "c", "2 2"),
    Stroke("#bb77ee", "d", "9 3 2 3"),
    Stroke("#cc1144", "e", "5 2"),
    Stroke("#776666", "f", "1 3"),
    Stroke("#8833ff", "g", "12 3"),
    Stroke("#dd00bb", "h", "4 2 1 2"),
)
"""Of the curves beside each other, from the first on."""


def stroke(number: int) -> Stroke:
    """Return how the curve with a number is drawn, from 0 on; after the eighth the colours begin again.

    Its letter goes on, from ``a`` to ``z``, and then begins again as well.
    """
    return attrs.evolve(STROKES[number % len(STROKES)], letter=chr(ord("a") + number % 26))
