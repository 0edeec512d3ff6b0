"""Jobs compared: their curves over each other, and a table below, the best first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gemtune.cli.screen import charts, table
from gemtune.cli.screen.paint import DIM, cut, fitting, plain
from gemtune.show.palette import STROKES
from gemtune.show.picture import JobPicture


def compared(jobs: Sequence[JobPicture], width: int, height: int, *, color: bool) -> list[Text]:
    """Return a chart and a table.

    Args:
        jobs: The jobs, the best first.
        width: The most columns.
        height: The lines of the terminal; the table is printed whole, however long it is.
        color: Whether there are colours.
    """
    columns = table.layout(jobs, width, lettered=True, importance=table.TO_COMPARE)
    rows = [table.heading(columns, lettered=True)]
    for number, job in enumerate(jobs):
        rows.append(table.row(job, number, columns, lettered=True))
        rows += table.reason(job, width, lettered=True, lines=3)
        if "settings" not in {name for name, _ in columns.columns} and job.hyperparameters:
            rows.append(Text("    ") + cut(plain(job.hyperparameters, DIM), width - 4))
    bases = sorted({job.base_model for job in jobs if job.base_model})
    head = fitting([Text(f"{len(jobs)} tuning job{'s' if len(jobs) != 1 else ''}", "bold"), *bases], width, "   ")
    curves = [(number, job.losses) for number, job in enumerate(jobs) if job.losses][: len(STROKES)]
    last = max((job.total or 0 for job in jobs), default=0)
    room = max(height - len(rows) - 3, charts.TALLEST - 4)
    return [head, *charts.drawn(curves, width, room, last=last, color=color), *rows]
