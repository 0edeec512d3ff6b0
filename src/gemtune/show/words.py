"""Pictures of jobs and batches as facts in words, and as plain lines for places that show no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Final

from gemtune.show.curve import sparkline
from gemtune.show.picture import BatchPicture, JobPicture, counted_in, jobs_of
from gemtune.show.progress import counts, duration, left, loss, state
from gemtune.show.terminal import aligned, printable

_CURVE: Final = 24


def steps(picture: JobPicture) -> str:
    """Return how many steps are done: ``23 of 50 steps``; empty if nothing is known of them.

    Of a batch, how many requests: ``2,310 of 10,000 requests, 12 failed``.
    """
    failed = f", {picture.failed:,} failed" if picture.failed else ""
    if picture.total:
        return f"{min(picture.completed, picture.total):,} of {picture.total:,} {picture.unit}{failed}"
    return f"{picture.completed:,} {picture.unit}{failed}" if picture.completed else ""


def times(picture: JobPicture) -> list[str]:
    """Return how long a job has been running and how long it will, as far as that is known."""
    said = [left(picture)] if left(picture) else []
    if picture.elapsed is not None:
        said.append(f"{'took' if picture.ended else 'running for'} {duration(picture.elapsed)}")
    return said


def losses(picture: JobPicture) -> list[str]:
    """Return the last loss, on validation data too if there is any, and the lowest with its step."""
    if picture.loss is None:
        return []
    said = [loss(picture)]
    if picture.eval_losses:
        said.append(f"eval loss {picture.eval_losses[-1][1]:.4g}")
    if (lowest := picture.lowest) is not None and lowest[1] < (picture.eval_losses or picture.losses)[-1][1]:
        said.append(f"lowest {lowest[1]:.4g} at step {lowest[0]:,}")
    return said


def as_of(picture: JobPicture) -> str:
    """Return the time of the last look at a job that has not ended; empty if there was none."""
    if picture.ended or picture.looked_at is None:
        return ""
    return f"as of {picture.looked_at.astimezone(UTC):%H:%M:%S} UTC"


def counted(pictures: Sequence[JobPicture]) -> str:
    """Return how many jobs there are in which state: ``4 tuning jobs: 1 failed, 2 running, 1 succeeded``."""
    heading = jobs_of(pictures)
    return f"{heading}: {counts(pictures)}" if pictures else heading


def jobs_at_service(picture: BatchPicture) -> str:
    """Return how many batches the service has for a run, ``3 jobs, 1 job waiting``; empty without any."""
    said = [f"{picture.jobs:,} {'job' if picture.jobs == 1 else 'jobs'}"] if picture.jobs else []
    said += (
        [f"{picture.jobs_waiting:,} {'job' if picture.jobs_waiting == 1 else 'jobs'} waiting"]
        if picture.jobs_waiting
        else []
    )
    return ", ".join(said)


def batch_facts(picture: BatchPicture) -> list[str]:
    """Return how far a batch is, how fast it goes, and what holds it back."""
    answered = f"{picture.done:,} of {picture.total:,}" if picture.total is not None else f"{picture.done:,}"
    said = [f"{answered} answered", f"{picture.failed:,} failed"]
    if picture.ended:
        said.append(f"took {duration(picture.elapsed)}" if picture.elapsed >= 1 else "took less than a second")
    else:
        said += [f"{picture.in_flight:,} in flight"] if picture.in_flight else []
        said += [f"{picture.parked:,} parked"] if picture.parked else []
        said += [jobs_at_service(picture)] if jobs_at_service(picture) else []
        said += [f"{picture.rate:.3g}/s"] if picture.rate else []
        said += [f"{duration(picture.eta)} left"] if picture.eta else []
    said += [f"{picture.tokens:,} tokens"] if picture.tokens else []
    return said


def job_text(picture: JobPicture) -> str:
    """Return a job as lines of text: what it is, how far, its curve, and why it failed."""
    head = [picture.title, state(picture), steps(picture), *losses(picture), *times(picture)]
    return "\n".join(map(printable, [" · ".join(part for part in head if part), *_below(picture)]))


def job_line(picture: JobPicture) -> str:
    """Return a job as one line of a log: ``rate 0.001: running, 30 of 50 steps, loss 0.58, 20 s left``."""
    said = [state(picture), steps(picture), *losses(picture)[:1], *times(picture)[:1]]
    why = [picture.reason or picture.trouble] if picture.reason or picture.trouble else []
    return printable(f"{picture.title}: {', '.join(part for part in [*said, *why] if part)}")


def jobs_text(pictures: Sequence[JobPicture]) -> str:
    """Return jobs as a table of text."""
    if not pictures:
        return counted(pictures)
    rows = [("job", "state", counted_in(pictures), "loss", "lowest", "")]
    for picture in pictures:
        lowest = f"{picture.lowest[1]:.4g} @ {picture.lowest[0]}" if picture.lowest else ""
        total = f"/{picture.total}" if picture.total else ""
        last = "" if picture.loss is None else f"{picture.loss:.4g}"
        rows.append((picture.title, state(picture), f"{picture.completed}{total}", last, lowest, _curve(picture)))
    reasons = [f"{picture.title}: {why}" for picture in pictures if (why := picture.reason or picture.trouble)]
    printed = [tuple(map(printable, row)) for row in rows]
    return "\n".join([counted(pictures), *aligned(printed), *map(printable, reasons)])


def batch_text(picture: BatchPicture) -> str:
    """Return a batch as a line of text."""
    held = [picture.held_back] if picture.held_back and not picture.ended else []
    return printable(" · ".join([picture.title, *batch_facts(picture), *held]))


def _below(picture: JobPicture) -> list[str]:
    return [said for said in (_curve(picture), picture.reason, picture.trouble) if said]


def _curve(picture: JobPicture) -> str:
    values = [loss for _, loss in picture.losses]
    return sparkline(values, _CURVE) if len(values) > 1 else ""
