"""One job in a terminal: what it is, how far it is, and its curves."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gemtune.cli.screen import charts
from gemtune.cli.screen.paint import DIM, bar, curve_style, cut, fitting, padded, plain, sign, word
from gemtune.show import words
from gemtune.show.palette import TONES, stroke
from gemtune.show.picture import JobPicture
from gemtune.show.progress import duration, seen

_LONGEST_BAR = 30


def job(picture: JobPicture, width: int, height: int, *, color: bool) -> list[Text]:
    """Return a job and its curves in at most so many lines."""
    lines = [_title(picture, width), *_progress(picture, width)]
    if picture.reason:
        lines.append(cut(Text("  ") + plain(picture.reason, TONES[picture.tone].terminal), width))
    curves = [curve for curve in enumerate((picture.losses, picture.eval_losses)) if curve[1]]
    room = height - len(lines) - (len(curves) > 1)
    over = charts.drawn(curves, width - 2, room, last=picture.total or 0, color=color)
    if over and len(curves) > 1:
        lines.append(Text("  ") + fitting([_key(0, "training loss"), _key(1, "validation loss")], width - 2, "   "))
    return [*lines, *(Text("  ") + line for line in over)][: max(height, 1)]


def _title(picture: JobPicture, width: int) -> Text:
    state = word(picture)
    title = cut(plain(picture.title, "bold"), width - 4 - state.cell_len)
    more = [plain(picture.name, DIM)] if picture.title not in picture.name else []
    head = sign(picture) + Text(" ") + title + Text("  ") + state
    return fitting([head, *more, plain(picture.hyperparameters, DIM)], width, "  ")


def _progress(picture: JobPicture, width: int) -> list[Text]:
    """Return the bar, and what is known in numbers: beside it, or below if there is no room."""
    if not seen(picture):
        return []
    total = f"/{picture.total}" if picture.total else ""
    losses = words.losses(picture)
    steps = f"{picture.completed}{total} {picture.unit}" if picture.completed or total else ""
    failed = f"{picture.failed} failed" if picture.failed else ""
    facts = [fact for fact in (steps, failed, *losses[:1], *_times(picture), *losses[1:]) if fact]
    if not facts:
        return []
    tone = TONES[picture.tone].terminal
    if picture.share is None:
        return [Text("  ") + fitting(facts, width - 2)]
    percent = f" {100 * picture.share:.0f} %"
    numbers = fitting(facts, 1 << 12)
    room = width - 2 - len(" 100 %") - 2 - numbers.cell_len
    if room >= 10:
        drawn = bar(picture.share, min(room, _LONGEST_BAR), tone) + padded(Text(percent), len(" 100 %"))
        return [Text("  ") + drawn + Text("  ") + numbers]
    alone = bar(picture.share, max(min(width - 2 - len(" 100 %"), _LONGEST_BAR), 1), tone) + Text(percent)
    return [Text("  ") + cut(alone, width - 2), Text("  ") + fitting(facts, width - 2)]


def _times(picture: JobPicture) -> list[str]:
    if picture.ended:
        return [f"took {duration(picture.elapsed)}"] if picture.elapsed is not None else []
    return [f"{duration(picture.eta)} left"] if picture.eta else []


def _key(number: int, what: str) -> Text:
    return Text(f"{stroke(number).letter} ", curve_style(number)) + Text(what, DIM)


def card(picture: JobPicture, facts: Sequence[tuple[str, str]], width: int, height: int, *, color: bool) -> list[Text]:
    """Return all that is known of a job: its progress, its facts, its curves."""
    label = max((len(name) for name, _ in facts), default=0)
    shown = [
        Text("  ") + Text(f"{name:<{label}}  ", DIM) + cut(plain(value), width - label - 4) for name, value in facts
    ]
    first = 1 + len(_progress(picture, width)) + bool(picture.reason)
    head = job(picture, width, first + height, color=color)
    return [*head[:first], *shown, *head[first:]]
