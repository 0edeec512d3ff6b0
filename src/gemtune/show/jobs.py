"""Many jobs at once, as a table: one line for each, the running ones first."""

from __future__ import annotations

from collections import Counter

import attrs

from gemtune import events
from gemtune.show.progress import JobView


@attrs.define
class JobsView:
    """What a table of jobs has to remember of their events."""

    jobs: dict[str, JobView] = attrs.field(factory=dict)
    trouble: str = ""

    def feed(self, event: events.Event) -> None:
        """Take in an event."""
        match event:
            case events.Degraded(message=message):
                self.trouble = f"no answer ({message}); still trying"
            case events.Recovered():
                self.trouble = ""
        if event.job:
            # Nothing is claimed of a job before a look at it.
            self.jobs.setdefault(event.job, JobView(state="UNKNOWN")).feed(event)

    @property
    def state(self) -> str:
        """How many jobs are in which state."""
        counts = Counter(view.state for view in self.jobs.values())
        return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no jobs"

    @property
    def known(self) -> bool:
        """Whether there is anything to show: a job that was looked at, or trouble."""
        return bool(self.trouble) or any(view.state != "UNKNOWN" for view in self.jobs.values())

    @property
    def tenths(self) -> int:
        """How many tenths of all work are done, every job counting the same."""
        return sum(view.tenths for view in self.jobs.values()) // max(len(self.jobs), 1)

    def line(self, width: int = 80, *, unicode: bool = True) -> str:
        """Return the progress of a single job, or the counts of states, as one line."""
        if len(self.jobs) == 1 and not self.trouble:
            ((name, view),) = self.jobs.items()
            return f"{name}  {view.line(width - len(name) - 2, unicode=unicode)}"[:width]
        return (f"{self.state}: {self.trouble}" if self.trouble else self.state)[:width]

    def block(self, width: int = 80, height: int = 8, *, unicode: bool = True) -> list[str]:
        """Return the counts, then a line for each job as far as they fit."""
        if len(self.jobs) == 1:
            ((name, view),) = self.jobs.items()
            return [name[:width], *view.block(width, height, unicode=unicode)]
        room = max(height, 1)
        ordered = sorted(self.jobs.items(), key=lambda item: events.JobState(item[1].state).terminal)
        shown = ordered if len(ordered) <= room else ordered[: room - 1]
        column = min(max((len(name) for name, _ in shown), default=0), width // 2)
        lines = [self.line(width)]
        for name, view in shown:
            left = name if len(name) <= column else f"{name[: column - 1]}~"
            lines.append(f"{left:<{column}}  {view.line(width - column - 2, unicode=unicode)}")
        if len(shown) < len(ordered):
            lines.append(f"and {len(ordered) - len(shown)} more")
        return lines
