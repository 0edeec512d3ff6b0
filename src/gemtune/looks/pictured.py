"""A job's picture, made of what is known of it: the same for its handle and for a watcher."""

from __future__ import annotations

from datetime import datetime

from gemtune.events import Deleted, JobState, Lost
from gemtune.looks.known import KnownJob
from gemtune.protocol.names import is_batch_name
from gemtune.protocol.said import clean
from gemtune.show.picture import JobPicture, batch_toned, curves, parameters, reason_of, settings, short, toned
from gemtune.story.history import History, eta
from gemtune.types import TunedModel
from gemtune.types.batches import BatchCounts, GenerateContentBatch


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
    batch = known.standing.batch
    if batch is not None and not isinstance(outcome, Deleted | Lost):
        word, tone = batch_toned(batch.state)
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
        eta=None if ended else _left(seen, now),
        elapsed=elapsed(known, own, now),
        looked_at=last.utc if last is not None else None,
        losses=losses,
        eval_losses=eval_losses,
        checkpoints=known.standing.checkpoints,
        counts=headway.counts or (BatchCounts() if is_batch_name(own.name) else None),
    )


def _dark(history: History) -> str:
    """Return why the losses of a job cannot be seen although the job can; empty if they can."""
    work = history.work
    return f"no losses: {work.denied}" if work.apart and work.denied else ""


def _left(seen: History, now: datetime) -> float | None:
    """Return the seconds until the last step: since the last look, time has passed."""
    left, last = eta(seen), seen.rhythm.last
    if left is None or last is None:
        return left
    return max(left - max((now - last.utc).total_seconds(), 0.0), 0.0)


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


def picture_of_model(model: TunedModel) -> JobPicture:
    """Return what a person sees of a model that a list or a request has brought; of its steps in all it says nothing.

    Args:
        model: The model.
    """
    task = model.tuning_task
    losses, eval_losses = curves(task.snapshots if task is not None else ())
    state, steps = JobState(str(model.state)), losses[-1][0] if losses else 0
    word, tone = toned(state, None, steps=steps)
    began, ended = model.create_time, task.complete_time if task is not None else None
    used = task.hyperparameters if task is not None else None
    source = model.tuned_model_source
    return JobPicture(
        name=model.name,
        title=model.display_name or short(model.name),
        base_model=model.base_model or (source.tuned_model if source is not None else ""),
        hyperparameters=settings(used),
        parameters=parameters(used),
        state=state,
        word=word,
        tone=tone,
        completed=steps,
        total=steps if state is JobState.ACTIVE else None,
        share=1.0 if state is JobState.ACTIVE else None,
        elapsed=(ended.to_datetime() - began.to_datetime()).total_seconds() if began and ended else None,
        losses=losses,
        eval_losses=eval_losses,
    )


def picture_of_batch(batch: GenerateContentBatch) -> JobPicture:
    """Return what a person sees of a batch that a list or a request has brought.

    Args:
        batch: The batch.
    """
    (word, tone), counts = batch_toned(batch.state), batch.counts
    began, ended = batch.create_time, batch.end_time
    return JobPicture(
        name=batch.name,
        title=batch.display_name or short(batch.name),
        base_model=batch.model,
        word=word,
        tone=tone,
        reason=clean(batch.error.message) if batch.error is not None else "",
        completed=counts.finished,
        total=counts.total or None,
        share=counts.finished / counts.total if counts.total else None,
        elapsed=(ended.to_datetime() - began.to_datetime()).total_seconds() if began and ended else None,
        counts=counts,
    )
