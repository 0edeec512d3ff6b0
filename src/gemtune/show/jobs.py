"""Many jobs at once, as a table: one line for each, the running ones first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from gemtune import events
from gemtune.show.progress import WAITING, JobView, bar, no_answer
from gemtune.show.terminal import cells, clipped, fitted, padded

_SHORTEST_BAR = 4
_LONGEST_BAR = 20
_ANY = 1 << 16
"""As wide as it takes."""


@attrs.define
class JobsView:
    """What a table of jobs has to remember of their events."""

    jobs: dict[str, JobView] = attrs.field(factory=dict)
    trouble: str = ""

    def expect(self, names: Iterable[str]) -> None:
        """Take in the names of jobs that nobody has looked at yet."""
        for name in names:
            self.jobs.setdefault(name, JobView(state="UNKNOWN"))

    def feed(self, event: events.Event) -> None:
        """Take in an event."""
        match event:
            case events.Degraded(error=error, status=status):
                self.trouble = no_answer(error, status)
            case events.Recovered():
                self.trouble = ""
        if event.job:
            # Nothing is claimed of a job before a look at it.
            self.jobs.setdefault(event.job, JobView(state="UNKNOWN")).feed(event)

    @property
    def state(self) -> str:
        """How many jobs are in which state."""
        counts = Counter(view.state if view.known else WAITING for view in self.jobs.values())
        return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no job yet"

    @property
    def known(self) -> bool:
        """Whether there is anything to show: a job that was looked at, or trouble."""
        return bool(self.trouble) or any(view.known for view in self.jobs.values())

    @property
    def tenths(self) -> int:
        """How many tenths of all work are done, every job counting the same."""
        return sum(view.tenths for view in self.jobs.values()) // max(len(self.jobs), 1)

    def line(self, width: int = 80, *, unicode: bool = True) -> str:
        """Return the progress of a single job, or the counts of states, as one line."""
        if len(self.jobs) == 1 and not self.trouble:
            ((name, view),) = self.jobs.items()
            return f"{name}  {view.line(width - len(name) - 2, unicode=unicode)}"[:width]
        return clipped(f"{self.state}: {self.trouble}" if self.trouble else self.state, width)

    def block(self, width: int = 80, height: int = 8, *, unicode: bool = True) -> list[str]:
        """Return a single job with its curve, or the counts and a line for each job as far as they fit."""
        if len(self.jobs) == 1:
            ((name, view),) = self.jobs.items()
            return [clipped(name, width), *view.block(width, height, unicode=unicode)]
        room = max(height, 1)
        ordered = sorted(self.jobs.items(), key=lambda item: events.JobState(item[1].state).terminal)
        shown = ordered if len(ordered) <= room else ordered[: room - 1]
        lines = [clipped(self.state, width), *_table(shown, width, unicode=unicode)]
        if len(shown) < len(ordered):
            lines.append(clipped(f"and {len(ordered) - len(shown)} more", width))
        return lines


def _table(jobs: Sequence[tuple[str, JobView]], width: int, *, unicode: bool) -> list[str]:
    """Return a line for each job: its id, then the facts in columns, and a bar if there is room for one."""
    rows = [(_short(name), *_facts(view)) for name, view in jobs]
    table = [(row[0], row[1], "", *row[2:]) for row in rows]
    room = width - max(map(cells, fitted(table, _ANY, ()))) - 2
    if room >= _SHORTEST_BAR + 2:
        bars = [_bar(view, min(room - 2, _LONGEST_BAR), unicode=unicode) for _, view in jobs]
        return fitted([(*row[:2], bar, *row[3:]) for row, bar in zip(table, bars, strict=True)], width, ())
    # In the order in which they can be spared: the percentage, which the steps say as well, the time left, the loss.
    lines = fitted(table, width, (4, 6, 5, 3))
    if all(cells(line) <= width for line in lines):
        return lines
    column = max(width // 2, 1)
    return [clipped(f"{padded(clipped(row[0], column), column)}  {row[1]}", width) for row in rows]


def _short(name: str) -> str:
    """Return what tells a job from others: on Vertex AI, where names begin alike, the number at the end."""
    return name.rpartition("/")[2]


def _facts(view: JobView) -> tuple[str, ...]:
    return view.facts() if view.known else (WAITING, "", "", "", "")


def _bar(view: JobView, width: int, *, unicode: bool) -> str:
    return "" if view.share is None or not view.known else bar(view.share, width, unicode=unicode)
