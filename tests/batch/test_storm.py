"""Quotas that change under way, in virtual time: how much of them is used, and what it costs in refusals."""

import random

import pytest

import storm
from gemtune.limiter.limiter import Limiter

SECONDS = 900.0
# Goodput at least, refusals per accepted request at most. It is half of the benchmark's run, at a fifth of its rate:
# the beginning and the steps weigh twice as much.
GATES = {
    "minute window": (0.97, 0.01),
    "window, in steps": (0.92, 0.01),
    "bucket, in steps": (0.93, 0.01),
    "cap without hints": (0.88, 0.03),
}


@pytest.mark.parametrize("scenario", storm.scenarios(rpm=600), ids=lambda scenario: scenario.name)
def test_a_storm_is_weathered_with_few_refusals_and_nothing_lost(scenario):
    limiter = Limiter(ceiling=200, dice=random.Random(1).random)
    tally = storm.run(scenario, storm.limited(limiter), SECONDS, workers=200)
    goodput, rejects = GATES[scenario.name]
    assert tally.lost == 0
    assert tally.goodput >= goodput
    assert tally.rejects <= rejects
    assert tally.done > 0
