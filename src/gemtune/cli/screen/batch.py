"""A batch in a terminal: how far it is, how fast it goes, and what holds it back."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from rich.text import Text

from gemtune.cli.screen.paint import DIM, Paint, bar, fitting, plain
from gemtune.show.palette import TONES
from gemtune.show.picture import BatchPicture, Tone
from gemtune.show.progress import duration
from gemtune.show.words import jobs_at_service

_LONGEST_BAR = 40


@attrs.frozen
class BatchScreen:
    """Shows a batch.

    Args:
        paint: Puts the colours on.
        picture: Returns how the batch is now.
    """

    paint: Paint
    picture: Callable[[], BatchPicture]

    def reports(self, width: int, *, unicode: bool = True) -> list[tuple[str, object, str]]:  # noqa: ARG002 - a view
        """Return nothing: this draws in place."""
        return []

    def above(self, width: int, height: int, *, unicode: bool = True) -> list[str]:  # noqa: ARG002 - a view
        """Return nothing: there is one batch only."""
        return []

    def block(self, width: int, height: int, passed: int | None, *, unicode: bool = True) -> list[str]:  # noqa: ARG002
        """Return the bar, the figures, and what holds it back."""
        seen = self.picture()
        total = f"/{seen.total:,}" if seen.total is not None else ""
        tone = TONES[Tone.WAITING if seen.parked and not seen.in_flight else Tone.RUNNING].terminal
        figures = [
            Text(f"{seen.done + seen.failed:,}{total} done", "bold"),
            plain(f"{seen.failed:,} failed", TONES[Tone.BAD].terminal) if seen.failed else "",
            f"{duration(seen.eta)} left" if seen.eta else "",
            f"{seen.in_flight:,} in flight",
            jobs_at_service(seen),
            f"{seen.rate:.1f}/s",
            plain(f"{seen.parked:,} parked", TONES[Tone.WAITING].terminal) if seen.parked else "",
            f"{seen.tokens:,} tokens" if seen.tokens else "",
        ]
        lines = [fitting(figures, width)]
        if seen.share is not None:
            percent = f" {100 * seen.share:.0f} %"
            drawn = bar(seen.share, max(min(width - len(" 100 %"), _LONGEST_BAR), 1), tone) + Text(percent)
            room = width - _LONGEST_BAR - len(" 100 %") - 2
            lines = [drawn, *lines] if room < lines[0].cell_len else [drawn + Text("  ") + lines[0]]
        if passed is not None:
            held = plain(seen.held_back, TONES[Tone.WAITING].terminal if seen.parked else DIM)
            lines.append(fitting([Text(duration(passed), DIM), held], width))
        return self.paint.lines(lines)
