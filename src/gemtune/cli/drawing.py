"""What progress is drawn with: rich, if it is installed and the terminal takes it, and otherwise plain characters."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TextIO

from gemtune.cli.console import Console
from gemtune.show.jobs import Pictures, PlainJobs
from gemtune.show.live import Live, View
from gemtune.show.terminal import draws_in_place, encodes_unicode, wants_color

if TYPE_CHECKING:
    from gemtune.cli.screen.paint import Line, Paint

HINT: Final = "pip install 'gemtune[cli]' adds colours, and the curves of several jobs over each other"
WIDEST: Final = 160


def paint_for(console: Console, stream: TextIO, *, hint: bool = False) -> Paint | None:
    """Return what puts colours on lines for a stream; None if it is no terminal, a poor one, or rich is missing.

    Args:
        console: Whether colours are wanted, and where to say that rich is missing.
        stream: Where the lines go.
        hint: Whether to say so.
    """
    if not (draws_in_place(stream, os.environ) and encodes_unicode(stream)):
        return None
    try:
        from gemtune.cli.screen.paint import Paint
    except ImportError:
        if hint and not console.hinted and console.err.isatty():
            console.hinted = True
            console.note(HINT)
        return None
    return Paint(console.color and wants_color(stream, os.environ))


def print_painted(console: Console, paint: Paint, texts: Iterable[Line], indent: str = "") -> None:
    """Print lines with their colours; they hold nothing else that controls a terminal."""
    console.write("".join(f"{indent}{line}\n" for line in paint.lines(texts)))


def jobs_view(console: Console, live: Live | None, pictures: Pictures, *, named: bool = True) -> View:
    """Return what shows jobs.

    Args:
        console: Whether colours are wanted, and where to say that rich is missing.
        live: What draws it.
        pictures: Returns how the jobs are now.
        named: Whether a single job is shown with its name where there are no colours.
    """
    hint = "Ctrl-C stops watching"
    paint = paint_for(console, live.stream, hint=True) if live is not None and live.in_place else None
    if live is None or paint is None:
        return PlainJobs(pictures, hint, named)
    from gemtune.cli.screen.views import JobsScreen

    live.widest = WIDEST
    return JobsScreen(paint, pictures, hint)
