"""What a model has reached by a metric, and whether it is better than another: a mean, its interval, a paired test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.metrics.intervals import alike_interval, mean_interval, tango, wilson
from gemtune.metrics.paired import permutation_test, sign_test
from gemtune.metrics.values import SCORES_OF, Comparison, Kind, Metric, Score, Scored, no_score

_EXACT: Final = {1.0: "McNemar, exact", 0.5: "sign test, exact"}
_TOO_LARGE: Final = 1e100
"""No score is so large, and what is computed from larger ones may be infinite."""


def score_of(values: Iterable[Scored], kind: Kind = "mean", *, bounds: tuple[float, float] | None = None) -> Score:
    """Return the mean of scores with its 95 % confidence interval.

    Args:
        values: The scores; None and NaN are left out.
        kind: What they are, as ``Metric.kind``. Scores of the kind ``mean`` that are all 0 or 1 are counted as a share.
        bounds: The lowest and the highest score there can be, as ``Metric.bounds``; the interval stays between them.

    Returns:
        The score. Its interval is Wilson's for a share, Tango's for wins, and Student's with Hall's transformation for
        any other mean. Fewer than two scores, or equal ones without bounds, have no interval.

    Raises:
        InvalidInput: A score is infinite, or is none that this kind can have.

    Example:
        >>> score = score_of([True] * 8 + [False] * 2, "share")
        >>> f"{score.value} [{score.low:.2f}, {score.high:.2f}] {score.method}"
        '0.8 [0.49, 0.94] Wilson'
    """
    scores = [score for value in values if (score := as_score(value)) is not None]
    count = len(scores)
    _require(scores, kind)
    mean = _mean(scores)
    if mean is None:
        return Score(value=None)
    if kind == "share" or (kind == "mean" and _is_share(scores)):
        low, high = wilson(math.fsum(scores), count)
        return Score(value=mean, low=low, high=high, rows=count, method="Wilson")
    if kind == "wins":
        low, high = tango(scores.count(1.0), scores.count(0.0), count)
        return Score(value=mean, low=(1 + low) / 2, high=(1 + high) / 2, rows=count, method="Tango")
    found, method = _mean_interval(scores, bounds)
    return Score(value=mean, low=found and found[0], high=found and found[1], rows=count, method=method)


def compare(
    pairs: Iterable[tuple[Scored, Scored]],
    *,
    metric: Metric | str = "",
    model: str = "",
    other: str = "",
    kind: Kind = "mean",
    direction: Literal["higher", "lower"] = "higher",
    bounds: tuple[float, float] | None = None,
    seed: int = 0,
) -> Comparison:
    """Return how a model's scores differ from another's on the same rows, with an interval and a paired test.

    Args:
        pairs: The score of the model and that of the other for each row; a pair with None or NaN is left out.
        metric: The metric, whose ``kind``, ``better`` and ``bounds`` then hold; or only its name.
        model: The label of the model.
        other: The label of what it is compared with.
        kind: What the scores are.
        direction: Whether a higher or a lower score is better.
        bounds: The lowest and the highest score there can be.
        seed: Of the random signs of the permutation test, if more than 24 rows differ.

    Returns:
        The comparison. If a row can only be won or lost, as with shares, the test is McNemar's, which is exact, and the
        interval Tango's; otherwise it is a paired permutation test, and the interval Student's.

    Raises:
        InvalidInput: A score is infinite, or is none that this kind can have.

    Example:
        >>> better = compare([(1, 1)] * 60 + [(1, 0)] * 30 + [(0, 1)] * 10, kind="share")
        >>> f"{better.difference:+.2f} [{better.low:.2f}, {better.high:.2f}], p = {better.p:.4f}, {better.test}"
        '+0.20 [0.08, 0.32], p = 0.0022, McNemar, exact'
    """
    if isinstance(metric, str):
        metric = Metric(name=metric, score=no_score, kind=kind, better=direction, bounds=bounds)
    ours, theirs = _scored_by_both(pairs)
    _require([*ours, *theirs], metric.kind)
    return _compared(metric, ours, theirs, model, other, seed)


def _compared(metric: Metric, ours: list[float], theirs: list[float], model: str, other: str, seed: int) -> Comparison:
    differences = [one - another for one, another in zip(ours, theirs, strict=True)]
    more, less = sum(each > 0 for each in differences), sum(each < 0 for each in differences)
    size = _size(metric.kind, [*ours, *theirs], differences)
    low, high, method = _difference_interval(differences, size, metric.bounds)
    p, test = permutation_test(differences, seed) if size is None else (sign_test(more, less), _EXACT[size])
    return Comparison(
        metric=metric.name,
        model=model,
        other=other,
        value=_mean(ours),
        other_value=_mean(theirs),
        difference=_mean(differences),
        low=low,
        high=high,
        p=p,
        rows=len(differences),
        better=more if metric.better == "higher" else less,
        worse=less if metric.better == "higher" else more,
        test=test,
        method=method,
        direction=metric.better,
    )


def as_score(value: object) -> float | None:
    """Return a score as a number; None for None and NaN, which say nothing about a row.

    Raises:
        InvalidInput: It is no number, or infinite, or beyond 1e100.
    """
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if isinstance(value, str | bytes | bytearray | memoryview) or abs(number) > _TOO_LARGE:
        raise InvalidInput(
            f"a score must be a finite number, True, False or None, not {checks.shown(value)}", field="metrics"
        )
    return None if math.isnan(number) else number


def _scored_by_both(pairs: Iterable[tuple[Scored, Scored]]) -> tuple[list[float], list[float]]:
    ours, theirs = [], []
    for pair in pairs:
        one, another = map(as_score, pair)
        if one is not None and another is not None:
            ours.append(one)
            theirs.append(another)
    return ours, theirs


def _require(scores: list[float], kind: Kind) -> None:
    """Refuse scores that a share or wins cannot have."""
    allowed = SCORES_OF.get(kind)
    odd = allowed and next((score for score in scores if score not in allowed), None)
    if allowed and odd is not None:
        wanted = " or ".join(f"{each:g}" for each in allowed)
        raise InvalidInput(f"a score of the kind {kind!r} must be {wanted}, not {odd:g}", field="metrics")


def _is_share(scores: Sequence[float]) -> bool:
    return all(score in {0.0, 1.0} for score in scores)


def _mean(scores: Sequence[float]) -> float | None:
    """Return the mean, which is between the least and the largest and never infinite; None of nothing."""
    if not scores:
        return None
    mean = math.fsum(scores) / len(scores)  # which rounding may put a little outside
    return min(max(mean, min(scores)), max(scores))


def _mean_interval(
    scores: list[float], bounds: tuple[float, float] | None, *, symmetric: bool = False
) -> tuple[tuple[float, float] | None, str]:
    """Return the interval of a mean, None if there is none, and how it was found."""
    found = mean_interval(scores, symmetric=symmetric)
    method = "Student's t" if symmetric else "Student's t, Hall"
    if bounds is None:
        return found, method if found else ""
    if found is None:
        return alike_interval(scores[0], len(scores), bounds), "Wilson, all alike"
    return (max(bounds[0], found[0]), min(bounds[1], found[1])), method


def _difference_interval(
    differences: list[float], size: float | None, bounds: tuple[float, float] | None
) -> tuple[float | None, float | None, str]:
    """Return the interval of a mean difference; ``size`` is what a row can only be won or lost by, if there is one."""
    if not differences:
        return None, None, ""
    if size is not None:
        more, less = sum(each > 0 for each in differences), sum(each < 0 for each in differences)
        low, high = tango(more, less, len(differences))
        return low * size, high * size, "Tango"
    reach = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
    found, method = _mean_interval(differences, reach, symmetric=True)
    return found and found[0], found and found[1], method


def _size(kind: Kind, scores: list[float], differences: list[float]) -> float | None:
    """Return what a row can only be won or lost by: 1 of shares, a half of wins against the baseline's ties."""
    if kind == "wins" and all(abs(each) in {0.0, 0.5} for each in differences):
        return 0.5
    return 1.0 if _is_share(scores) else None
