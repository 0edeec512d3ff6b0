"""Services that take so many requests at once and give no hints, small and quick ones too; counted in virtual time."""

import random

import pytest

import storm
from gemtune.limiter.limiter import Limiter

START = 50  # the first burst of ``auto``
WORKERS = 300

pytestmark = [
    pytest.mark.parametrize("mean", [0.02, 0.2, 1.0]),
    pytest.mark.parametrize("cap", [5, 20, 60]),
]


def weather(scenario, replies):
    """Let many work for so many reply times; the tally."""
    limiter = Limiter(ceiling=256, dice=random.Random(1).random)
    tally = storm.run(scenario, storm.limited(limiter), replies * scenario.mean, WORKERS)
    assert tally.lost == 0
    return tally


def test_a_small_cap_is_found_within_a_few_reply_times(cap, mean):
    tally = weather(storm.capped(cap, mean), 10)
    assert tally.goodput >= 0.9
    assert tally.rejects * tally.goodput * 10 * cap <= 2 * START


def test_a_cap_that_was_found_is_kept_busy_with_few_refusals(cap, mean):
    tally = weather(storm.capped(cap, mean), 200)
    accepted = tally.goodput * 200 * cap
    assert tally.goodput >= 0.97
    assert tally.rejects * accepted <= 2 * START + 0.02 * accepted


def test_a_cap_that_rises_and_falls_is_followed(cap, mean):
    scenario = storm.capped(cap, mean, ((0.0, cap), (1 / 3, 3 * cap), (2 / 3, cap)))
    tally = weather(scenario, 300)
    assert tally.goodput >= 0.9
    assert tally.rejects <= 0.05
