"""How a run is reported: why it ended before its input did, and what holds it back meanwhile.

Everything here is words and the facts behind them. Nothing waits, and nothing decides what happens next.
"""

from __future__ import annotations

import os
from typing import Final

import attrs

from gemtune.batch.inputs import Item
from gemtune.batch.outbox import Outbox
from gemtune.batch.progress import RunTally
from gemtune.errors import BatchStopped, CallError, CredentialsError, DeadlineExceeded, GemtuneError
from gemtune.limiter.limiter import Limiter
from gemtune.limiter.ruling import Ruling
from gemtune.remedy import Argument, Remedy

_TO_RESUME: Final = (Remedy("to resume such a run, pass ", Argument("journal", "run.journal")),)
_ONE_UNIT: Final = 5400
"""Seconds up to which a wait is given in seconds, and beyond which in hours."""


@attrs.define(eq=False)
class Stop:
    """That a run begins nothing more, and why. What is in flight finishes; what is parked is given up.

    Args:
        begun: Whether it has come to that.
        reason: The error behind it, or None if the user has drained the run.
        item: The item that met it. It gets no result, because it did nothing wrong.
        verdict: What the limiter said about it.
        why: Why that ends the run, if the error alone does not say so.
    """

    begun: bool = False
    reason: BaseException | None = None
    item: Item | None = None
    verdict: Ruling | None = None
    why: str = ""

    def begin(
        self,
        reason: BaseException | None,
        item: Item | None = None,
        verdict: Ruling | None = None,
        *,
        why: str = "",
    ) -> None:
        """Begin nothing more. The first reason counts: what fails after it may well be its consequence."""
        self.begun = True
        if self.reason is None:
            self.reason, self.item, self.verdict = reason, item, verdict
            self.why = verdict.reason if verdict is not None and verdict.guessed else why

    def overrule(self, reason: BaseException) -> None:
        """Put a graver reason in the place of any other."""
        self.begun, self.reason = True, reason


def stop_error(stop: Stop, tally: RunTally, model: str, journal: str | os.PathLike[str] | None) -> BaseException | None:
    """Return what ended a run as the error to raise, with what was reached and how to continue; None if nothing did."""
    reason = stop.reason
    reached = _reached(tally, journal)
    if isinstance(reason, BatchStopped):  # its budget is used up, or such: it says itself why
        reason.message = f"{reason.message}{reached}"
        return reason
    if not isinstance(reason, CallError | CredentialsError) and not stop.why:
        return reason
    remedies: tuple[Remedy, ...] = getattr(reason, "remedies", ())
    if stop.why:
        remedies = (*remedies, Remedy("if such items may fail, say how many with ", Argument("max_failures")))
    elif not remedies and reached and journal is None:
        remedies = _TO_RESUME
    if isinstance(reason, DeadlineExceeded) and stop.verdict is None and not stop.why:  # the run's own time is up
        reason.message, reason.remedies = f"{reason.message}{reached}", remedies
        return reason
    reset_after = getattr(reason, "retry_after", None) if stop.verdict is None else stop.verdict.reset_after
    met = "" if stop.item is None else f"; met at {stop.item.row}"
    message = reason.message if isinstance(reason, GemtuneError) else str(reason)
    why = f"{stop.why}; the last: " if stop.why else ""
    what = f"the batch on {model} stopped: {why}{message}{met}{_again(reset_after)}{reached}"
    stopped = BatchStopped(what, *remedies)
    stopped.key, stopped.reset_after = None if stop.item is None else stop.item.name, reset_after
    stopped.__cause__ = reason
    return stopped


def _reached(tally: RunTally, journal: str | os.PathLike[str] | None) -> str:
    """Say what there is to resume from, if there is anything."""
    # "0 answered, 0 failed" beside an error of the first request would only draw the eye from it.
    if not tally.finished + tally.skipped:
        return ""
    before = f", {tally.skipped} from before" if tally.skipped else ""
    kept = "" if journal is None else f"; they are in {os.fspath(journal)}, from which a new run resumes"
    return f"; {tally.done} answered, {tally.failed} failed{before}{kept}"


def _again(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds > _ONE_UNIT:
        return f"; it can continue in about {seconds / 3600:.1f} h"
    return f"; it can continue in {seconds:.0f} s"


def held_back(holds: str, tally: RunTally, limiter: Limiter, outbox: Outbox) -> str:
    """Return what holds a run back at present, or an empty string once nothing does.

    Args:
        holds: What the next item waits for: ``input``, ``limiter``, ``consumer`` or, at the end, ``last replies``.
        tally: The run's counts.
        limiter: Its limiter.
        outbox: Its results that wait.
    """
    statistics = limiter.statistics()
    stands_in_line = tally.parked and statistics.binding and (outbox.hungry or holds != "consumer")
    if holds == "limiter" or stands_in_line:
        return statistics.reason
    if holds == "last replies" and not tally.in_flight + tally.parked:
        return "waiting for the consumer" if outbox.waiting else ""
    # In the order of the input, the consumer waits for one item while the next ones wait for the consumer.
    if holds == "consumer" and outbox.ordered and outbox.hungry:
        item = "an earlier item" if tally.skipped else f"item {outbox.taken}"
        return f"waiting for {item}, to restore the order of the input"
    return f"waiting for the {holds}"
