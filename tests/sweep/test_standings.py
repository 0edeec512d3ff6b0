"""What is kept for the rules says the same as all curves would, at a cost that does not grow with the points."""

import math
import random

import pytest

from gemtune import events
from gemtune.datasets import Interval
from gemtune.sweep import PointState, SweepPoint
from gemtune.sweep.chooser import PointCurve
from gemtune.sweep.curves import LossTrack
from gemtune.sweep.rules import RULES
from gemtune.sweep.running.board import SweepBoard
from gemtune.sweep.running.budget import BudgetLedger, PointCosts
from gemtune.sweep.running.record import CurveRecord, PointRecord
from gemtune.sweep.standings import LowestPlace
from gemtune.types import Hyperparameters
from gemtune.types.training import SnapshotMetrics

FACTS = {"job": "tunedModels/x", "cursor": "", "observed_at": None}
EPOCHS = (2, 4, 8, None)


def board_of(count):
    costs = PointCosts(once=Interval(1, 1, 1))
    board = SweepBoard(
        title="", base_model="models/x", objective="loss", better="lower", budget=BudgetLedger(), costs=costs
    )
    for number in range(count):
        point = SweepPoint(number=number, values={}, hyperparameters=Hyperparameters())
        board.records[number] = PointRecord(point, f"job-{number}", epochs=EPOCHS[number % len(EPOCHS)])
        board.records[number].curve.total = 40
    return board


def snapshot(step, loss, measured=None):
    metrics = SnapshotMetrics(eval_loss=measured) if measured is not None else None
    return events.Snapshot(**FACTS, step=step, mean_loss=loss, epoch=1, compute_time=None, metrics=metrics)


def plain(record):
    """The curve of a record in lists that nobody has kept."""
    seen = record.seen()
    return PointCurve(
        number=seen.number, total=seen.total, losses=sorted(seen.losses), eval_losses=sorted(seen.eval_losses),
        epochs=seen.epochs, ended=seen.ended,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_every_rule_says_of_what_is_kept_what_it_says_of_plain_curves(seed):
    dice, board, said = random.Random(seed), board_of(9), 0
    falls = [dice.uniform(-0.02, 0.15) for _ in board.records]
    for _ in range(330):
        number = dice.randrange(9)
        record = board.records[number]
        step = record.curve.completed + 1
        if dice.random() < 0.01:
            record.take(events.Restarted(**FACTS, attempt=2))
        elif step > 40:
            record.state = PointState.TRAINED
        else:
            loss = math.nan if dice.random() < 0.02 else 5 * math.exp(-falls[number] * step) * dice.uniform(0.8, 1.2)
            late = dice.random() < 0.05  # out of order, or once more with another value
            at = max(step - 3, 1) if late else step
            measured = (1 + abs(at - 12) * falls[number]) * dice.uniform(0.8, 1.2)
            record.take(snapshot(at, loss, measured if at % 2 == 0 or late else None))
        board.see(record)
        begun = [plain(each) for each in board.records.values() if each is not record and each.curve.completed]
        assert sorted(each.number for each in board.curves(record)) == [each.number for each in begun]
        for rule in (kind() for kind in RULES.values()):
            verdict = rule.verdict(record.seen(), board.curves(record))
            assert verdict == rule.verdict(plain(record), begun)
            said += verdict is not None
    assert said > 20


def test_a_value_that_comes_late_or_again_stands_in_its_place():
    curve = CurveRecord()
    for step, loss, measured in [(2, 2.0, None), (1, 1.0, None), (4, 4.0, 0.4), (3, 3.0, 0.3), (4, 9.0, 0.5)]:
        curve.take(snapshot(step, loss, measured))
    assert curve.losses == ((1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0))
    assert curve.eval_losses == ((3, 0.3), (4, 0.5))


def looks_per_value(points, name):
    """How often a rule looks at a curve for each new value, if a fourth of the points has ended and all others run."""
    looks, board = 0, board_of(points)

    def counted(inner):
        def call(*given, **options):
            nonlocal looks
            looks += 1
            return inner(*given, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LossTrack, "level", counted(LossTrack.level))
        patch.setattr(LowestPlace, "of", counted(LowestPlace.of))
        values = 0
        for record in sorted(board.records.values(), key=lambda each: each.number % 4):
            for step in range(1, 41):
                loss = 5 * math.exp(-0.05 * step)
                record.take(snapshot(step, loss, 1 + abs(step - 9) / 5))
                board.see(record)
                RULES[name]().verdict(record.seen(), board.curves(record))
                values += 1
            record.state = PointState.TRAINED if record.number % 4 == 0 else record.state
            board.see(record)
    return looks / values


@pytest.mark.parametrize("name", ["forecast", "overfitting", "diverging", "halving"])
def test_a_value_costs_no_more_looks_at_curves_with_eight_times_the_points(name):
    assert looks_per_value(64, name) <= 1.1 * looks_per_value(8, name)
