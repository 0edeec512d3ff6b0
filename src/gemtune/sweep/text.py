"""A sweep in words, figures and plain lines: the header, the leaderboard, and what a log says of it.

Notebook and terminal take their words and figures from here, so that they agree. Losses have four decimals and metrics
three, the same in the whole column; what is not known is a dash.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gemtune.evaluation.text import wrapped
from gemtune.evaluation.words import UNKNOWN, compared, money, name
from gemtune.show.curve import sparkline
from gemtune.show.picture import Point, Tone, short
from gemtune.show.progress import duration
from gemtune.show.terminal import aligned, cells, clipped, printable
from gemtune.sweep.point import ENDED, PointPicture, PointState, SweepPicture

WIDTH: Final = 110
"""Columns of a text that nobody has measured the room for."""
MOST_ROWS: Final = 50
MOST_REASONS: Final = 10
LOSSES: Final = frozenset({"loss", "eval_loss"})
POINT_TONES: Final[Mapping[PointState, Tone]] = {
    PointState.PLANNED: Tone.UNSEEN,
    PointState.WAITING: Tone.WAITING,
    PointState.RUNNING: Tone.RUNNING,
    PointState.STOPPED: Tone.OVER,
    PointState.TRAINED: Tone.GOOD,
    PointState.FAILED: Tone.BAD,
    PointState.LEFT_OUT: Tone.UNSEEN,
}
"""What the colour of a point is."""
_HEADS: Final = {
    "epoch_count": "epochs",
    "batch_size": "batch",
    "learning_rate": "rate",
    "learning_rate_multiplier": "rate ×",
    "adapter_size": "adapter",
}
_CURVE: Final = 16
_BRIEF: Final = 300
"""Characters of a reason that are shown."""
_HIGHEST: Final = 1000.0
_LOWEST: Final = 0.001


def sweep_text(picture: SweepPicture, width: int = WIDTH) -> str:
    """Return a sweep as lines of text: how far it is, its best point, and the leaderboard."""
    lines = [line for said in header(picture) for line in wrapped(said, width)]
    lines += leaderboard(picture, width)
    said = reasons(picture)
    lines += [clipped(printable(line), width) for line in said[:MOST_REASONS]]
    lines += [f"and {len(said) - MOST_REASONS:,} more reasons"] if len(said) > MOST_REASONS else []
    lines += [line for note in picture.notes for line in wrapped(printable(note), width)]
    return "\n".join(lines)


def header(picture: SweepPicture, *, timed: bool = True) -> list[str]:
    """Return what a sweep is, how far, what it has used, what holds it back, and what came out.

    Args:
        picture: The sweep.
        timed: Whether the time is said.
    """
    said = [f"{title(picture)} · {counted(picture)}", " · ".join(used(picture, timed=timed))]
    said += [picture.waiting_for[:_BRIEF] if not picture.ended else "", best_said(picture)]
    return [printable(line) for line in [*said, *map(compared, picture.comparisons)] if line]


def title(picture: SweepPicture) -> str:
    """Return what a sweep is called, and of which model it is."""
    base = short(picture.base_model) if "/publishers/" in picture.base_model else picture.base_model
    return " · ".join(name(said) for said in (picture.title, base) if said) or "sweep"


def planned(picture: SweepPicture) -> int:
    """Return how many points there are or will be, as far as anybody knows."""
    return max(picture.planned or 0, len(picture.points))


def counted(picture: SweepPicture) -> str:
    """Return how many points are done, run, and are left: ``17 of 24 points done · 4 running · 3 left``."""
    states = Counter(each.state for each in picture.points)
    if not planned(picture):
        return "no point yet"
    done = sum(count for state, count in states.items() if state in ENDED)
    total = f" of {planned(picture):,}" if picture.planned is not None or picture.ended else ""
    one = (planned(picture) if total else done) == 1
    how = {state: states[state] for state in PointState if state in ENDED and state is not PointState.TRAINED}
    apart = ", ".join(f"{count:,} {state}" for state, count in how.items() if count)
    left = planned(picture) - done - states[PointState.RUNNING] - states[PointState.WAITING]
    said = [f"{done:,}{total} point{'' if one else 's'} done" + (f" ({apart})" if apart else "")]
    said += [f"{states[state]:,} {state}" for state in (PointState.RUNNING, PointState.WAITING) if states[state]]
    return " · ".join([*said, *([f"{left:,} left"] if left > 0 and not picture.ended else [])])


def used(picture: SweepPicture, *, timed: bool = True) -> list[str]:
    """Return the steps done and saved, what tokens and money have gone, and the time.

    Args:
        picture: The sweep.
        timed: Whether the time is said.
    """
    said = []
    if picture.steps or picture.saved_steps:
        share = picture.saved_steps / (picture.steps + picture.saved_steps)
        said.append(
            f"{picture.steps:,} steps" + (f", {picture.saved_steps:,} saved ({100 * share:.0f} %)" if share else "")
        )
    if picture.tokens or picture.token_limit is not None:
        limit = f" of {picture.token_limit:,}" if picture.token_limit is not None else ""
        said.append(f"{_most(picture)}{picture.tokens:,}{limit} tokens")
    if picture.cost is not None or picture.budget is not None:
        limit = f" of {money(picture.budget, '')}" if picture.budget is not None else ""
        part = f" ({money(picture.evaluation_cost, '')} for evaluations)" if picture.evaluation_cost else ""
        said.append(f"{_most(picture)}{money(picture.cost or 0.0, '')}{limit} {picture.currency[:20]}".rstrip() + part)
    if timed and picture.elapsed >= 1:
        said.append(f"{'took' if picture.ended else 'running for'} {duration(picture.elapsed)}")
    return said


def _most(picture: SweepPicture) -> str:
    return "at most " if picture.at_most else ""


def share_done(picture: SweepPicture) -> float | None:
    """Return how much of the sweep is done, from 0 to 1, by its points; None while nobody knows how many come."""
    total = planned(picture) if picture.planned is not None or picture.ended else 0
    parts = (1.0 if each.state in ENDED else _share(each) for each in picture.points)
    return min(sum(parts) / total, 1.0) if total else None


def best_said(picture: SweepPicture) -> str:
    """Return the best point with its values and its objective; empty as long as there is none."""
    best = picture.best
    if best is None:
        return "no point has an objective" if picture.ended and picture.points else ""
    found = f"{named(best)}, {name(picture.objective)} {figure(best.objective, picture.objective)}"
    others = sum(each.rank == best.rank for each in picture.points) - 1
    if others:
        found += f", the same as {'another point' if others == 1 else f'{others:,} other points'}"
    return f"{'best' if picture.ended else 'best so far'}: {found}"


def named(each: PointPicture) -> str:
    """Return a point and its values: ``point 7 (epochs 4 · rate × 0.5)``."""
    values = " · ".join(f"{head(key)} {value_said(value)}" for key, value in each.point.values.items())
    return f"point {each.point.number}" + (f" ({values})" if values else "")


def head(value: str) -> str:
    """Return what a column of values is called."""
    return _HEADS.get(value) or name(value)


def value_said(value: float | str | None) -> str:
    """Return a hyperparameter; of a float that a study has drawn, four digits."""
    return UNKNOWN if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def figure(value: float | None, objective: str) -> str:
    """Return a loss or a metric with the decimals of its column."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value and not _LOWEST <= abs(value) < _HIGHEST:
        return f"{value:.3g}"
    return f"{value:.{4 if objective in LOSSES else 3}f}"


def value_names(points: Sequence[PointPicture]) -> list[str]:
    """Return the hyperparameters that are columns, in their order."""
    return list(dict.fromkeys(key for each in points for key in each.point.values))


def score_names(picture: SweepPicture) -> list[str]:
    """Return the metrics that are columns, besides the objective."""
    metrics = dict.fromkeys(metric for each in picture.points for metric in each.scores)
    return [metric for metric in metrics if metric != picture.objective]


def evaluated_losses(picture: SweepPicture) -> bool:
    """Return whether curves are of losses on validation data: of all points or of none, or they could not compare.

    As long as no point has two of them, which make the shortest of curves, those of training say more.
    """
    jobs = [each.picture for each in picture.points if each.picture is not None]
    return any(len(job.eval_losses) > 1 for job in jobs) or not any(job.losses for job in jobs)


def curve_of(each: PointPicture, *, evals: bool) -> Sequence[Point]:
    """Return the losses of a point, on validation data or in training."""
    if each.picture is None:
        return ()
    return each.picture.eval_losses if evals else each.picture.losses


def steps(each: PointPicture) -> str:
    """Return how many steps a point has done: ``12/40``."""
    if each.picture is None or not (each.picture.completed or each.picture.total):
        return ""
    return f"{each.picture.completed}/{each.picture.total}" if each.picture.total else str(each.picture.completed)


def reason(each: PointPicture) -> str:
    """Return why a point has no model or no scores, with its state: ``stopped, 28 steps saved: its loss diverges``."""
    if each.unevaluated:
        return f"{each.state}, but not evaluated: {' '.join(each.unevaluated[:_BRIEF].split())}"
    if not each.reason:
        return ""
    if each.state is PointState.TRAINED:  # it ended while the rule gave it up
        state = "trained before it could be stopped"
    else:
        state = f"{each.state}, {each.saved_steps:,} steps saved" if each.saved_steps else str(each.state)
    return f"{state}: {' '.join(each.reason[:_BRIEF].split())}"


def reasons(picture: SweepPicture) -> list[str]:
    """Return why points have no model or no scores: ``point 3: left out: it may take ...``."""
    return [f"point {each.point.number}: {why}" for each in picture.points if (why := reason(each))]


def leaderboard(picture: SweepPicture, width: int = WIDTH, most: int = MOST_ROWS) -> list[str]:
    """Return the points as a table, the best first, without the columns for which there is no room.

    Args:
        picture: The sweep.
        width: The most columns.
        most: The most rows, without the heading and the line that says how many are left out.
    """
    shown, rest = chosen(picture, most)
    if not shown:
        return [clipped(f"{len(rest):,} points: {states_of(rest)}", width)] if rest else []
    columns = board_columns(picture, shown)
    values = [f"value {key}" for key in value_names(shown)]
    for spare in (
        *SPARE,
        *(f"score {metric}" for metric in reversed(score_names(picture))),
        "steps",
        *reversed(values),
    ):
        if max(map(cells, _table(columns))) <= width:
            break
        columns.pop(spare, None)
    more = [f"and {len(rest):,} more: {states_of(rest)}"] if rest else []
    return [clipped(line, width) for line in [*_table(columns), *more]]


SPARE: Final = ("curve", "saved")
"""The columns that can be left out first; rank, point, state and objective never are."""


def chosen(picture: SweepPicture, most: int) -> tuple[list[PointPicture], list[PointPicture]]:
    """Return the points that have a row, and the others: if not all have room, the first three and those that run do.

    Args:
        picture: The sweep.
        most: The most rows.
    """
    ordered = picture.ranked
    if len(ordered) <= most:
        return ordered, []
    first = sorted(range(len(ordered)), key=lambda n: (n >= _BEST, ordered[n].state is not PointState.RUNNING, n))
    kept = set(first[: max(most, 0)])
    return [each for n, each in enumerate(ordered) if n in kept], [
        each for n, each in enumerate(ordered) if n not in kept
    ]


_BEST: Final = 3


def states_of(points: Sequence[PointPicture]) -> str:
    """Return how many points are in which state: ``8 planned, 4 stopped``."""
    found = Counter(each.state for each in points)
    return ", ".join(f"{found[state]:,} {state}" for state in PointState if found[state])


def sweep_reports(picture: SweepPicture) -> Iterator[tuple[str, object, str]]:
    """Return for each thing that a log is told what would have to change for a new line, and the line."""
    ended = sum(each.state in ENDED for each in picture.points)
    facts = [counted(picture), *([f"{picture.saved_steps:,} steps saved"] if picture.saved_steps else [])]
    held = picture.waiting_for[:_BRIEF] if not picture.ended else ""
    for each in picture.points:
        if each.state is not PointState.PLANNED:
            known = each.objective is not None and each.state in ENDED
            yield f"point {each.point.number}", (each.state, known), printable(_said(each, picture))
    if picture.best is not None:
        yield "best", (picture.best.point.number, picture.ended), printable(best_said(picture))
    mark = (10 * ended // max(planned(picture), 1), held)
    yield "", mark, printable(" · ".join([*facts, *([held] if held else [])]))
    for note in picture.notes:
        yield f"note {note}", note, printable(note)
    for number, comparison in enumerate(picture.comparisons):
        said = compared(comparison)
        yield f"comparison {number}", said, printable(said)


def _said(each: PointPicture, picture: SweepPicture) -> str:
    said = f"{named(each)}: {reason(each) or each.state}"
    if each.objective is not None and each.state in ENDED:
        said += f", {name(picture.objective)} {figure(each.objective, picture.objective)}"
    return said


def board_columns(picture: SweepPicture, shown: Sequence[PointPicture]) -> dict[str, list[str]]:
    """Return the columns of the leaderboard by what they are of, each with its heading, and figures at the right."""
    evals, objective = evaluated_losses(picture), picture.objective
    curves = [sparkline([loss for _, loss in curve_of(each, evals=evals)], _CURVE) for each in shown]
    columns = {
        "rank": _right("rank", [str(each.rank or UNKNOWN) for each in shown]),
        "point": _right("point", [str(each.point.number) for each in shown]),
    }
    for key in value_names(shown):
        columns[f"value {key}"] = _right(head(key), [value_said(each.point.values.get(key)) for each in shown])
    columns |= {
        "state": ["state", *(str(each.state) for each in shown)],
        "steps": _right("steps", [steps(each) for each in shown]),
        "curve": ["curve", *curves],
        "objective": _right(objective, [figure(each.objective, objective) for each in shown]),
    }
    for metric in score_names(picture):
        columns[f"score {metric}"] = _right(metric, [figure(each.scores.get(metric), metric) for each in shown])
    columns["saved"] = _right("saved", [f"{each.saved_steps:,}" if each.saved_steps else "" for each in shown])
    return {key: column for key, column in columns.items() if any(map(str.strip, column[1:]))}


def _right(heading: str, column: Sequence[str]) -> list[str]:
    flat = clipped(printable(name(heading)), 24)
    widest = max(map(cells, (flat, *column)))
    return [" " * (widest - cells(cell)) + cell for cell in (flat, *column)]


def _table(columns: Mapping[str, Sequence[str]]) -> list[str]:
    return aligned(list(zip(*columns.values(), strict=True)))


def _share(each: PointPicture) -> float:
    return (each.picture.share or 0.0) if each.picture is not None else 0.0
