"""A job's picture, made of what is known of it: the same for its handle and for a watcher."""

from __future__ import annotations

from datetime import datetime

from gemtune.looks.known import KnownJob
from gemtune.protocol.said import clean
from gemtune.show.picture import JobPicture, curves, parameters, reason_of, settings, short, toned
from gemtune.story.history import History, eta


def picture_of(known: KnownJob, own: History, now: datetime, *, trouble: str = "") -> JobPicture:
    """Return what a person sees of a job.

    Args:
        known: What is known of it.
        own: The history of whoever shows it, which may have ended where others have not looked.
        now: The time.
        trouble: Why it cannot be looked at at present.
    """
    seen = known.history
    outcome, headway = seen.outcome or own.outcome, seen.headway
    word, tone = toned(known.state, outcome, steps=headway.completed_steps, reason=known.standing.reason)
    losses, eval_losses = curves(seen.snapshots)
    ended, last = outcome is not None, seen.rhythm.last
    return JobPicture(
        name=own.name,
        title=known.about.display_name or short(own.name),
        base_model=known.about.base_model or "",
        hyperparameters=settings(known.about.hyperparameters),
        parameters=parameters(known.about.hyperparameters),
        state=known.state,
        word=word,
        tone=tone,
        reason=clean(reason_of(outcome)),
        trouble=clean(("" if ended else trouble) or _dark(seen)),
        completed=headway.completed_steps,
        total=headway.total_steps,
        share=None if headway.percent is None else min(max(headway.percent / 100, 0.0), 1.0),
        eta=None if ended else eta(seen),
        elapsed=elapsed(known, own, now),
        looked_at=last.utc if last is not None else None,
        losses=losses,
        eval_losses=eval_losses,
        checkpoints=known.standing.checkpoints,
    )


def _dark(history: History) -> str:
    """Return why the losses of a job cannot be seen although the job can; empty if they can."""
    work = history.work
    return f"no losses: {work.denied}" if work.apart and work.denied else ""


def elapsed(known: KnownJob, own: History, now: datetime) -> float | None:
    """Return the seconds since a job was created, or from then to its end; None while unknown."""
    history, born = known.history, own.born
    began = history.log.now.created or (born and int(born.utc.timestamp() * 1e9))
    if not began:
        return None
    if history.outcome is None:
        end = now.timestamp()
    else:
        end = (known.about.completed or history.log.now.newest) / 1e9
        end = end or history.outcome.observed_at.timestamp()
    return max(end - began / 1e9, 0.0)
