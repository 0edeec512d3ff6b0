"""What a plan says of training and evaluation, and by which prices."""

from functools import partial
from pathlib import Path

import pytest

from drawn import same
from gemtune.datasets import PriceList
from gemtune.errors import InvalidInput
from gemtune.metrics import judge
from gemtune.sweep.running.asking import EvaluationCosts, QuestionWeight
from sweep.emulated import ROWS, Gemini

pytestmark = pytest.mark.anyio
check = partial(same, folder=Path(__file__).parent / "screens")
LISTED = {"per_million": {"": 500.0}, "asking": (30, 250), "date": "2026-11-28"}
PLANS = {
    "with-evaluation": {"metrics": "exact_match", "prices": LISTED, "budget": 7.0},
    "without-a-price-of-asking": {"metrics": "exact_match", "prices": 500.0, "budget": 7.0},
    "with-training-alone": {"objective": "loss", "validation": None, "prices": 500.0, "budget": 1.9},
    "without-prices": {"metrics": judge("models/gemini-2.5-flash")},
}


async def plan_of(**options):
    async with Gemini.client(Gemini.app()) as client:
        wanted = {"space": {"epoch_count": [2, 4], "batch_size": [4]}, "validation": 0.25} | options
        return await client.sweep(Gemini.base, ROWS * 4, **wanted).plan()


@pytest.mark.parametrize("name", PLANS)
async def test_a_plan_says_training_and_evaluation_apart_and_together(name):
    check(f"plan-{name}", str(await plan_of(**PLANS[name])))


async def test_the_sum_is_that_of_training_and_of_every_model_that_is_evaluated():
    plan = await plan_of(**PLANS["with-evaluation"])
    assert plan.evaluated == 3  # two points, and the base model
    assert plan.total_cost.high == pytest.approx(plan.cost.high + plan.evaluation_cost.high)
    assert plan.evaluation_cost.high == pytest.approx(
        (plan.input_tokens.high * 30 + plan.output_tokens.high * 250) / 1e6
    )
    assert plan.to_dict()["total_cost"]["high"] == plan.total_cost.high


async def test_the_points_within_a_budget_leave_room_for_their_evaluation_and_for_that_of_the_base_model():
    plan = await plan_of(**PLANS["with-evaluation"])
    most = plan.total_cost.high
    asked = PLANS["with-evaluation"]
    assert (await plan_of(**asked | {"budget": most})).within == 2
    assert (await plan_of(**asked | {"budget": most * 0.99})).within == 1
    assert (await plan_of(**asked | {"prices": 500.0, "budget": plan.cost.high})).within == 2


def test_a_prompt_has_all_turns_but_the_last_and_the_longer_answer_is_the_expected_one():
    def turn(role, text):
        return {"role": role, "parts": [{"text": text}]}

    talk = {
        "contents": [turn("user", "a" * 10), turn("model", "b" * 20), turn("user", "c" * 30), turn("model", "d" * 4)]
    }
    pair = {
        "contents": [turn("user", "a" * 40)],
        "completions": [{"completion": turn("model", "b" * 8)}, {"completion": turn("model", "c" * 80)}],
    }
    weight = QuestionWeight.of([talk, pair])
    assert (weight.rows, weight.asked.value, weight.expected.value) == (2, 25.0, 21.0)
    assert weight.answers(16).high == weight.expected.high * 4
    assert weight.answers(250).high == 500


def test_a_tuned_model_costs_what_its_base_costs_and_a_judge_what_the_judge_costs():
    weight = QuestionWeight.of([{"contents": [{"role": "user", "parts": [{"text": "a" * 40}]}] * 2}])
    listed = PriceList(per_million={"": 1.0}, asking={"tuned": (1, 2), "wise": (3, 4)})
    found = EvaluationCosts.of(weight, [judge("models/wise")], "models/tuned", compares=False, prices=listed)
    assert found.prices == {"": (1.0, 2.0), "judge": (3.0, 4.0)}
    assert found.asks_base
    other = EvaluationCosts.of(weight, [judge("models/unknown")], "models/tuned", compares=False, prices=listed)
    assert (other.counted, other.missing) == (False, ("models/unknown",))


@pytest.mark.parametrize("given", [5, (1,), (1, "2"), {"gemini": 5}, (-1, 2)])
def test_the_price_of_asking_is_a_pair_or_pairs_by_model(given):
    with pytest.raises(InvalidInput, match="asking is the price of a million input tokens and of a million output"):
        PriceList(per_million={"": 1.0}, asking=given)


def test_the_price_of_asking_is_that_of_all_models_or_of_one():
    assert PriceList.of({"per_million": {"": 1.0}, "asking": [0.3, 2.5]}).asking_of("models/any") == (0.3, 2.5)
    assert PriceList.of({"per_million": {"": 1.0}, "asking": {"input": 1, "output": 2}}).asking_of("any") == (1.0, 2.0)
    assert PriceList.of(5.0).asking_of("models/any") is None
