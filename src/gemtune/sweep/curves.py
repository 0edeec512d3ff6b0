"""Curves as rules look at them: over passes through the data, without their noise, and where they are going.

Points differ in their epochs and batch sizes, so that equal steps are not equal training. A step's passes are
``step / total · epochs``. If the epochs are not known, one pass is the whole run.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence
from typing import Final

import attrs

from gemtune.sweep.chooser import PointCurve

LEAST_STEPS: Final = 5
"""The steps that are taken together at least: with 20 examples, half a pass is two or three."""
_PASS_WINDOW: Final = 0.5
_RUN_WINDOW: Final = 0.1
_FITTED: Final = 10
"""The steps from which a trend can be seen at least."""
_MOST_FITTED: Final = 400
_LEAST_LOSS: Final = 1e-12
"""What stands for a loss of 0, which has no logarithm."""


@attrs.frozen
class LossTrack:
    """One of a point's two curves, over passes.

    Args:
        curve: The point's curves.
        held_out: Whether it is the loss on the validation data, or that of the training.
    """

    curve: PointCurve
    held_out: bool

    @property
    def values(self) -> Sequence[tuple[int, float]]:
        """Its values by step."""
        return self.curve.eval_losses if self.held_out else self.curve.losses

    @property
    def passes(self) -> float:
        """The passes of the whole run."""
        return float(self.curve.epochs or 1)

    @property
    def pace(self) -> float:
        """Passes a step; 0 while nobody knows."""
        return self.passes / self.curve.total if self.curve.total else 0.0

    @property
    def last(self) -> float:
        """The passes after which it has its last value; 0 if it has none."""
        return self.values[-1][0] * self.pace if self.values else 0.0

    @property
    def window(self) -> float:
        """The part of a pass whose training losses are taken together; a tenth where a pass is the whole run."""
        return _RUN_WINDOW if self.curve.epochs is None else _PASS_WINDOW

    @property
    def before(self) -> float:
        """The passes after which it was looked at before: the value before the last, or a window earlier."""
        if self.held_out and len(self.values) > 1:
            return self.values[-2][0] * self.pace
        return self.last - self.window

    def level(self, at: float) -> float | None:
        """Return how high it is after some passes; None if it has not been there."""
        if not self.values or not self.pace:
            return None
        return self._between(at) if self.held_out else self._mean(at)

    def _mean(self, at: float) -> float | None:
        """Return the mean of a window; one loss of the training is noise."""
        step = at / self.pace
        # Passes are no whole numbers: the rounding must not lose a step.
        end = bisect.bisect_right(self.values, step + 1e-6, key=_step)
        if end == 0 or (end == len(self.values) and step - self.values[-1][0] > 1 + 1e-6):
            return None
        begin = bisect.bisect_right(self.values, step - self.window / self.pace, key=_step)
        return statistics.fmean(ordered(value) for _, value in self.values[min(begin, max(end - LEAST_STEPS, 0)) : end])

    def _between(self, at: float) -> float | None:
        """Return what stands on the line between the neighbours; a validation loss is measured once a pass or so."""
        step = at / self.pace
        after = bisect.bisect_left(self.values, step, key=_step)
        if after in (0, len(self.values)):
            edge, value = self.values[min(after, len(self.values) - 1)]
            return ordered(value) if abs(edge - step) * self.pace <= self.window / 2 else None
        (left, low), (right, high) = self.values[after - 1], self.values[after]
        share = (step - left) / (right - left)
        return ordered(high) if share == 1 else ordered(low) * (1 - share) + ordered(high) * share

    def said(self, level: float, at: float) -> str:
        """Return in words how high it is after some passes."""
        return f"{'eval loss' if self.held_out else 'loss'} {in_words(level)} {self.place(at)}"

    def place(self, at: float) -> str:
        """Return in words how far the point has come after some passes."""
        if self.curve.epochs is None:
            return f"after {at:.0%} of its steps"
        return f"after {at:.1f} of {self.curve.epochs} epochs"


@attrs.frozen(kw_only=True)
class LossTrend:
    """A straight line through the logarithms of the later half of a curve, by least squares.

    Args:
        step: The last step.
        now: The line's height there.
        slope: What it gains a step.
        noise: The standard deviation of a value from the line.
        doubt: That of its height at the last step.
        slope_doubt: That of its slope.
    """

    step: int
    now: float
    slope: float
    noise: float
    doubt: float
    slope_doubt: float


def reported(curve: PointCurve, step: int) -> tuple[int, float] | None:
    """Return what a study is told of a step: the tenths of passes, and how high the curve is there.

    Its pruners compare points at equal steps. Points of other batch sizes have none in common, and one training loss is
    noise; equal tenths of a pass and the mean of half a pass can be compared. None: nobody knows how long a pass is.
    """
    track = LossTrack(curve, held_out=bool(curve.eval_losses))
    level = track.level(step * track.pace)
    return None if level is None else (round(10 * step * track.pace), level)


def trend(values: Sequence[tuple[int, float]]) -> LossTrend | None:
    """Return where a curve is going; None if it is too short to say."""
    later = values[len(values) // 2 :]
    if len(later) < _FITTED:
        return None
    # It is asked after every step, and a few hundred values say as much as many thousand.
    later = later[:: -(len(later) // _MOST_FITTED + 1)][::-1]
    steps, logs = [float(step) for step, _ in later], [logarithm(value) for _, value in later]
    middle, mean = statistics.fmean(steps), statistics.fmean(logs)
    width = sum((step - middle) ** 2 for step in steps)
    slope = sum((step - middle) * (value - mean) for step, value in zip(steps, logs, strict=True)) / width
    wrong = sum((value - mean - slope * (step - middle)) ** 2 for step, value in zip(steps, logs, strict=True))
    noise = math.sqrt(wrong / (len(later) - 2))
    ahead = steps[-1] - middle
    return LossTrend(
        step=later[-1][0],
        now=mean + slope * ahead,
        slope=slope,
        noise=noise,
        doubt=noise * math.sqrt(1 / len(later) + ahead**2 / width),
        slope_doubt=noise / math.sqrt(width),
    )


def ordered(value: float) -> float:
    """Return a loss that can be compared: one that is no number is worse than any number."""
    return math.inf if math.isnan(value) else value


def logarithm(value: float) -> float:
    """Return the logarithm of a loss, whatever it is."""
    return math.log(min(max(ordered(value), _LEAST_LOSS), 1e300))


def in_words(loss: float) -> str:
    """Return a loss as people write it."""
    return f"{loss:.3g}" if math.isfinite(loss) else "NaN"


def _step(value: tuple[int, float]) -> int:
    return value[0]
