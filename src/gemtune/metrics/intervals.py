"""95 % confidence intervals of a share, of a mean, and of differences on the same rows.

Chosen by their coverage, part of which ``tests/metrics`` measures again, and because none of them needs random numbers:

======================  ========================================================================================
share                   Wilson's score interval (Wilson 1927): near 95 % from 1 row on, never below 0 or above 1
mean                    Student's t with Hall's transformation (Hall 1992), which removes the skewness of the scores.
                        20 scores like exp(1): covered in 95 % of samples, Student's alone in 92 %; 20 of which
                        most are 1 and some less: 96 % and 89 %
mean difference         Student's t. Differences are nearly symmetric, and few of them seem skewed by chance: 50 rows of
                        which 4 differ are covered in 99 %, with Hall's transformation in 84 %
difference of paired    Tango's score interval (Tango 1998), from the rows that differ and the number of all: 94 % at
shares                  least over 35 cases from 10 to 500 rows, as Newcombe's, and it needs no other counts
scores all alike        with known bounds, Wilson's interval of none of so many
======================  ========================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

Z: Final = 1.959963984540054
"""The 97.5 % point of the normal distribution."""
_T: Final = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139)
"""The 97.5 % points of Student's t with 1 to 10 degrees of freedom; the expansion is exact to 5 digits above."""


def wilson(right: float, rows: int) -> tuple[float, float]:
    """Return the interval of a share: so many right of so many rows, 1 or more.

    Example:
        >>> low, high = wilson(8, 10)
        >>> f"{low:.4f} {high:.4f}"
        '0.4902 0.9433'
    """
    share, extra = right / rows, Z * Z / rows
    middle = (share + extra / 2) / (1 + extra)
    half = Z / (1 + extra) * math.sqrt(share * (1 - share) / rows + extra / (4 * rows))
    # At the ends both terms are equal but for rounding, and 1e-17 is not 0 to those who compare.
    return (0.0 if right <= 0 else middle - half), (1.0 if right >= rows else middle + half)


def student(freedom: int) -> float:
    """Return the 97.5 % point of Student's t with so many degrees of freedom."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    z, nu = Z, float(freedom)
    return (
        z
        + (z**3 + z) / (4 * nu)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * nu**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * nu**4)
    )


def mean_interval(values: Sequence[float], *, symmetric: bool = False) -> tuple[float, float] | None:
    """Return the interval of a mean; None if the values do not say how they vary.

    Args:
        values: The values.
        symmetric: Whether they are as often above their mean as below, so that skewness is chance and not removed.
    """
    count = len(values)
    if count < 2 or min(values) == max(values):
        return None
    mean = math.fsum(values) / count
    away = [value - mean for value in values]
    spread = math.sqrt(math.fsum(each * each for each in away) / (count - 1))
    if not spread:  # the values differ by less than rounding
        return None
    skew = 0.0 if symmetric else math.fsum((each / spread) ** 3 for each in away) / count
    error, t = spread / math.sqrt(count), student(count - 1)
    low, high = (mean - error * _hall(quantile, skew / math.sqrt(count)) for quantile in (t, -t))
    return low, high


def alike_interval(value: float, rows: int, bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the interval of a mean if all rows have the same score and no score is outside some bounds.

    Wilson's interval of none of so many says which share of all rows may have another score; those may be at a bound.

    Example:
        >>> low, high = alike_interval(1.0, 10, (0.0, 1.0))
        >>> f"{low:.2f} {high:.2f}"
        '0.72 1.00'
    """
    _, others = wilson(0, rows)
    return value - others * (value - bounds[0]), value + others * (bounds[1] - value)


def _hall(quantile: float, skew: float) -> float:
    """Return where the transformed statistic has this quantile; ``skew`` is divided by the root of the rows."""
    if abs(skew) < 1e-6:
        return quantile
    return 3 / skew * (math.cbrt(1 + skew * (quantile - skew / 6)) - 1)


def tango(more: int, less: int, rows: int) -> tuple[float, float]:
    """Return the interval of a difference of paired shares: rows won, rows lost, and all rows, 1 or more.

    Example:
        >>> low, high = tango(1, 7, 21)
        >>> f"{low:.4f} {high:.4f}"
        '-0.5172 -0.0260'
    """
    return -_tango_above(less, more, rows), _tango_above(more, less, rows)


def _tango_above(more: int, less: int, rows: int) -> float:
    """Return the largest difference that the score test does not refuse, by bisection."""
    low, high = (more - less) / rows, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        # The likeliest share of lost rows if this was the difference, from a quadratic equation.
        half = -more - less + (2 * rows - more + less) * middle
        lost = (math.sqrt(max(0.0, half * half - 8 * rows * -less * middle * (1 - middle))) - half) / (4 * rows)
        variance = rows * (2 * lost + middle * (1 - middle))
        refused = (rows * middle - more + less) > Z * math.sqrt(max(variance, 0.0))
        low, high = (low, middle) if refused else (middle, high)
    return (low + high) / 2
