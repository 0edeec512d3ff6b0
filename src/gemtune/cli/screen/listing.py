"""The list of tuned models, or of batches: as much of each as the terminal is wide, but always its whole name."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gemtune.cli.screen.paint import DIM, cut, padded, plain, sign, width_of, word
from gemtune.show.curve import sparkline
from gemtune.show.picture import JobPicture

_CURVE = 12
_HEADINGS = ("name", "state", "created (UTC)", "display name", "requests", "loss", "curve", "base")
_SPARE = (7, 6, 5, 3, 2, 4)
"""The columns that can be left out, the most dispensable first."""


def listed(found: Sequence[tuple[JobPicture, str]], width: int) -> list[Text]:
    """Return the models or the batches as a table.

    Args:
        found: They, and when each was created.
        width: The columns that there are.
    """
    rows = [[plain(name, DIM) for name in _HEADINGS], *(_row(*each) for each in found)]
    left = [column for column in range(len(_HEADINGS)) if any(row[column].cell_len for row in rows[1:])]
    for column in (None, *_SPARE):
        left = [other for other in left if other != column]
        widths = {column: width_of(row[column] for row in rows) for column in left}
        if sum(widths.values()) + 2 * len(left) <= width:
            break
    else:  # a name that is cut could not be used: it has a line of its own, which the terminal wraps if it must
        return [line for row in rows[1:] for line in (row[0], cut(Text("    ") + row[1] + Text("  ") + row[2], width))]
    lines = []
    for row in rows:
        line = Text("  ").join(padded(row[column], widths[column]) for column in left)
        line.rstrip()
        lines.append(Text("  ") + line if row is rows[0] else line)
    return lines


def _row(picture: JobPicture, created: str) -> list[Text]:
    losses = [loss for _, loss in picture.losses]
    return [
        sign(picture) + Text(" ") + plain(picture.name),
        word(picture),
        plain(created, DIM),
        plain(picture.title if picture.title not in picture.name else ""),
        Text(_requests(picture)),
        Text("" if picture.loss is None else f"{picture.loss:.4g}"),
        Text(sparkline(losses, _CURVE) if len(losses) > 1 else "", "blue"),
        plain(picture.base_model, DIM),
    ]


def _requests(picture: JobPicture) -> str:
    if not (picture.counts and picture.total):
        return ""
    failed = f" ({picture.failed} failed)" if picture.failed else ""
    return f"{picture.completed}/{picture.total}{failed}"
