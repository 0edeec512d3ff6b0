"""Chance failures, whatever the load, cost a batch hardly more than the requests that fail; in virtual time.

``benchmarks/storm.py --weather`` has the whole table, the watcher included; these are its corners, with fixed seeds.
"""

from functools import cache

import pytest

import weather

ROWS = 12_000
# Goodput at least, as a part of that in calm weather.
LEAST = {"one": 0.95, "0.1 %": 0.95, "1 %": 0.9, "5 %": 0.7}


@cache
def calm(seed):
    return weather.batch("503", 0.0, seed, ROWS).speed


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("share", ["one", "1 %", "5 %"])
@pytest.mark.parametrize("kind", ["429 with RetryInfo", "503", "500"])
def test_a_batch_bears_failures_that_no_lower_load_would_avoid(kind, share, seed):
    found = weather.batch(kind, weather.SHARES[share], seed, ROWS)
    assert found.speed >= LEAST[share] * calm(seed)
    assert (found.lost, found.left) == (0, 0)
    assert found.statistics.outages == 0


def test_even_where_a_fifth_is_refused_at_any_load_a_batch_does_not_stand_still():
    found = weather.batch("503", 0.2, 1, ROWS)
    assert found.speed >= 0.5 * calm(1)
    assert (found.lost, found.left) == (0, 0)
