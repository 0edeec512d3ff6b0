"""Whether one model does better than another on the same rows: paired tests, which no quota of rows is wasted on.

If there was no difference, the sign of each row's difference would be a coin's throw. How often such coins give a
sum at least as far from 0 as the one that was seen is the p-value, two-sided:

- all differences are of one size (shares, wins): the sum is binomial, and this is McNemar's exact test;
- up to 24 rows differ: all signs are tried;
- more: 9,999 random signs with a fixed seed, and ``(1 + as far) / 10,000``, which is never 0 (Phipson & Smyth 2010).
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

_EXACT: Final = 24
"""Rows that differ up to which all signs are tried: two halves of 4,096 sums."""
_DRAWS: Final = 9_999
_BITS: Final = 20
"""Bits of a difference in the random test."""


def sign_test(more: int, less: int) -> float:
    """Return the p-value of so many rows won and so many lost: twice the tail of the binomial, at most 1.

    Example:
        >>> sign_test(9, 1)
        0.021484375
    """
    count, few = more + less, min(more, less)
    if 2 * few >= count - 1:  # which is 1 by the sum as well, but for rounding
        return 1.0
    if count < 1000:
        tail = sum(math.comb(count, k) for k in range(few + 1))
        return min(1.0, 2 * tail / (1 << count))
    # From the largest term of the tail downwards: the others are its multiples, and shrink fast.
    largest = math.lgamma(count + 1) - math.lgamma(few + 1) - math.lgamma(count - few + 1) - count * math.log(2)
    term = total = 1.0
    for k in range(few, 0, -1):
        term *= k / (count - k + 1)
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, 2 * total * math.exp(largest))


def permutation_test(differences: Sequence[float], seed: int = 0) -> tuple[float, str]:
    """Return the p-value of a mean difference, and the name of the test.

    Args:
        differences: One for each row, finite.
        seed: Of the random signs, if there are too many rows to try all.
    """
    sizes = [abs(each) for each in differences if each]
    if not sizes:
        return 1.0, "paired permutation, exact"
    if min(sizes) == max(sizes):
        more = sum(each > 0 for each in differences)
        return sign_test(more, len(sizes) - more), "paired permutation, exact"
    largest = max(sizes)
    scaled = [each / largest for each in differences if each]
    if len(scaled) <= _EXACT:
        return _all_signs(scaled), "paired permutation, exact"
    return _random_signs(scaled, seed), f"paired permutation, {_DRAWS:,} draws"


def _all_signs(differences: list[float]) -> float:
    """Return the share of signs whose sum is as far from 0 as the one seen, by two halves."""
    seen = abs(math.fsum(differences))
    # Sums that are equal on paper differ by rounding, and a tie counts.
    far = seen - 1e-9 * len(differences)
    if far <= 0:
        return 1.0
    middle = len(differences) // 2
    left, right = _sums(differences[:middle]), sorted(_sums(differences[middle:]))
    beyond = sum(len(right) - bisect_left(right, far - each) + bisect_right(right, -far - each) for each in left)
    return float(beyond / 2 ** len(differences))


def _sums(differences: list[float]) -> list[float]:
    sums = [0.0]
    for each in differences:
        sums = [total + signed for total in sums for signed in (each, -each)]
    return sums


def _random_signs(differences: list[float], seed: int) -> float:
    """Return how often random signs give a sum as far from 0, plus one.

    A draw of signs is one integer with a bit for each row. The sizes are whole numbers of ``_BITS`` bits, held as
    planes: plane k has the bit of each row whose size has bit k. What a draw adds up to is then the number of bits that
    it shares with each plane, times 2 ** k: twenty operations on long integers, and no addition for each row.
    """
    count = len(differences)
    unit = 2**_BITS - 1
    sizes = [round(abs(each) * unit) for each in differences]
    planes = []
    for bit in range(_BITS + 1):
        plane = int("".join("1" if size >> bit & 1 else "0" for size in sizes), 2)
        if plane:
            planes.append((plane, bit))
    total = sum(sizes)
    seen = abs(sum(size if each > 0 else -size for size, each in zip(sizes, differences, strict=True)))
    far = seen - count  # each size is rounded by half a unit at most, and a tie counts
    dice = random.Random(seed)  # noqa: S311 - no secret
    beyond = 0
    for _ in range(_DRAWS):
        signs = dice.getrandbits(count)
        positive = sum((signs & plane).bit_count() << bit for plane, bit in planes)
        beyond += abs(2 * positive - total) >= far
    return (1 + beyond) / (1 + _DRAWS)
