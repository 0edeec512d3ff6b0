"""What a look has shown is reported here: to the log, and to whoever observes the client, which is telemetry.

One line at INFO for each state that a job comes into, with its facts as fields of the record; one at DEBUG for each
look. Handles log as ``gemtune.jobs``, watchers as ``gemtune.watch``; if both follow a job, whoever sees a state first.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from gemtune import events
from gemtune.errors import CallError, CredentialsError
from gemtune.events import Event, is_terminal
from gemtune.protocol.said import clean
from gemtune.story.history import History
from gemtune.story.observation import Source


class JobObserver(Protocol):
    """Whoever observes the jobs of a client."""

    def saw(self, history: History, reported: Sequence[Event]) -> None:
        """Take in what is new of a job."""
        ...


def log_events(log: logging.Logger, reported: Sequence[Event]) -> None:
    """Log what is new of a job: states, ends, restarts and outages, but no steps."""
    for event in reported:
        if isinstance(event, events.StateChanged):
            said = ", ".join(clean(word) for word in (event.service_state, event.reason) if word)
            old, new = clean(event.old), clean(event.new)
            fields = {
                "job": event.job,
                "state": new,
                "old_state": old,
                "service_state": clean(event.service_state) if event.service_state else None,
                "reason": clean(event.reason) if event.reason else None,
            }
            log.info("%s: %s -> %s%s", event.job, old, new, f" ({said})" if said else "", extra=fields)
        elif is_terminal(event) or isinstance(event, events.Restarted | events.Degraded | events.Recovered):
            log.info("%s: %s", event.job, event.kind, extra={"job": event.job, "event": event.kind})


def log_look(
    log: logging.Logger,
    history: History,
    source: Source,
    reported: Sequence[Event],
    error: CallError | CredentialsError | None = None,
) -> None:
    """Log a look at DEBUG: where, and what it brought."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    steps = sum(isinstance(event, events.Snapshot) for event in reported)
    state = clean(history.state)
    fields = {
        "job": history.name,
        "state": state,
        "source": source.value,
        "steps": steps,
        "status": getattr(error, "status", None),
        "error": None if error is None else type(error).__name__,
    }
    said = f"{state}, {steps} new steps" if error is None else f"failed ({type(error).__name__})"
    log.debug("look at %s (%s): %s", history.name, source.value, said, extra=fields)
