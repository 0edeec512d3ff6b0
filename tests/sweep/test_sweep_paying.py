"""Money is a hard limit of everything that a sweep pays for: the training, and the evaluations that it makes."""

import logging
import os

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtualtime
from gemtune.metrics import judge
from gemtune.sweep import PointState
from gemtune.sweep.running.budget import BudgetLedger, label_of
from gemtune.sweep.running.planning import CreateNext, LeaveOut, SweepSituation, UncreatedPoint, WaitFor, next_step
from sweep.emulated import Gemini, kinds
from sweep.paying import Paying

DEEP = int(os.environ.get("GEMTUNE_DEEP", "1"))
ROWS = [(f"question {at} about item {at * 7}", f"answer {at % 5}") for at in range(40)]
ASKING = (3000.0, 25_000.0)
PRICES = {"per_million": {"": 5000.0}, "asking": ASKING}
TRAINED, LEFT_OUT = PointState.TRAINED, PointState.LEFT_OUT


def asked(**options):
    return {"space": {"epoch_count": [2, 1]}, "metrics": "exact_match", "validation": 0.3, "prices": PRICES} | options


async def plan_of(**options):
    async with Gemini.client(Gemini.app()) as client:
        return await client.sweep(Gemini.base, ROWS, **asked(**options)).plan()


async def run(wire, **options):
    async with Gemini.client(wire.app, wire) as client:
        sweep = client.sweep(Gemini.base, ROWS, **asked(**options))
        async with sweep:
            said = await kinds(sweep)
    return sweep, said


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_what_training_and_evaluations_take_is_counted_and_the_evaluations_are_those_of_the_replies():
    wire = Paying(Gemini.app(), price=ASKING)
    plan = await plan_of()
    sweep, _ = await run(wire, budget=plan.total_cost.high)
    picture = sweep.picture()
    assert [each.state for each in sweep.points] == [TRAINED, TRAINED]
    assert picture.evaluation_cost == pytest.approx(wire.paid)
    assert picture.cost == pytest.approx(plan.cost.high + wire.paid)
    assert picture.cost <= picture.budget
    assert picture.at_most
    assert sum(each.cost for each in sweep.points) < picture.cost  # the base model's is no point's
    assert picture.comparisons


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_a_point_reserves_its_evaluation_together_with_its_training_and_that_of_the_base_comes_before_all():
    plan = await plan_of()
    sweep, _ = await run(Paying(Gemini.app(), price=ASKING), budget=plan.total_cost.high * 0.6)
    assert [each.state for each in sweep.points].count(LEFT_OUT) >= 1
    assert "for the evaluation of the base model apart" in next(each.reason for each in sweep.points if each.reason)
    assert sweep.picture().cost <= sweep.picture().budget


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_where_replies_take_more_than_was_estimated_the_point_keeps_its_training_and_that_is_said():
    plan = await plan_of()
    wire = Paying(Gemini.app(), price=ASKING, dearer=40)
    sweep, said = await run(wire, budget=plan.total_cost.high, objective="loss")
    picture = sweep.picture()
    assert picture.ended
    assert [each.state for each in sweep.points] == [TRAINED, TRAINED]
    assert picture.best is not None  # by the loss, which needs no evaluation
    assert any(kind.startswith("point_not_evaluated") for kind in said)
    assert any("of the budget are left" in each.unevaluated for each in sweep.points)
    assert picture.cost - wire.at_once * wire.dearest <= picture.budget
    assert picture.cost == pytest.approx(plan.cost.high + wire.paid)


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_the_best_is_one_of_those_that_could_be_evaluated_and_the_next_run_with_more_money_evaluates_the_others(
    tmp_path,
):
    plan = await plan_of(space={"epoch_count": [1, 2, 3]})
    wire, more = Paying(Gemini.app(), price=ASKING, dearer=6), {"space": {"epoch_count": [1, 2, 3]}}
    folder = tmp_path / "sweep"
    sweep, _ = await run(wire, budget=plan.total_cost.high, journal=folder, **more)
    short = [each for each in sweep.points if each.unevaluated]
    assert short
    assert all(each.rank is None for each in short)
    if sweep.best is not None:
        assert not sweep.best.unevaluated
    before = wire.paid
    sweep, _ = await run(wire, budget=10 * plan.total_cost.high, journal=folder, **more)
    assert not any(each.unevaluated for each in sweep.points)
    assert sweep.evaluation is not None
    assert sweep.picture().evaluation_cost == pytest.approx(wire.paid)
    assert wire.paid > before
    assert wire.seen["create"] == 3
    assert wire.seen["ask"] <= 4 * len(sweep.evaluation.rows) + 1


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_what_the_journal_of_the_evaluation_holds_was_paid_for_and_counts_in_the_next_run(tmp_path):
    plan, folder = await plan_of(), tmp_path / "sweep"
    wire = Paying(Gemini.app(), price=ASKING)
    first, _ = await run(wire, budget=plan.total_cost.high, journal=folder)
    again, _ = await run(wire, budget=plan.total_cost.high, journal=folder)
    assert again.picture().cost == pytest.approx(first.picture().cost)
    assert again.picture().evaluation_cost == pytest.approx(wire.paid)


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_a_judge_is_paid_from_the_same_budget_and_its_verdicts_count_for_the_point_that_they_are_about():
    options = {"metrics": judge(Gemini.base), "space": {"epoch_count": [1]}}
    plan = await plan_of(**options)
    wire = Paying(Gemini.app(), price=ASKING)
    sweep, _ = await run(wire, budget=plan.total_cost.high, **options)
    picture = sweep.picture()
    assert picture.evaluation_cost == pytest.approx(wire.paid)
    assert picture.cost <= picture.budget
    assert picture.points[0].scores


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_without_a_price_of_asking_the_evaluations_are_not_counted_which_is_said_once(caplog):
    caplog.set_level(logging.WARNING, "gemtune.sweep")
    wire = Paying(Gemini.app(), price=ASKING)
    sweep, _ = await run(wire, budget=1000.0, prices=5000.0)
    (said,) = [each.message for each in caplog.records if each.name == "gemtune.sweep"]
    assert "the prices do not say what asking models/" in said
    assert sweep.picture().evaluation_cost is None
    assert any("are not counted as money" in note for note in sweep.picture().notes)
    assert "are not counted as money" in str(sweep)
    assert "are not counted as money" in sweep._repr_mimebundle_()["text/html"]


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_without_a_budget_the_evaluations_are_counted_all_the_same():
    wire = Paying(Gemini.app(), price=ASKING)
    sweep, _ = await run(wire)
    assert sweep.picture().evaluation_cost == pytest.approx(wire.paid)
    assert "for evaluations)" in str(sweep)
    assert " at most " in str(sweep).splitlines()[1] or "at most" in str(sweep)


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_a_limit_of_tokens_is_one_of_training_tokens_alone():
    plan = await plan_of()
    sweep, _ = await run(Paying(Gemini.app(), price=ASKING, dearer=50), token_budget=plan.tokens.high)
    assert [each.state for each in sweep.points] == [TRAINED, TRAINED]
    assert all(each.scores for each in sweep.points)


def test_an_evaluation_gets_what_is_reserved_and_then_what_nobody_holds_but_nothing_of_others():
    budget = BudgetLedger(money=10.0, price=1e6)
    budget.hold(0, 4.0)
    budget.grant(label_of(0), 2.0)
    assert budget.claim(label_of(0), 2.0) == 2.0
    budget.evaluation(label_of(0)).spent = 2.5  # what was in flight
    assert budget.claim(label_of(0), 2.0) == 2.0
    assert budget.money_used == 8.5
    budget.hold(1, 1.5)
    budget.evaluation(label_of(0)).spent = 4.6
    assert budget.claim(label_of(0), 2.0) == 0.0
    assert BudgetLedger(price=1.0).claim(label_of(0), 2.0) is None


def test_a_point_waits_for_an_evaluation_that_may_give_something_back_and_is_left_out_only_then():
    budget = BudgetLedger(money=10.0, price=1e6)
    budget.grant(label_of(0), 4.0)
    planned = [UncreatedPoint(1, 5.0, 2.0)]
    assert isinstance(next_step(SweepSituation(now=0.0, planned=planned, active=0, evaluating=True), budget), WaitFor)
    assert isinstance(next_step(SweepSituation(now=0.0, planned=planned, active=0), budget), LeaveOut)
    budget.grant(label_of(0), 3.0)
    assert next_step(SweepSituation(now=0.0, planned=planned, active=0), budget) == CreateNext(1)


@st.composite
def money(draw):
    """Points, prices, how wrong the estimate is, how much of the plan may be spent, and where it is killed."""
    epochs = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True))
    price = draw(st.floats(0.0, 1e4)), draw(st.floats(0.0, 1e5))
    kills = draw(st.lists(st.tuples(st.sampled_from(("ask", "create", "look")), st.integers(1, 30)), max_size=2))
    return epochs, price, draw(st.floats(1.0, 30.0)), draw(st.floats(0.05, 2.0)), kills


@pytest.mark.parametrize("backend", [virtualtime.asyncio_backend], ids=["asyncio"])
def test_whatever_it_costs_and_whenever_it_is_killed_no_more_is_paid_than_the_budget_and_what_was_in_flight(
    backend, tmp_path_factory
):
    @settings(max_examples=12 * DEEP)
    @given(money())
    def play_all(drawn):
        async def main():
            await play(drawn, tmp_path_factory.mktemp("paying") / "sweep")

        name, options = backend()
        anyio.run(main, backend=name, backend_options=options)

    play_all()


async def play(drawn, folder):
    epochs, price, dearer, share, kills = drawn
    options = {
        "space": [{"epoch_count": each} for each in epochs],
        "prices": {"per_million": {"": 5000.0}, "asking": price},
    }
    plan = await plan_of(**options)
    wire = Paying(Gemini.app(), price=price, dearer=dearer)
    budget = plan.total_cost.high * share
    for kind, at in kills:
        scope, seen = anyio.CancelScope(), wire.seen[kind]
        wire.trouble = lambda said, count, at=at, kind=kind, seen=seen: (
            "kill after" if (said, count) == (kind, seen + at) else None
        )

        def kill(scope=scope):
            wire.dead = True
            scope.cancel()

        wire.on_kill, wire.dead = kill, False
        with scope:
            await run(wire, budget=budget, journal=folder, **options)
    wire.trouble, wire.dead = (lambda _kind, _count: None), False
    sweep, _ = await run(wire, budget=budget, journal=folder, **options)
    picture = sweep.picture()
    trained = picture.cost - picture.evaluation_cost
    in_flight = wire.at_once * wire.dearest
    assert picture.ended
    assert trained + wire.paid <= budget * (1 + 1e-6) + (len(kills) + 1) * in_flight
    assert picture.cost <= budget * (1 + 1e-6) + (len(kills) + 1) * in_flight
