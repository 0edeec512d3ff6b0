"""Rules that give up a running point: pure functions of the curves so far.

Curves are compared at equal *passes* through the data (``curves.py``). Where the service measures a loss on the
validation data, that is what is compared; otherwise the training loss is. A single loss is noise: the training loss is
a mean of half a pass, and what is compared must have been as bad half a pass earlier.

===============  ===================================================================================================
``forecast``     a line through the logarithms of the later half of its losses, drawn on to its last step, ends higher
                 than another point has ended, with three standard deviations to spare. Losses fall ever more slowly, so
                 that a straight line is hopeful: a slow point that will be good in the end is not given up
``median``       worse than the median of the others at the same pass. Not before 2 passes and a quarter of its own,
                 and not with fewer than 4 others that have been there
``diverging``    the loss has been no number for 5 steps, or it is twice what the point began with
``overfitting``  the validation loss has been rising for 2 passes, is a fifth above its best, and another point has been
                 better than that best: what is lost is a model that would be worse than it could have been
``halving``      at 1, 3, 9, … passes only the best third of all points that have come so far goes on (successive
                 halving without waiting: Li and others 2018)
===============  ===================================================================================================

``forecast`` is what we recommend. ``median`` is what Google's Vizier does under this name (Golovin and others 2017),
and like ``halving`` it believes in early leaders: it loses the best point wherever a high rate is ahead until it
overfits. ``benchmarks/sweep_rules.py`` prints how often, and what each rule saves.
"""

from __future__ import annotations

import difflib
import inspect
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.remedy import Remedy
from gemtune.sweep.chooser import PointCurve, StopRule
from gemtune.sweep.curves import LEAST_STEPS, LossTrack, in_words, logarithm, ordered, trend
from gemtune.sweep.standings import field_of


@attrs.frozen(kw_only=True)
class ForecastRule:
    """Give up a point that will not end as low as another has ended, if its loss keeps falling as it does.

    Args:
        grace: Passes that every point gets.
        share: The share of its own passes that it gets at least.
        doubt: How many standard deviations of the forecast are in doubt.
    """

    grace: float = 1.0
    share: float = 0.25
    doubt: float = 3.0

    def verdict(self, curve: PointCurve, others: Sequence[PointCurve]) -> str | None:
        """Return why the point is given up, or None."""
        field, me = field_of(curve, others)
        mine = LossTrack(curve, bool(curve.eval_losses) or field.measured)
        if not _has_begun(mine, self.grace, self.share):
            return None
        best = field.ends(curve, held_out=mine.held_out).least(me)
        line = None if best is None else trend(curve.losses)
        if best is None or line is None or curve.total is None:
            return None
        now, doubt, left = line.now, line.doubt, float(curve.total - line.step)
        if mine.held_out:
            # The slope stays that of the training loss: it has many values, and the validation loss falls no faster.
            latest = mine.values[-2:]
            now, doubt = statistics.fmean(logarithm(value) for _, value in latest), line.noise / math.sqrt(len(latest))
            left = curve.total - statistics.fmean(step for step, _ in latest)
        end = now + left * line.slope
        spread = self.doubt * math.hypot(doubt, line.noise, left * line.slope_doubt)
        if not end - spread > logarithm(best):
            return None
        low, middle, high = (in_words(math.exp(min(each, 690.0))) for each in (end - spread, end, end + spread))
        last = mine.values[-1][1] if mine.held_out else math.exp(now)
        said = f"on its way to {middle} ({low} to {high}); another point has {in_words(best)}"
        return f"{mine.said(last, mine.last)}, {said}"


@attrs.frozen(kw_only=True)
class MedianRule:
    """Give up a point that is worse than the median of the others at the same pass.

    Args:
        grace: Passes that every point gets.
        share: The share of its own passes that it gets at least.
        least: How many others must have been at the same pass.
    """

    grace: float = 2.0
    share: float = 0.25
    least: int = 4

    def verdict(self, curve: PointCurve, others: Sequence[PointCurve]) -> str | None:
        """Return why the point is given up, or None."""
        mine, rest = _tracks(curve, others)
        if not _has_begun(mine, self.grace, self.share):
            return None
        said = None
        for at in (mine.before, mine.last):
            level, there = mine.level(at), _levels(rest, at)
            if level is None or len(there) < self.least or not level > statistics.median(there):
                return None
            median = in_words(statistics.median(there))
            said = f"{mine.said(level, at)}, the median of {len(there)} others there is {median}"
        return said


@attrs.frozen(kw_only=True)
class DivergingRule:
    """Give up a point whose loss has grown far beyond its own start, or is no number any more.

    Args:
        factor: How many times its start is far.
    """

    factor: float = 2.0

    def verdict(self, curve: PointCurve, others: Sequence[PointCurve]) -> str | None:  # noqa: ARG002
        """Return why the point is given up, or None."""
        latest = curve.losses[-LEAST_STEPS:]
        # A single one can be a step that was skipped; a training that has diverged does not come back.
        if len(latest) == LEAST_STEPS and not any(math.isfinite(value) for _, value in latest):
            return f"its loss has been no number for {LEAST_STEPS} steps, from step {latest[0][0]:,} on"
        # Of the training loss in both cases: the first validation losses may be of later passes, when much is learned.
        begun = [value for _, value in curve.losses[:LEAST_STEPS] if math.isfinite(value)]
        far = self.factor * statistics.median(begun) if len(curve.losses) > LEAST_STEPS and begun else math.inf
        for mine in (LossTrack(curve, held_out=True), LossTrack(curve, held_out=False)):
            levels = [mine.level(at) for at in (mine.before, mine.last)]
            if all(level is not None and level > far > 0 for level in levels):
                return f"{mine.said(levels[-1] or 0.0, mine.last)}, and it began at {in_words(far / self.factor)}"
        return None


@attrs.frozen(kw_only=True)
class OverfittingRule:
    """Give up a point whose validation loss has turned up, if another has been better than its best.

    Args:
        patience: Passes since its best.
        rise: By how much of its best it must have risen.
    """

    patience: float = 2.0
    rise: float = 0.2

    def verdict(self, curve: PointCurve, others: Sequence[PointCurve]) -> str | None:
        """Return why the point is given up, or None."""
        mine = LossTrack(curve, held_out=True)
        if len(mine.values) < 3 or not mine.pace:
            return None
        field, me = field_of(curve, others)
        step, best = field.lowest(me, curve)
        # One high value is noise: the two latest have to be that high.
        tail = [ordered(value) for at, value in mine.values[-2:] if at > step]
        long = mine.last - step * mine.pace >= self.patience and len(tail) > 1
        if not long or not min(tail) > best * (1 + self.rise):
            return None
        rival = field.lows().least(me)
        if rival is None or rival >= best:
            return None
        said = f"up from {in_words(best)} {mine.place(step * mine.pace)}; another point has been at"
        return f"{mine.said(tail[-1], mine.last)}, {said} {in_words(rival)}"


@attrs.frozen(kw_only=True)
class HalvingRule:
    """Let only the best of the points that have come to a rung go on.

    Args:
        first: The passes of the first rung.
        factor: Each rung is so many times the one before, and the best one in so many goes on.
    """

    first: float = 1.0
    factor: int = 3

    def verdict(self, curve: PointCurve, others: Sequence[PointCurve]) -> str | None:
        """Return why the point is given up, or None."""
        field, me = field_of(curve, others)
        mine = LossTrack(curve, bool(curve.eval_losses) or field.measured)
        if not _has_begun(mine, self.first, 0.0):
            return None
        rung = self.first
        while rung * self.factor <= mine.last + 1e-9:
            rung *= self.factor
        if rung > mine.last + 1e-9:
            return None
        level = mine.level(rung)
        if level is None:
            return None
        place, others_there = field.levels(curve, rung, held_out=mine.held_out).below(level, me)
        room = (others_there + 1) // self.factor
        # The first ones to come go on: there is nothing yet to compare them with.
        if room < 1 or place < room:
            return None
        return f"{mine.said(level, rung)}, place {place + 1} of {others_there + 1} there, of which {room} go on"


RULES: Final[Mapping[str, Callable[[], StopRule]]] = {
    "forecast": ForecastRule,
    "median": MedianRule,
    "diverging": DivergingRule,
    "overfitting": OverfittingRule,
    "halving": HalvingRule,
}
"""The rules by name."""


def resolve_rules(stop: str | StopRule | Iterable[str | StopRule] | None) -> tuple[StopRule, ...]:
    """Return the rules that ``stop`` means: one, several, or none.

    Args:
        stop: A name, a rule of yours (anything with a ``verdict``), several of them, or None.

    Raises:
        InvalidInput: There is no rule of that name, or it is no rule.

    Example:
        >>> [type(rule).__name__ for rule in resolve_rules(["forecast", "diverging"])]
        ['ForecastRule', 'DivergingRule']
    """
    if stop is None:
        return ()
    several = isinstance(stop, Iterable) and not isinstance(stop, str) and not hasattr(stop, "verdict")
    return tuple(_rule(each) for each in (stop if several else (stop,)))  # type: ignore[union-attr]


def verdict_of(rules: Iterable[StopRule], curve: PointCurve, others: Sequence[PointCurve]) -> str | None:
    """Return why a running point should be stopped, by the first rule that says so; None if none does.

    Args:
        rules: The rules, in their order.
        curve: The point's curve.
        others: Those of all others.

    Raises:
        InvalidInput: A rule of the user's returned something else. What one raises is raised as it is, with a note.
    """
    for rule in rules:
        try:
            said = rule.verdict(curve, others)
        except Exception as error:
            error.add_note(f"raised by the stop rule {type(rule).__name__} about point {curve.number}")
            raise
        if said is not None and not isinstance(said, str):
            if inspect.iscoroutine(said):
                said.close()
            what = f"stop: the rule {type(rule).__name__} returned {said!r:.60} about point {curve.number}"
            raise InvalidInput(what, Remedy("return a string that says why it is to be stopped, or None"), field="stop")
        if said:
            return said
    return None


def _rule(given: object) -> StopRule:
    if isinstance(given, str):
        if given in RULES:
            return RULES[given]()
        near = difflib.get_close_matches(given, RULES, 1)
        meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RULES)}"
        raise InvalidInput(f"stop: there is no rule {given!r:.40}; {meant}", field="stop")
    if isinstance(given, type) or not callable(getattr(given, "verdict", None)):
        checks.refuse("stop", f"one of {', '.join(RULES)}, or a rule with a verdict", given)
    return given  # type: ignore[return-value]


def _tracks(curve: PointCurve, others: Sequence[PointCurve]) -> tuple[LossTrack, list[LossTrack]]:
    held_out = bool(curve.eval_losses) or any(other.eval_losses for other in others)
    # Where the epochs are not known, a pass is a whole run: that can be compared with its like only.
    alike = [other for other in others if (other.epochs is None) == (curve.epochs is None)]
    return LossTrack(curve, held_out), [LossTrack(other, held_out) for other in alike]


def _has_begun(mine: LossTrack, grace: float, share: float) -> bool:
    """Return whether a point has had its grace; a pass is a whole run where the epochs are not known."""
    least = share if mine.curve.epochs is None else max(grace, share * mine.passes)
    return mine.last > 0 and mine.last + 1e-9 >= least


def _levels(tracks: Iterable[LossTrack], at: float) -> list[float]:
    """Return how high those curves that have been at a pass were there, in order."""
    return sorted(level for level in (each.level(at) for each in tracks) if level is not None)
