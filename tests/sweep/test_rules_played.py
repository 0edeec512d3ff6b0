"""Twenty sweeps over 24 points on the emulator's surface: what rules save, and whether the best point is still found.

``benchmarks/sweep_rules.py`` prints the table of all rules and grids, of which this gates what we recommend.
"""

import statistics

import pytest

from gemtune.sweep.rules import resolve_rules
from sweeping import GRIDS, grid, play

SEEDS = 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [("epochs × rate", 0.4), ("epochs × rate × adapter", 0.15), ("epochs × rate × batch", 0.3)],
)
def test_what_we_recommend_finds_the_best_point_of_twenty_sweeps_and_saves_steps(name, least):
    rules = resolve_rules(["forecast", "overfitting", "diverging"])
    sweeps = [play(grid(name, seed), rules, look=25) for seed in range(SEEDS)]
    assert [each.found.number for each in sweeps] == [each.best.number for each in sweeps]
    assert statistics.fmean(each.saved for each in sweeps) > least


@pytest.mark.parametrize("name", GRIDS)
def test_a_stopped_point_would_not_have_been_the_best_whatever_the_order(name):
    sweep = play(grid(name, 1), resolve_rules("forecast"), shuffled=1)
    assert sweep.stopped
    assert min(sweep.trainings[number].final for number in sweep.stopped) > sweep.best.final
    assert all("on its way to" in said for _, said in sweep.stopped.values())


def test_what_diverges_is_stopped_before_anything_has_ended():
    sweep = play(grid("epochs × rate", 2), resolve_rules("diverging"), at_a_time=24)
    assert {sweep.trainings[number].values["learning_rate_multiplier"] for number in sweep.stopped} == {10}
    assert sweep.saved > 0.05
