"""Sweeps to look at: as they begin, run and end, hostile ones, and of any size."""

from __future__ import annotations

import math
from itertools import product

from evaluation.scenes import HOSTILE, comparison
from gemtune.show.picture import JobPicture, Tone
from gemtune.sweep import PointPicture, PointState, SweepPicture, SweepPoint
from gemtune.sweep.point import ranks_of
from gemtune.types import Hyperparameters

GRID = [
    {"epoch_count": epochs, "learning_rate_multiplier": rate, "adapter_size": adapter}
    for epochs, rate, adapter in product((2, 4, 8), (0.5, 1.0, 2.0, 8.0), (4, 8))
]
GIVEN_UP = "median: its eval loss 1.31 is above 0.74, the median of 9 points at step 20"


def falls(values, steps, total):
    """A curve that falls the faster the higher the rate is, and diverges if it is too high."""
    rate, floor = values["learning_rate_multiplier"], 0.35 + 0.02 * abs(values["adapter_size"] - 8)
    if rate > 4:
        return tuple((step, 1.2 + 0.06 * step) for step in range(1, steps + 1))
    turn = 0.012 * max(total - 40, 0) * rate
    return tuple(
        (step, floor + 1.6 * math.exp(-rate * step / 12) + turn * (step / total) ** 3) for step in range(1, steps + 1)
    )


def point(number, values, state, done=1.0, evals=True, **more):
    total = values["epoch_count"] * 10
    steps = round(total * done)
    losses = falls(values, steps, total)
    toned = {PointState.RUNNING: Tone.RUNNING, PointState.TRAINED: Tone.GOOD, PointState.STOPPED: Tone.OVER}
    job = JobPicture(
        name=f"tunedModels/sweep-{number}",
        title=f"point {number}",
        tone=toned.get(state, Tone.WAITING),
        completed=steps,
        total=total,
        share=done,
        losses=losses,
        eval_losses=losses[4::5] if evals else (),
    )
    told = SweepPoint(number=number, values=values, hyperparameters=Hyperparameters())
    begun = state not in {PointState.PLANNED, PointState.LEFT_OUT}
    if begun and losses and "objective" not in more:
        more["objective"] = losses[-1][1]
    return PointPicture(point=told, state=state, job=job.name if begun else "", picture=job if begun else None, **more)


def ranked(points):
    place = ranks_of({each.point.number: each.objective for each in points if each.objective is not None}, "lower")
    return [PointPicture(**{**fields(each), "rank": place.get(each.point.number)}) for each in points]


def fields(value):
    return {name: getattr(value, name) for name in value.__slots__ if not name.startswith("__")}


def running(grid=GRID, evals=True, **more):
    """Of 24 points some are trained, some stopped, four run, and the rest waits."""
    points = []
    for number, values in enumerate(grid):
        if number >= 0.75 * len(grid):
            points.append(point(number, values, PointState.PLANNED, 0.0))
        elif number >= 0.58 * len(grid):
            points.append(point(number, values, PointState.RUNNING, 0.3 + 0.1 * (number % 4), evals))
        elif values["learning_rate_multiplier"] > 4:
            stopped = {"reason": GIVEN_UP, "saved_steps": values["epoch_count"] * 5, "objective": None}
            points.append(point(number, values, PointState.STOPPED, 0.5, evals, **stopped))
        elif number == 5:
            points.append(point(number, values, PointState.FAILED, 0.2, evals, reason="internal error", objective=None))
        else:
            points.append(
                point(number, values, PointState.TRAINED, 1.0, evals, scores={"exact_match": 0.8 + number / 99})
            )
    facts = {"planned": len(grid), "steps": 2310, "saved_steps": 410, "tokens": 120_000, "token_limit": 200_000}
    facts |= {"cost": 12.4, "budget": 20.0, "currency": "USD", "elapsed": 200.0, "waiting_for": "waiting for quota"}
    head = {"title": "numbers", "base_model": "models/gemini-1.0-pro-001", "objective": "eval_loss"}
    return SweepPicture(**{**head, "points": ranked(points), **facts, **more})


def ended(**more):
    """All 24 are done, and the best has been compared with the base."""
    points = []
    for number, values in enumerate(GRID):
        if number == 23:
            points.append(
                point(number, values, PointState.LEFT_OUT, 0.0, reason="8 epochs need 41,000 tokens, 9,000 are left")
            )
        elif values["learning_rate_multiplier"] > 4:
            stopped = {"reason": GIVEN_UP, "saved_steps": values["epoch_count"] * 5, "objective": None}
            points.append(point(number, values, PointState.STOPPED, 0.5, **stopped))
        else:
            points.append(point(number, values, PointState.TRAINED, scores={"exact_match": 0.8 + number / 240}))
    said = comparison(model="point 13", other="gemini-1.0-pro-001")
    return running(points=ranked(points), comparisons=[said], ended=True, saved_steps=100, **more)


def begins():
    """Nothing has been created."""
    points = [point(number, values, PointState.PLANNED, 0.0) for number, values in enumerate(GRID)]
    clean = {"steps": 0, "saved_steps": 0, "tokens": 0, "cost": None, "budget": None, "elapsed": 0.0}
    return running(points=points, token_limit=None, **{**clean, "waiting_for": ""})


def nothing():
    """A study that has not been asked yet."""
    return SweepPicture(title="", base_model="models/gemini-1.0-pro-001", objective="eval_loss")


def single():
    """One point, which runs, on a service that measures no loss on validation data."""
    one = ranked([point(0, GRID[2], PointState.RUNNING, 0.5, evals=False)])
    return running(points=one, planned=1, objective="loss", waiting_for="")


SHORT = "it may cost 0.31 USD, and 0.02 of the budget are left"


def short():
    """The money has ended in the evaluations: two points have a score, one has none, and the base model has none."""
    points = [
        point(0, GRID[2], PointState.TRAINED, objective=0.81, scores={"exact_match": 0.81}, cost=4.1),
        point(1, GRID[0], PointState.TRAINED, objective=0.72, scores={"exact_match": 0.72}, cost=4.0),
        point(2, GRID[4], PointState.TRAINED, objective=None, unevaluated=SHORT, cost=3.9),
        point(3, GRID[20], PointState.LEFT_OUT, 0.0, reason="it may cost 8.2 USD, and 0.33 of the budget are left"),
    ]
    order = {0: 1, 1: 2}
    points = [PointPicture(**{**fields(each), "rank": order.get(each.point.number)}) for each in points]
    facts = {
        "planned": 4,
        "tokens": 40_000,
        "token_limit": None,
        "cost": 12.31,
        "budget": 12.5,
        "evaluation_cost": 0.31,
    }
    notes = [f"the base model was not evaluated: {SHORT}"]
    return running(
        points=points,
        objective="exact_match",
        better="higher",
        ended=True,
        at_most=True,
        notes=notes,
        saved_steps=0,
        **facts,
    )


def hostile():
    """Everything that somebody else said is hostile and long."""
    values = {"epoch_count": 2, "learning_rate_multiplier": 1.0, "adapter_size": 4, HOSTILE: 1e-300}
    bad = [
        point(0, values, PointState.FAILED, 0.5, reason=HOSTILE, objective=math.nan),
        point(1, values, PointState.TRAINED, 1.0, scores={HOSTILE: math.inf, "huge": 1e300}, objective=1e-12),
    ]
    said = comparison(model=HOSTILE, metric=HOSTILE)
    told = {"title": HOSTILE, "base_model": HOSTILE, "objective": HOSTILE, "waiting_for": HOSTILE, "currency": HOSTILE}
    return running(points=ranked(bad), comparisons=[said], **told)


def many(count=200):
    """More points than anybody reads."""
    grid = [
        {"epoch_count": 2 + number % 7, "learning_rate_multiplier": 0.1 + number % 50 / 10, "adapter_size": 4}
        for number in range(count)
    ]
    return running(grid)
