"""How far a job is, as one line, and what a view has to remember of its events.

A line that does not fit loses its bar first, then the percentage, which the steps say as well, then the facts from the
right: the state and the steps matter most.
"""

from __future__ import annotations

import math
import re
from typing import Final

import attrs

from gemtune import events
from gemtune.show.curve import NARROWEST, loss_curve, sparkline
from gemtune.show.terminal import clipped

WAITING = "waiting for the first look"
_WAITS: Final = re.compile(r"TUNING_JOB_STATE_(WAITING_FOR_[A-Z_]+)")


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``8 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = max(math.ceil(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


@attrs.frozen
class Figures:
    """How far a job is, as far as it is known.

    Args:
        state: The service's word for it.
        completed: Steps done.
        total: Steps in all; without it no bar is drawn.
        percent: As the service reports it; None computes it from the steps.
        loss: The mean loss of the last step.
        eta: Seconds until the last step.
    """

    state: str
    completed: int
    total: int | None
    percent: float | None = attrs.field(default=None, kw_only=True)
    loss: float | None = attrs.field(default=None, kw_only=True)
    eta: float | None = attrs.field(default=None, kw_only=True)

    def line(self, width: int = 80, *, unicode: bool = True) -> str:
        """Return state, bar, steps, percentage, loss and time left, as far as they are known and fit into a line.

        Args:
            width: The most columns.
            unicode: False for ASCII characters only.
        """
        known = self.words()
        facts = [fact for fact in known if fact]
        share = _percent(self.completed, self.total, self.percent)
        if self.total and len("  ".join(facts)) > width:
            facts, share = [fact for fact in facts if fact != known[2]], None  # the steps say the same
        room = width - len("  ".join(facts)) - 4
        if self.total and share is not None and room >= 4:
            facts.insert(1, bar(share / 100, min(room, 30), unicode=unicode))
        while len(facts) > 1 and len("  ".join(facts)) > width:
            facts.pop()
        return "  ".join(facts)[: max(width, 0)]

    def words(self) -> tuple[str, str, str, str, str]:
        """Return state, steps, percentage, loss and time left in words; what is not known is empty."""
        percent = _percent(self.completed, self.total, self.percent)
        total, eta = self.total, self.eta
        steps = f"{self.completed} steps" if self.completed else ""
        return (
            self.state,
            f"{min(self.completed, total):{len(str(total))}}/{total} steps" if total else steps,
            "" if percent is None else f"{percent:5.1f} %",
            "" if self.loss is None else f"loss {self.loss:.4g}",
            f"{duration(eta)} left" if eta and math.isfinite(eta) else "",
        )


def _percent(completed: int, total: int | None, reported: float | None) -> float | None:
    if reported is not None and math.isfinite(reported):
        return reported
    return 100 * completed / total if total else None


def bar(share: float, width: int, *, unicode: bool) -> str:
    """Return a share, from 0 to 1, as a bar of so many columns and two brackets."""
    full = min(max(int(share * width), 0), width)
    return f"[{('█' if unicode else '#') * full}{('░' if unicode else '.') * (width - full)}]"


def no_answer(error: str, status: int | None) -> str:
    """Return that the service does not answer, in a few words; the whole message is said once, above."""
    return f"no answer ({f'HTTP {status}' if status else error}); still trying"


def awaited(reason: str | None) -> str:
    """Return what a job waits for, such as ``waiting for quota``; empty if the service gives another reason or none."""
    waits = _WAITS.fullmatch(reason or "")
    return waits[1].lower().replace("_", " ") if waits else ""


@attrs.define
class JobView:
    """What the events of one job add up to.

    Args:
        state: The latest state, or what the job waits for in it.
        completed: Steps done in this attempt.
        total: Steps in all, once known.
        percent: As the service reports it.
        eta: Seconds until the last step, while known.
        losses: The mean losses of this attempt, by step.
        pace: Seconds of the service's time in one of ours; only an emulator's clock runs fast.
        trouble: Why the job cannot be looked at, if that is so.
    """

    state: str = "CREATING"
    completed: int = 0
    total: int | None = None
    percent: float | None = None
    eta: float | None = None
    losses: dict[int, float] = attrs.field(factory=dict, repr=False)
    pace: float = 1.0
    trouble: str = ""

    def feed(self, event: events.Event) -> None:
        """Take in an event."""
        match event:
            case events.Degraded(error=error, status=status):
                self.trouble = no_answer(error, status)
            case events.Recovered():
                self.trouble = ""
            case events.StateChanged(new=state, reason=reason):
                self.state = str(state) if state.terminal else awaited(reason) or str(state)
            case events.Snapshot(step=step, mean_loss=loss) | events.SnapshotUpdated(step=step, mean_loss=loss):
                if not math.isnan(loss):  # a checkpoint's, of a job without curves
                    self.losses[step] = loss
                self.completed = max(self.completed, step)
            case events.Progress(completed_steps=done, total_steps=total, percent=percent, eta=eta):
                self.completed = done
                self.total = total if total is not None else self.total
                self.percent, self.eta = percent, eta and eta / self.pace
            case events.Restarted():
                self.losses.clear()
                self.completed, self.percent, self.eta = 0, None, None
            case events.Succeeded():
                self._ended("ACTIVE")
            case events.Failed() | events.Cancelled() | events.Deleted() | events.Lost():
                self._ended(event.kind.upper())

    def _ended(self, state: str) -> None:
        self.state = state
        self.eta = None

    @property
    def tenths(self) -> int:
        """How many tenths of the way are done; 0 while that is unknown."""
        return int((_percent(self.completed, self.total, self.percent) or 0.0) // 10)

    @property
    def curve(self) -> list[float]:
        """The mean losses in the order of their steps."""
        return [loss for _, loss in sorted(self.losses.items())]

    @property
    def known(self) -> bool:
        """Whether anything is known of the job: nothing is claimed of one before a look at it."""
        return self.state != "UNKNOWN" or bool(self.losses)

    @property
    def share(self) -> float | None:
        """How much of the way is done, from 0 to 1, if that is known."""
        percent = _percent(self.completed, self.total, self.percent)
        return None if percent is None or not self.total else percent / 100

    def facts(self) -> tuple[str, str, str, str, str]:
        """Return state, steps, percentage, loss and time left in words; what is not known is empty."""
        return self._figures().words()

    def line(self, width: int = 80, *, unicode: bool = True) -> str:
        """Return the progress as one line."""
        return self._figures().line(width, unicode=unicode) if self.known else clipped(WAITING, width)

    def _figures(self) -> Figures:
        curve = self.curve
        eta = None if events.JobState(self.state).terminal else self.eta
        loss = curve[-1] if curve else None
        return Figures(self.state, self.completed, self.total, percent=self.percent, loss=loss, eta=eta)

    def block(self, width: int = 80, height: int = 8, *, unicode: bool = True) -> list[str]:
        """Return the progress line and below it the loss curve, which grows to the right while the job runs."""
        curve = self.curve
        ahead = [math.nan] * max((self.total or 0) - len(curve), 0)
        drawn = loss_curve(curve + ahead, width, height, unicode=unicode) if width >= NARROWEST else []
        return [self.line(width, unicode=unicode), *drawn]

    def spark(self, width: int = 40, *, unicode: bool = True) -> str:
        """Return the losses as one line of blocks."""
        return sparkline(self.curve, width, unicode=unicode)
