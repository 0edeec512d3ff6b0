"""The events that say how a job is, made from the ledgers of its history.

What happened is decided in ``history``; here stands what is said of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from gemtune import events
from gemtune.errors import CallError, CredentialsError
from gemtune.events import JobState
from gemtune.story.ending import FailedLooks
from gemtune.story.facts import Headway
from gemtune.story.observation import Standing


class Stamp(TypedDict):
    """What every event begins with."""

    job: str
    cursor: str
    observed_at: datetime


def says_more(before: Standing, now: Standing) -> bool:
    """Return whether the service's own words for a state have changed."""
    return before is not now and (before.service_state, before.reason) != (now.service_state, now.reason)


def changed(stamp: Stamp, old: JobState, new: JobState, now: Standing) -> events.StateChanged:
    """Return what is said of a state."""
    return events.StateChanged(**stamp, old=old, new=new, service_state=now.service_state, reason=now.reason)


def progress(stamp: Stamp, headway: Headway, eta: float | None) -> events.Progress:
    """Return how far a job is."""
    return events.Progress(
        **stamp,
        completed_steps=headway.completed_steps,
        total_steps=headway.total_steps,
        percent=headway.percent,
        eta=eta,
        counts=headway.counts,
    )


def degraded(stamp: Stamp, error: CallError | CredentialsError, failed: FailedLooks) -> events.Degraded:
    """Return that looks fail."""
    return events.Degraded(
        **stamp,
        error=type(error).__name__,
        message=error.message,
        status=getattr(error, "status", None),
        failures=failed.count,
    )
