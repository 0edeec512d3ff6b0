"""Jobs and batches as the dashboard's page gets them, made up: nothing has to be trained for a picture or a test."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from gemtune.events import JobState
from gemtune.show.picture import BatchPicture, JobPicture, Tone, parameters, settings, thinned
from gemtune.types import Checkpoint, Hyperparameters

BASE = "models/gemini-1.5-flash-001-tuning"
ENDED = {Tone.GOOD: JobState.ACTIVE, Tone.BAD: JobState.FAILED, Tone.OVER: JobState.CANCELLED}
WORDS = {
    Tone.GOOD: "succeeded",
    Tone.BAD: "failed",
    Tone.OVER: "cancelled",
    Tone.RUNNING: "running",
    Tone.WAITING: "waiting for quota",
    Tone.UNSEEN: "not seen yet",
}


def losses(steps: int, rate: float, *, floor: float = 0.2, seed: int = 0) -> list[tuple[int, float]]:
    """Return a curve that falls as fast as the rate says, with the noise of small batches."""
    dice = random.Random(seed)
    return [
        (step, (4.2 * math.exp(-rate * step) + floor) * (1 + dice.uniform(-0.06, 0.06))) for step in range(1, steps + 1)
    ]


def job(
    title: str,
    done: int,
    total: int = 50,
    *,
    tone: Tone = Tone.RUNNING,
    rate: float = 0.05,
    reason: str = "",
    evals: bool = True,
    seed: int = 0,
    learning_rate: float | None = None,
    **more: Any,
) -> JobPicture:
    """Return a job that has done so many steps."""
    used = Hyperparameters(
        epoch_count=5, batch_size=4 + 4 * (seed % 2), learning_rate=learning_rate or float(f"{rate / 50:.1g}")
    )
    train = losses(done, rate, seed=seed)
    held = losses(done, rate * 0.9, floor=0.31, seed=seed + 1)[4::5] if evals else []
    ended = tone in ENDED
    facts: dict[str, Any] = {
        "name": f"tunedModels/{''.join(c if c.isalnum() else '-' for c in title.lower())}",
        "title": title,
        "base_model": BASE,
        "hyperparameters": settings(used),
        "parameters": parameters(used),
        "state": ENDED.get(tone, JobState.CREATING),
        "word": WORDS[tone],
        "tone": tone,
        "reason": reason,
        "completed": done,
        "total": total,
        "share": done / total,
        "eta": None if ended or not done else (total - done) * 1.2,
        "elapsed": done * 1.2 + 5,
        "looked_at": datetime.now(UTC) - timedelta(seconds=3),
        "losses": thinned(train),
        "eval_losses": thinned(held),
    }
    return JobPicture(**(facts | more))


def sweep() -> list[JobPicture]:
    """Return five jobs of a person who looks for the best rate."""
    points = [
        Checkpoint(checkpoint_id=str(n), epoch=n, step=10 * n, endpoint="endpoints/71" if n < 3 else "")
        for n in (1, 2, 3)
    ]
    return [
        job("rate 0.0005", 23, rate=0.025, seed=1),
        job("rate 0.001", 31, rate=0.05, seed=2),
        job("rate 0.002", 50, rate=0.1, seed=3, tone=Tone.GOOD, checkpoints=points),
        job("rate 0.004", 0, rate=0.2, seed=4, tone=Tone.WAITING),
        job(
            "rate 0.02",
            9,
            rate=0.003,
            learning_rate=0.02,
            seed=5,
            tone=Tone.BAD,
            reason="INTERNAL: loss diverged at step 10",
        ),
    ]


def crowd(count: int = 200) -> list[JobPicture]:
    """Return many jobs in all states."""
    tones = [Tone.RUNNING, Tone.GOOD, Tone.GOOD, Tone.WAITING, Tone.BAD, Tone.RUNNING, Tone.OVER, Tone.GOOD]
    made = []
    for number in range(count):
        tone = tones[number % len(tones)]
        done = {Tone.GOOD: 400, Tone.WAITING: 0}.get(tone, 40 + number)
        reason = "INTERNAL: loss diverged" if tone is Tone.BAD else ""
        made.append(
            job(f"run {number:03}", done, 400, tone=tone, rate=0.005 + number % 7 / 300, seed=number, reason=reason)
        )
    return made


def batch(done: int, total: int = 5000, **more: Any) -> BatchPicture:
    """Return a batch that has answered so many prompts."""
    facts = {
        "title": "reviews.csv → rate 0.002",
        "failed": 2,
        "rate": 118.0,
        "in_flight": 64,
        "elapsed": done / 118,
        "eta": (total - done) / 118,
    }
    return BatchPicture(done=done, total=total, **(facts | more))


def later(picture: JobPicture, steps: int) -> JobPicture:
    """Return the same job some steps later; it succeeds with the last one."""
    done = min(picture.completed + steps, picture.total or 0)
    tone = Tone.GOOD if done == picture.total else Tone.RUNNING
    fresh = job(picture.title, done, picture.total or 0, tone=tone, seed=3)
    return attrs.evolve(
        fresh, name=picture.name, hyperparameters=picture.hyperparameters, parameters=picture.parameters
    )
