"""Stop rules give up what is hopeless, in words, and never for the noise of one step."""

import math
import random

import attrs
import pytest

from gemtune import events
from gemtune.errors import InvalidInput
from gemtune.sweep.chooser import PointCurve
from gemtune.sweep.curves import reported
from gemtune.sweep.rules import (
    RULES,
    DivergingRule,
    ForecastRule,
    HalvingRule,
    MedianRule,
    OverfittingRule,
    resolve_rules,
    verdict_of,
)
from gemtune.sweep.running.record import CurveRecord
from gemtune.types.training import SnapshotMetrics

PASS = 20  # steps


def curve(number=0, *, fall=0.55, epochs=8, passes=None, start=5.0, noise=0.0, held_out=None, batch=1, ended=None):
    """A loss that falls by exp(-fall) with each pass, seen after some passes.

    ``held_out`` gives the eval loss of a pass; ``batch`` makes fewer, larger steps of the same passes.
    """
    dice = random.Random(number)
    steps = PASS // batch
    done = round((epochs if passes is None else passes) * steps)
    losses = [
        (step, start * math.exp(-fall * step / steps) * (1 + noise * dice.uniform(-1, 1)))
        for step in range(1, done + 1)
    ]
    evals = [] if held_out is None else [(each * steps, held_out(each)) for each in range(1, done // steps + 1)]
    return PointCurve(
        number=number,
        total=epochs * steps,
        losses=losses,
        eval_losses=evals,
        epochs=epochs,
        ended=done == epochs * steps if ended is None else ended,
    )


def falling(fall, start=5.0):
    return lambda each: start * math.exp(-fall * each)


def test_a_forecast_gives_up_what_would_end_higher_than_another_has_ended():
    slow = curve(1, fall=0.1, passes=3, noise=0.1, held_out=falling(0.1))
    best = curve(2, fall=0.8, noise=0.1, held_out=falling(0.8))
    said = ForecastRule().verdict(slow, [best])
    assert said is not None
    assert said.startswith("eval loss 3.")
    assert " after 3.0 of 8 epochs, on its way to 2." in said
    assert said.endswith("; another point has 0.00831")


def test_a_forecast_lets_a_slow_start_go_on_that_will_be_good_and_a_median_does_not():
    late = curve(1, fall=0.5, epochs=16, passes=4, noise=0.2, held_out=falling(0.5))
    leaders = [
        curve(number, fall=0.9, epochs=4, noise=0.2, held_out=lambda each: max(0.2, 5 * math.exp(-0.9 * each)))
        for number in range(2, 7)
    ]
    assert ForecastRule().verdict(late, leaders) is None
    assert MedianRule().verdict(late, leaders) == (
        "eval loss 0.677 after 4.0 of 16 epochs, the median of 5 others there is 0.2"
    )


def test_a_forecast_needs_a_point_that_has_ended_and_a_quarter_of_its_own_way():
    slow = curve(1, fall=0.1, passes=3, held_out=falling(0.1))
    running = curve(2, fall=0.8, passes=7, held_out=falling(0.8))
    assert ForecastRule().verdict(slow, []) is None
    assert ForecastRule().verdict(slow, [running]) is None
    best = curve(2, fall=0.8, held_out=falling(0.8))
    assert ForecastRule().verdict(curve(1, fall=0.1, passes=1, held_out=falling(0.1)), [best]) is None
    assert ForecastRule().verdict(curve(1, fall=0.1, passes=2, held_out=falling(0.1)), [best]) is not None


def test_a_forecast_by_training_losses_does_not_hold_a_longer_training_against_a_shorter_one():
    short = curve(1, epochs=4, passes=3, noise=0.1)
    assert ForecastRule().verdict(short, [curve(2, epochs=16, noise=0.1)]) is None
    assert ForecastRule().verdict(short, [curve(2, epochs=16, fall=1.5, noise=0.1)]) is not None


@pytest.mark.parametrize("seed", range(50))
def test_noise_alone_gives_up_none_of_equal_points(seed):
    others = [curve(100 * seed + number, noise=0.25, held_out=falling(0.55)) for number in range(1, 10)]
    for step in range(2 * PASS, 8 * PASS):
        point = curve(100 * seed, passes=step / PASS, noise=0.25, held_out=falling(0.55))
        assert ForecastRule().verdict(point, others) is None


def test_a_median_wants_enough_others_that_have_been_there_and_two_passes():
    bad = curve(1, fall=0.1, passes=3)
    others = [curve(number, passes=4) for number in range(2, 6)]
    assert MedianRule().verdict(bad, others) == (
        "loss 3.79 after 3.0 of 8 epochs, the median of 4 others there is 1.09"
    )
    assert MedianRule().verdict(bad, others[:3]) is None
    assert MedianRule().verdict(bad, [*others[:3], curve(9, passes=2.8)]) is None
    assert MedianRule().verdict(curve(1, fall=0.1, passes=1.9), others) is None
    assert MedianRule().verdict(curve(1, fall=0.1, passes=3, epochs=16), others) is None
    assert MedianRule().verdict(curve(1, fall=0.6, passes=3), others) is None


def test_a_loss_that_is_no_number_is_worse_than_any_number():
    others = [curve(number, passes=4) for number in range(2, 6)]
    fine = curve(1, passes=3, fall=0.6)
    lost = PointCurve(
        number=1, total=160, losses=[*fine.losses[:40], *((at, math.nan) for at in range(41, 61))], epochs=8
    )
    assert MedianRule().verdict(lost, others) == "loss NaN after 3.0 of 8 epochs, the median of 4 others there is 1.09"
    assert MedianRule().verdict(fine, [*others[:3], lost]) is None
    broken = [attrs.evolve(other, losses=[(step, math.nan) for step, _ in other.losses]) for other in others]
    assert MedianRule().verdict(curve(1, passes=3, fall=0.1), broken) is None


def test_curves_of_other_batch_sizes_are_compared_at_the_same_pass():
    bad = curve(1, fall=0.1, passes=3)
    others = [curve(number, passes=4, batch=4) for number in range(2, 6)]
    assert MedianRule().verdict(bad, others) is not None
    assert MedianRule().verdict(curve(1, fall=0.6, passes=3), others) is None
    coarse = curve(1, fall=0.1, passes=3, batch=4)
    assert MedianRule().verdict(coarse, [curve(number, passes=4) for number in range(2, 6)]) is not None


def test_one_bad_look_gives_up_nobody():
    others = [curve(number, passes=4, held_out=falling(0.55)) for number in range(2, 7)]
    once = curve(1, passes=3, held_out=lambda each: 5.0 if each == 3 else falling(0.55)(each) * 0.9)
    assert MedianRule().verdict(once, others) is None
    assert DivergingRule().verdict(once, others) is None
    assert OverfittingRule().verdict(once, others) is None
    assert ForecastRule().verdict(once, others) is None


@pytest.mark.parametrize("name", RULES)
def test_without_a_total_or_any_loss_nobody_is_given_up(name):
    rule = RULES[name]()
    others = [curve(number, fall=2.0, held_out=falling(2.0)) for number in range(2, 9)]
    assert rule.verdict(PointCurve(number=1, total=None, losses=[(1, 5.0), (2, 4.9)], epochs=8), others) is None
    assert rule.verdict(PointCurve(number=1, total=100, losses=[]), others) is None
    assert rule.verdict(curve(1, fall=0.0, passes=6), []) is None


@pytest.mark.parametrize("name", RULES)
def test_the_best_point_is_never_given_up(name):
    rule = RULES[name]()
    others = [curve(number, fall=0.3, held_out=falling(0.3)) for number in range(2, 9)]
    for step in range(1, 8 * PASS):
        assert rule.verdict(curve(1, passes=step / PASS, noise=0.25, held_out=falling(0.55)), others) is None


def test_where_the_epochs_are_not_known_a_run_is_compared_with_its_like():
    bad = PointCurve(number=1, total=100, losses=[(step, 5.0) for step in range(1, 61)])
    others = [
        PointCurve(number=number, total=50, losses=[(step, 5.0 - step / 20) for step in range(1, 41)])
        for number in range(2, 7)
    ]
    assert MedianRule().verdict(bad, others) == "loss 5 after 60% of its steps, the median of 5 others there is 3.6"
    best = PointCurve(number=9, total=50, losses=[(step, 5 * 0.9**step) for step in range(1, 51)], ended=True)
    said = ForecastRule().verdict(bad, [best])
    assert said == "loss 5 after 60% of its steps, on its way to 5 (5 to 5); another point has 0.0322"
    assert ForecastRule().verdict(bad, [curve(2, fall=2.0)]) is None


def test_a_loss_that_is_no_number_or_twice_its_start_has_diverged():
    rule = DivergingRule()
    fine = curve(1, passes=3)
    assert rule.verdict(fine, []) is None
    for value in (math.nan, math.inf):
        lost = PointCurve(number=1, total=160, losses=[*fine.losses, *((61 + at, value) for at in range(5))], epochs=8)
        assert rule.verdict(lost, []) == "its loss has been no number for 5 steps, from step 61 on"
        once = PointCurve(number=1, total=160, losses=[*fine.losses, (61, value)], epochs=8)
        assert rule.verdict(once, []) is None
    grown = PointCurve(number=1, total=160, losses=[*fine.losses, *((step, 12.0) for step in range(61, 82))], epochs=8)
    assert rule.verdict(grown, []) == "loss 12 after 4.0 of 8 epochs, and it began at 4.6"
    spike = PointCurve(number=1, total=160, losses=[*fine.losses, (61, 40.0)], epochs=8)
    assert rule.verdict(spike, []) is None


def turned(each):
    return 2.0 - 0.4 * each if each <= 4 else 0.4 + 0.2 * (each - 4)


def test_an_eval_loss_that_has_turned_up_is_given_up_if_another_point_is_better():
    over = curve(1, epochs=16, passes=7, held_out=turned)
    rival = curve(2, epochs=8, held_out=lambda each: 2.0 / each)
    assert OverfittingRule().verdict(over, [rival]) == (
        "eval loss 1 after 7.0 of 16 epochs, up from 0.6 after 4.0 of 16 epochs; another point has been at 0.268"
    )
    worse = curve(2, epochs=8, held_out=lambda each: 9.0 / each)
    assert OverfittingRule().verdict(over, [worse]) is None
    assert OverfittingRule().verdict(over, []) is None
    assert OverfittingRule().verdict(curve(1, epochs=16, passes=5, held_out=turned), [rival]) is None


def test_halving_lets_a_third_go_on_at_each_rung_and_the_first_ones_always():
    rule = HalvingRule()
    others = [curve(number, fall=0.55 + number / 100, passes=4) for number in range(2, 10)]
    assert rule.verdict(curve(1, passes=0.9), others) is None
    assert rule.verdict(curve(1, passes=1.5), others[:1]) is None
    said = rule.verdict(curve(1, fall=0.6, passes=1.5), others)
    assert said == "loss 3.15 after 1.0 of 8 epochs, place 5 of 9 there, of which 3 go on"
    assert rule.verdict(curve(1, fall=0.7, passes=1.5), others) is None
    late = rule.verdict(curve(1, fall=0.5, passes=3.2), others)
    assert late is not None
    assert "after 3.0 of 8 epochs, place 9 of 9" in late


def test_rules_are_resolved_by_name_several_and_your_own():
    class Mine:
        def verdict(self, curve, others):
            return "enough"

    mine = Mine()
    assert resolve_rules(None) == ()
    assert resolve_rules("median") == (MedianRule(),)
    assert resolve_rules(["forecast", mine]) == (ForecastRule(), mine)
    assert resolve_rules(mine) == (mine,)


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ("medan", "stop: there is no rule 'medan'; did you mean 'median'?"),
        ("never", "stop: there is no rule 'never'; there are forecast, median, diverging, overfitting, halving"),
        (3, "stop must be one of forecast, median, diverging, overfitting, halving, or a rule with a verdict, not 3"),
        (
            [MedianRule],
            (
                "stop must be one of forecast, median, diverging, overfitting, halving, or a rule with a "
                "verdict, not type"
            ),
        ),
    ],
)
def test_what_is_no_rule_is_refused(stop, message):
    with pytest.raises(InvalidInput) as raised:
        resolve_rules(stop)
    assert str(raised.value) == message


def test_a_study_is_told_tenths_of_passes_and_means_so_that_batches_do_not_matter():
    fine = curve(1, fall=0.1, passes=3, noise=0.0)
    coarse = curve(2, fall=0.1, passes=3, batch=4)
    assert reported(fine, 40) == (20, pytest.approx(4.2, rel=0.03))
    assert reported(coarse, 10) == (20, pytest.approx(4.2, rel=0.03))
    assert reported(curve(3, passes=3, held_out=falling(0.1)), 40) == (20, falling(0.1)(2))
    assert reported(PointCurve(number=1, total=None, losses=[(1, 5.0)]), 1) is None


def snapshot(kind, step, loss, metrics=None):
    facts = {"job": "tunedModels/x", "cursor": "", "observed_at": None, "epoch": 1, "compute_time": None}
    return kind(**facts, step=step, mean_loss=loss, metrics=metrics)


def test_a_loss_that_a_service_has_not_said_is_no_loss_that_diverged():
    record = CurveRecord()
    for step in range(1, 9):
        record.take(
            snapshot(events.Snapshot, step, math.nan, SnapshotMetrics(eval_loss=2.0 if step % 4 == 0 else None))
        )
    assert record.losses == ()
    assert record.eval_losses == ((4, 2.0), (8, 2.0))
    assert record.take(snapshot(events.SnapshotUpdated, 3, 1.5, SnapshotMetrics())) == (3,)
    assert record.take(snapshot(events.SnapshotUpdated, 2, 1.7, SnapshotMetrics())) == (2,)
    assert record.losses == ((2, 1.7), (3, 1.5))
    assert record.take(snapshot(events.Snapshot, 9, math.nan)) == (9,)
    assert math.isnan(record.losses[-1][1])


class Says:
    def __init__(self, said):
        self.said = said

    def verdict(self, curve, others):
        return self.said


class SaysLater:
    async def verdict(self, curve, others):
        return None


@pytest.mark.parametrize(
    ("rule", "said"),
    [(Says(True), "Says returned True"), (Says(0.5), "Says returned 0.5"), (SaysLater(), "SaysLater returned <corou")],
)
def test_a_rule_of_the_users_says_why_in_a_string_or_is_refused_by_its_name(rule, said):
    with pytest.raises(InvalidInput, match=f"^stop: the rule {said}.* about point 3; return a string that says why"):
        verdict_of([rule], curve(3), [])


def test_the_first_rule_that_says_something_is_heard():
    assert verdict_of([Says(None), Says(""), Says("enough"), Says("too much")], curve(), []) == "enough"
    assert verdict_of([Says(None), Says("")], curve(), []) is None


def test_what_a_rule_of_the_users_raises_is_raised_as_it_is_with_a_note_that_says_which_rule():
    class Broken:
        def verdict(self, curve, others):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError) as raised:
        verdict_of([Broken()], curve(3), [])
    assert raised.value.__notes__ == ["raised by the stop rule Broken about point 3"]
