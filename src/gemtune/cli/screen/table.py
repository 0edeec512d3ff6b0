"""Jobs as rows: in as many columns as there is room for, and always the same for the same room.

A column that does not fit is left out, the most dispensable first. What the narrowest terminal still has is the sign of
the state, the name, the steps and the loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from rich.text import Text

from gemtune.cli.screen.paint import DIM, bar, curve_style, cut, padded, plain, sign, width_of, word
from gemtune.show.curve import sparkline
from gemtune.show.palette import TONES, stroke
from gemtune.show.picture import JobPicture, counted_in
from gemtune.show.progress import duration

_GAP = 2
_LONGEST_TITLE = 32
_LEAST_TITLE = 16
_LONGEST_BAR = 20
_LONGEST_CURVE = 24
_SHORTEST = 8
# In the order in which they are given up, the last first. "when" says in a word how it ended once "state" has gone.
_BY_IMPORTANCE = ("step", "loss", "when", "state", "progress", "lowest", "curve", "eval", "settings")
TO_COMPARE = ("loss", "lowest", "eval", "when", "step", "settings", "state", "curve")
"""The same where jobs are compared."""
_IN_ORDER = ("state", "progress", "step", "loss", "eval", "lowest", "curve", "when", "settings")
_HEADINGS = {"when": "time", "settings": "hyperparameters"}
_RIGHT = frozenset({"step", "loss", "eval"})


@attrs.frozen
class TableColumns:
    """Which columns there are, and how wide they are.

    Args:
        title: TableColumns of the titles.
        columns: The name and the width of each further column, from left to right.
        counted: What the column ``step`` counts.
    """

    title: int
    columns: Sequence[tuple[str, int]]
    counted: str = "step"


def layout(
    pictures: Sequence[JobPicture], width: int, *, lettered: bool, importance: Sequence[str] = _BY_IMPORTANCE
) -> TableColumns:
    """Return the columns that fit.

    Args:
        pictures: All jobs, so that rows that are drawn at different times stand below each other.
        width: The columns that there are.
        lettered: Whether each row begins with the letter of its curve.
        importance: The columns, the most important first.
    """
    lead = 4 if lettered else 2
    title = min(width_of(plain(picture.title) for picture in pictures), _LONGEST_TITLE)
    title = max(title, len("job"))
    chosen: dict[str, int] = {}
    room = width - lead
    for name in importance:
        wide = _wanted(name, pictures)
        if not wide:
            continue
        taken = sum(chosen.values()) + _GAP * (len(chosen) + 1)
        least = min(title, _LEAST_TITLE if len(chosen) < 3 else title)
        if taken + wide + least > room:
            if name == "settings":
                continue
            break
        chosen[name] = wide
    spare = room - min(title, room) - sum(chosen.values()) - _GAP * len(chosen)
    for name, most in (("progress", _LONGEST_BAR), ("curve", _LONGEST_CURVE)):
        if name in chosen and spare > 0:
            more = min(spare, most - chosen[name])
            chosen[name] += more
            spare -= more
    left = room - sum(chosen.values()) - _GAP * len(chosen)
    columns = [(name, chosen[name]) for name in _IN_ORDER if name in chosen]
    return TableColumns(max(min(title, left), 1), columns, counted_in(pictures))


def heading(columns: TableColumns, *, lettered: bool) -> Text:
    """Return the line above the rows."""
    line = padded(Text(" " * (4 if lettered else 2) + "job"), (4 if lettered else 2) + columns.title)
    for name, width in columns.columns:
        said = columns.counted if name == "step" else _HEADINGS.get(name, name)
        line += Text(" " * _GAP) + (Text(f"{said:>{width}}") if name in _RIGHT else padded(Text(said), width))
    line.stylize(DIM)
    line.rstrip()
    return line


def row(picture: JobPicture, number: int, columns: TableColumns, *, lettered: bool) -> Text:
    """Return a job as a line.

    Args:
        picture: The job.
        number: Which of the jobs it is: its curve's colour and letter.
        columns: What is shown.
        lettered: Whether the line begins with the letter of its curve.
    """
    line = Text(no_wrap=True, end="")
    if lettered:
        line.append(f"{stroke(number).letter} ", curve_style(number))
    line += sign(picture) + Text(" ") + padded(plain(picture.title), columns.title)
    shown = {name for name, _ in columns.columns}
    for name, width in columns.columns:
        cell = _cell(name, picture, number, width, stateless="state" not in shown)
        line += Text(" " * _GAP)
        line += Text(" " * max(width - cell.cell_len, 0)) + cut(cell, width) if name in _RIGHT else padded(cell, width)
    line.rstrip()
    return line


def reason(picture: JobPicture, width: int, *, lettered: bool, lines: int = 1) -> list[Text]:
    """Return why a job has no model, below its row; nothing if it has one."""
    if not picture.reason:
        return []
    lead = 4 if lettered else 2
    words = plain(picture.reason, TONES[picture.tone].terminal)
    console_width = max(width - lead, 8)
    wrapped: list[Text] = []
    while words.cell_len > console_width and len(wrapped) < lines - 1:
        place = words.plain.rfind(" ", 0, console_width) if " " in words.plain[:console_width] else console_width
        head, words = words.divide([place])
        wrapped.append(head)
        words = words[len(words.plain) - len(words.plain.lstrip()) :]
    return [Text(" " * lead) + cut(each, console_width) for each in [*wrapped, words]]


def _wanted(name: str, pictures: Sequence[JobPicture]) -> int:
    """Return the least columns that a column needs; 0 if it has nothing to say."""
    if name == "progress":
        return _SHORTEST + 2 if any(picture.share is not None for picture in pictures) else 0
    if name == "curve":
        return _SHORTEST if any(len(picture.losses) > 1 for picture in pictures) else 0
    if name == "when":
        return max(width_of(_when(picture, stateless=False) for picture in pictures), len("succeeded"))
    found = width_of(_cell(name, picture, 0, 0, stateless=False) for picture in pictures)
    heading_width = len(counted_in(pictures) if name == "step" else _HEADINGS.get(name, name))
    return max(found, heading_width, len("succeeded") if name == "state" else 0) if found else 0


def _cell(name: str, picture: JobPicture, number: int, width: int, *, stateless: bool) -> Text:
    match name:
        case "state":
            return word(picture)
        case "progress":
            return bar(picture.share, width, TONES[picture.tone].terminal)
        case "step":
            total = f"/{picture.total}" if picture.total else ""
            failed = f" ({picture.failed} failed)" if picture.failed else ""
            return Text(f"{picture.completed}{total}{failed}" if picture.completed or total else "")
        case "loss":
            return Text("" if picture.loss is None else f"{picture.loss:.4g}")
        case "eval":
            return Text(f"{picture.eval_losses[-1][1]:.4g}" if picture.eval_losses else "")
        case "lowest":
            lowest = picture.lowest
            return Text("" if lowest is None else f"{lowest[1]:.4g} @ {lowest[0]}")
        case "curve":
            return Text(sparkline([loss for _, loss in picture.losses], width), curve_style(number))
        case "when":
            return _when(picture, stateless=stateless)
    return plain(picture.hyperparameters, DIM)


def _when(picture: JobPicture, *, stateless: bool) -> Text:
    if not picture.ended and picture.eta:
        return Text(f"{duration(picture.eta)} left")
    if stateless:
        return word(picture)
    return Text(f"took {duration(picture.elapsed)}" if picture.ended and picture.elapsed is not None else "")
