"""95 % confidence intervals of a share, of a mean, and of a difference that is -1, 0 or 1 on each row.

Chosen by their coverage, which ``tests/metrics`` measures, and because none of them needs random numbers:

=================  =============================================================================================
share              Wilson's score interval (Wilson 1927): near 95 % from 1 row on, and never below 0 or above 1
mean               Student's t with Hall's transformation (Hall 1992), which removes the skewness of the scores; equal
                   to Student's interval if they are symmetric
difference of      Tango's score interval (Tango 1998), which needs the rows that differ and the number of all
paired shares
=================  =============================================================================================
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


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the interval of a mean; None if the values do not say how they vary."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    away = [value - mean for value in values]
    spread = math.sqrt(math.fsum(each * each for each in away) / (count - 1))
    if min(values) == max(values) or not spread:
        return None
    skew = math.fsum((each / spread) ** 3 for each in away) / count
    error, t = spread / math.sqrt(count), student(count - 1)
    low, high = (mean - error * _hall(quantile, skew / math.sqrt(count)) for quantile in (t, -t))
    return low, high


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
