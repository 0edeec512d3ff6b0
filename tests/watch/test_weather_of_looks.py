"""Chance failures of looks, whatever the rate, leave a watcher nearly as fresh as it was; in virtual time."""

from functools import cache

import pytest

import weather


@cache
def calm():
    return weather.watch("503", 0.0)


@pytest.mark.parametrize("share", ["one", "1 %", "5 %"])
@pytest.mark.parametrize("kind", ["429 with RetryInfo", "500"])
def test_snapshots_are_hardly_older_where_some_looks_fail_by_chance(kind, share):
    found = weather.watch(kind, weather.SHARES[share])
    assert found.age <= 1.2 * calm().age
    assert found.rps >= 0.9 * calm().rps
