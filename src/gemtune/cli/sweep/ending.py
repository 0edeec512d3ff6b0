"""What came out of a sweep: the leaderboard, the best model, whether it is better, and what to type next."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import Any

import attrs

from gemtune.cli.console import Console
from gemtune.cli.evaluate.output import nothing_right
from gemtune.cli.exits import DONE, FAILED
from gemtune.cli.options import place_options
from gemtune.evaluation.words import compared
from gemtune.show.terminal import in_ascii, width_of, wrapped
from gemtune.sweep.point import PointPicture, PointState, SweepPicture
from gemtune.sweep.running.budget import BASE_SHORT
from gemtune.sweep.text import best_said, counted, leaderboard, reasons, used

_WIDEST = 160


def running_jobs(picture: SweepPicture) -> list[str]:
    """Return the jobs that continue if nobody looks at them any more."""
    runs = {PointState.WAITING, PointState.RUNNING}
    return [each.job for each in picture.points if each.job and each.state in runs]


def report(picture: SweepPicture, console: Console, options: argparse.Namespace, *, ask: bool = True) -> int:
    """Print what came out, and return the exit code: whether there is a best model, and no point has failed.

    Args:
        picture: The sweep at its end.
        console: Where to print.
        options: Of the command line, for the next command.
        ask: Whether the best model can still be asked.
    """
    best = picture.best
    console.record(record(picture))
    if console.quiet:
        if best is not None:
            console.print(best.job)
    elif not console.json:
        if not console.draws:  # otherwise what was drawn last stays on the terminal, and is the same
            _print_board(picture, console)
        for line in answer(picture):
            console.print(wrapped(line if console.unicode else in_ascii(line), console.out))
    failed = sum(each.state is PointState.FAILED for each in picture.points)
    if failed:
        console.note(f"{failed} of {len(picture.points)} points failed")
    if best is None:
        trained = any(each.state is PointState.TRAINED for each in picture.points)
        unscored = f"no model that was trained has a score by {picture.objective}, so that none is the best"
        console.error(unscored if trained else "no point has a model that could be ranked")
        return FAILED
    if best.objective == 0 and picture.better == "higher":
        console.note(nothing_right(picture.objective))
    if not console.json and ask:
        command = shlex.join(["gemtune", "generate", "your prompt", "--model", best.job, *place_options(options)])
        console.note(f"ask it with: {command}")
    return FAILED if failed else DONE


def _print_board(picture: SweepPicture, console: Console) -> None:
    width = width_of(console.out, _WIDEST) - 1
    facts = " · ".join([counted(picture), *used(picture)])
    for line in [*leaderboard(picture, width), *reasons(picture), facts]:
        console.print(wrapped(line if console.unicode else in_ascii(line), console.out))


def answer(picture: SweepPicture) -> Iterator[str]:
    """Yield which hyperparameters are best, which model that is, and whether it is better than the base model."""
    best = picture.best
    if best is None:
        return
    yield best_said(picture)
    yield f"its model: {best.job}"
    yield from picture.notes
    yield from map(compared, picture.comparisons)
    if not picture.comparisons and not any(BASE_SHORT in note for note in picture.notes):
        yield (
            "it was not compared with the base model: the same command with --metric exact_match and --resume does, "
            "and tunes nothing again"
        )


def record(picture: SweepPicture) -> dict[str, Any]:
    """Return the whole sweep as JSON values, the best point first."""
    best = picture.best
    facts = ("title", "base_model", "objective", "better", "steps", "saved_steps", "tokens", "cost", "evaluation_cost",
             "at_most", "currency")  # fmt: skip
    return {
        "kind": "sweep",
        **{name: getattr(picture, name) for name in facts},
        "notes": [*picture.notes],
        "best": None if best is None else _point_record(best),
        "comparisons": [{**attrs.asdict(each), "significant": each.significant} for each in picture.comparisons],
        "points": [_point_record(each) for each in picture.ranked],
    }


def _point_record(each: PointPicture) -> dict[str, Any]:
    steps = 0 if each.picture is None else each.picture.completed
    facts = ("rank", "job", "objective", "tokens", "cost", "saved_steps", "reason", "unevaluated")
    return {
        "point": each.point.number,
        "values": dict(each.point.values),
        "state": each.state.value,
        "steps": steps,
        "scores": dict(each.scores),
        **{name: getattr(each, name) for name in facts},
    }
