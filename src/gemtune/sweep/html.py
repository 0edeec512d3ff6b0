"""A sweep as HTML, for the cells of a notebook: no script, no network, one string."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gemtune.evaluation.html import comparison_html
from gemtune.evaluation.words import name
from gemtune.markup import bar, box, dot, escape, folded, line, pill, table
from gemtune.show.palette import TONES
from gemtune.show.picture import Tone, thinned
from gemtune.show.svg import Curve, chart, sparkline
from gemtune.sweep.point import PointPicture, PointState, SweepPicture
from gemtune.sweep.text import (
    MOST_ROWS,
    POINT_TONES,
    best_said,
    counted,
    curve_of,
    evaluated_losses,
    figure,
    head,
    named,
    reasons,
    score_names,
    share_done,
    states_of,
    steps,
    title,
    used,
    value_names,
    value_said,
)

MOST_CURVES: Final = 200
"""So many curves are drawn over each other, those of the best points and of those that run first."""
_POINTS: Final = 4000
"""Corners that all curves have together: as many more would only make a notebook large."""
_FEWEST: Final = 16
_SMALL: Final = 24
_FEW_REASONS: Final = 4
_LONGEST: Final = 300


def sweep_html(picture: SweepPicture, note: str = "") -> str:
    """Return a sweep: how far it is, its best point, all curves in one plot, and the leaderboard.

    Args:
        picture: The sweep.
        note: A sentence to put below it.
    """
    best, tone = picture.best, Tone.GOOD if picture.ended else Tone.RUNNING if begun(picture) else Tone.UNSEEN
    word = "ended" if picture.ended else "running" if begun(picture) else "not begun"
    said = escape(best_said(picture))
    evals = evaluated_losses(picture)
    return box(
        f"<p>{pill(word, TONES[tone].color)} <strong>{escape(title(picture))}</strong></p>",
        bar(share_done(picture), TONES[tone].color),
        line(escape(counted(picture)), *map(escape, used(picture))),
        line(escape(picture.waiting_for[:_LONGEST] if not picture.ended else ""), dim=True),
        f"<p>{_dot(Tone.GOOD)}<strong>{said}</strong></p>" if best is not None else line(said, dim=True),
        *(comparison_html(each) for each in picture.comparisons),
        chart(curves(picture), height=260, what=loss_named(evals=evals)),
        _legend(picture, evals=evals),
        _leaderboard(picture, evals=evals),
        _reasons(picture),
        *(line(escape(each), dim=True) for each in picture.notes),
        f"<p><i>{escape(note)}</i></p>" if note else "",
        label=f"sweep {title(picture)}, {word}",
    )


def begun(picture: SweepPicture) -> bool:
    """Return whether anything has happened."""
    return picture.elapsed > 0 or any(each.state is not PointState.PLANNED for each in picture.points)


def loss_named(*, evals: bool) -> str:
    """Return what the curves are of."""
    return "loss on the validation data" if evals else "mean loss"


def curves(picture: SweepPicture) -> list[Curve]:
    """Return the curves of all points, the best last, so that it lies on top; those given up are faint, with a cross.

    They are of losses on validation data if the service measures these, because training losses of different
    hyperparameters say little of each other.
    """
    evals = evaluated_losses(picture)
    drawn = [each for each in picture.ranked if curve_of(each, evals=evals)][:MOST_CURVES]
    most = max(_POINTS // max(len(drawn), 1), _FEWEST)
    ordered = sorted(drawn, key=lambda each: (each.rank == 1, each.state not in _FAINT, each.point.number))
    return [_curve(each, most, evals=evals) for each in ordered]


_FAINT: Final = frozenset({PointState.STOPPED, PointState.FAILED})


def _curve(each: PointPicture, most: int, *, evals: bool) -> Curve:
    best, given_up = each.rank == 1, each.state in _FAINT
    weight, opacity = (2.6, 1.0) if best else (1.2, 0.45) if given_up else (1.4, 0.75)
    tone = Tone.GOOD if best else Tone.UNSEEN if each.state is PointState.TRAINED else POINT_TONES[each.state]
    return Curve(
        label=named(each),
        color=TONES[tone].color,
        train=thinned(curve_of(each, evals=evals), most),
        total=each.picture.total if each.picture is not None and not given_up else None,
        letter=str(each.point.number) if best else "",
        weight=weight,
        opacity=opacity,
        crossed=given_up,
    )


def _legend(picture: SweepPicture, *, evals: bool) -> str:
    """Return what the lines are, as far as there are such."""
    curved = [each for each in picture.points if curve_of(each, evals=evals)]
    if not curved:
        return ""
    states = {each.state for each in curved if each.rank != 1}
    said = [
        f"{_dot(Tone.GOOD)}the best" if picture.best is not None else "",
        f"{_dot(Tone.RUNNING)}running" if PointState.RUNNING in states else "",
        f"{_dot(Tone.UNSEEN)}trained" if PointState.TRAINED in states else "",
        "faint, with a cross: stopped or failed" if states & _FAINT else "",
    ]
    some = f"the curves of {MOST_CURVES} of {len(curved):,} points" if len(curved) > MOST_CURVES else ""
    return line(loss_named(evals=evals), some, *said, dim=True)


def _leaderboard(picture: SweepPicture, *, evals: bool) -> str:
    ordered = picture.ranked
    shown, rest = ordered[:MOST_ROWS], ordered[MOST_ROWS:]
    if not shown:
        return ""
    names, scores = value_names(shown), score_names(picture)
    heads = ["rank", "point", *map(head, names), "state", "steps", "curve", picture.objective, *scores, "saved"]
    rows = [_row(each, picture, names, scores, evals=evals) for each in shown]
    kept = [n for n in range(len(heads)) if any(row[n] for row in rows)]
    figures = {n for n in range(len(heads)) if heads[n] not in {"state", "curve"}}
    return table(
        [name(heads[n]) for n in kept],
        [[row[n] for n in kept] for row in rows],
        right=[place for place, n in enumerate(kept) if n in figures],
    ) + line(f"and {len(rest):,} more: {states_of(rest)}" if rest else "", dim=True)


def _reasons(picture: SweepPicture) -> str:
    """Return why points were given up, left out or failed; if there are many, folded."""
    said = reasons(picture)
    drawn = "".join(line(escape(each), dim=True) for each in said[:MOST_ROWS])
    more = line(f"and {len(said) - MOST_ROWS:,} more" if len(said) > MOST_ROWS else "", dim=True)
    return drawn if len(said) <= _FEW_REASONS else folded(f"why {len(said):,} points were given up", drawn, more)


def _row(
    each: PointPicture, picture: SweepPicture, names: Sequence[str], scores: Sequence[str], *, evals: bool
) -> list[str]:
    ink = TONES[POINT_TONES[each.state]]
    found = escape(figure(each.objective, picture.objective))
    curve = thinned(curve_of(each, evals=evals), _SMALL)
    return [
        f"<strong>{each.rank}</strong>" if each.rank else "",
        str(each.point.number),
        *(escape(value_said(each.point.values.get(key))) for key in names),
        pill(each.state, ink.color),
        escape(steps(each)),
        sparkline(curve, ink.color, width=60),
        f"<strong>{found}</strong>" if each.rank == 1 else found,
        *(escape(figure(each.scores.get(metric), metric)) for metric in scores),
        f"{each.saved_steps:,}" if each.saved_steps else "",
    ]


def _dot(tone: Tone) -> str:
    return dot(TONES[tone].color)


def rows_of(picture: SweepPicture) -> Iterator[dict[str, object]]:
    """Yield the points as rows of a data frame, in their order."""
    for each in picture.points:
        job = each.picture
        yield {
            "point": each.point.number,
            **each.point.values,
            "state": str(each.state),
            "rank": each.rank,
            picture.objective: each.objective,
            **{metric: score for metric, score in each.scores.items() if metric != picture.objective},
            "steps": job.completed if job is not None else 0,
            "saved_steps": each.saved_steps,
            "tokens": each.tokens,
            "cost": each.cost,
            "job": each.job,
            "reason": each.unevaluated or each.reason,
        }
