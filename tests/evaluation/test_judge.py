"""A model as judge: asked through the batch about pairs of answers, in both orders, and no question twice."""

import json
import threading

import anyio
import pytest

from batch.service import envelope
from evaluation.models import BASE, JUDGE, TUNED, Models, evaluate, judging, says
from gemtune.errors import BatchStopped, InvalidInput, MetricFailed
from gemtune.metrics import judge

pytestmark = [pytest.mark.anyio, pytest.mark.both_backends]

PROMPTS = ["hi", "ho", "ha"]


def longer(a, b):
    return "tie" if len(a) == len(b) else "A" if len(a) > len(b) else "B"


@pytest.fixture
def service():
    made = Models()
    answers = {"hi": "a longer answer", "ho": "x", "ha": "of a len"}
    made.of_models[TUNED] = lambda text: says(answers[text])
    made.of_models[BASE] = lambda text: says("some one")
    made.of_models[JUDGE] = judging(longer)
    return made


async def test_each_pair_is_judged_in_both_orders_and_counts_against_the_baseline(virtual_time, service):
    found = await evaluate(service, data=PROMPTS, metrics=judge(JUDGE))
    assert len(service.asked_of(JUDGE)) == 6
    assert [row.scores["judge"] for row in found.rows] == [
        {"gemini-3.7-flash": 0.5, "abc": 1.0},
        {"gemini-3.7-flash": 0.5, "abc": 0.0},
        {"gemini-3.7-flash": 0.5, "abc": 0.5},
    ]
    report = found["abc"].reports["judge"]
    assert (report.wins, report.losses, report.ties, report.biased) == (1, 1, 1, 0)
    base = found["gemini-3.7-flash"]
    assert "judge" not in base.reports
    assert (base.scores["judge"].value, base.scores["judge"].low, base.scores["judge"].rows) == (0.5, None, 3)
    assert found["abc"].scores["judge"].low is not None
    assert found.compare("abc").rows == 3
    assert [row.row.key for row in found.changed("abc").better] == [1]


async def test_a_judge_that_prefers_a_place_is_no_win(virtual_time, service):
    service.of_models[JUDGE] = judging(lambda a, b: "A")
    found = await evaluate(service, data=PROMPTS, metrics=judge(JUDGE))
    report = found["abc"].reports["judge"]
    assert (report.wins, report.ties, report.biased) == (0, 3, 3)


async def test_answers_that_are_alike_cost_no_question_and_what_two_models_answer_alike_is_asked_once(
    virtual_time, service
):
    service.of_models["tunedModels/twin"] = service.of_models[TUNED]
    service.of_models["tunedModels/same"] = service.of_models[BASE]
    models = [BASE, TUNED, "tunedModels/twin", "tunedModels/same"]
    found = await evaluate(service, models, PROMPTS, metrics=judge(JUDGE))
    assert len(service.asked_of(JUDGE)) == 6
    assert found["twin"].scores == found["abc"].scores
    assert found["same"].reports["judge"].ties == 3


async def test_the_same_call_again_asks_no_judge_and_another_judge_asks_only_its_own(virtual_time, service, tmp_path):
    for _ in range(2):
        found = await evaluate(service, data=PROMPTS, metrics=judge(JUDGE), journal=tmp_path)
    assert len(service.asked_of(JUDGE)) == 6
    assert found.judges["judge"].answered == 6
    strict = judge(JUDGE, criteria="Short is better.", name="strict")
    await evaluate(service, data=PROMPTS, metrics=[judge(JUDGE), strict], journal=tmp_path)
    assert len(service.asked_of(JUDGE)) == 12
    assert len(service.asked_of(BASE)) == 3
    files = json.loads(await anyio.Path(tmp_path, "index.json").read_text())["files"].values()
    assert sorted(each["label"] for each in files if each["holds"] == "verdicts") == ["judge", "strict"]


async def test_an_answer_that_has_changed_is_judged_anew_and_the_rest_is_not(virtual_time, service, tmp_path):
    await evaluate(service, data=PROMPTS, metrics=judge(JUDGE), journal=tmp_path)
    (journal,) = [path async for path in anyio.Path(tmp_path).glob("abc-*.journal")]
    await journal.unlink()
    service.of_models[TUNED] = lambda text: says("a longer answer" if text == "hi" else "new")
    await evaluate(service, data=PROMPTS, metrics=judge(JUDGE), journal=tmp_path)
    assert len(service.asked_of(JUDGE)) == 6 + 4


async def test_what_frames_the_models_prompts_never_reaches_the_judge_and_the_judges_rules_do(virtual_time, service):
    options = {"system_instruction": "Be brief.", "accept": lambda reply: "verdict" not in reply.text}
    found = await evaluate(service, data=PROMPTS, metrics=judge(JUDGE), **options)
    assert found.judges["judge"].failed == 0
    told = {body["systemInstruction"]["parts"][0]["text"][:9] for body in service.bodies}
    assert told == {"Be brief.", "You compa"}
    assert {body.get("generationConfig", {}).get("temperature") for body in service.bodies} == {None, 0}


async def test_a_row_without_two_answers_and_a_verdict_nobody_can_read_have_no_score(virtual_time, service):
    service.of_models[JUDGE] = lambda prompt: says("I would rather not say.")
    found = await evaluate(service, data=PROMPTS, metrics=judge(JUDGE))
    assert found["abc"].reports["judge"].unreadable == 3
    assert [row.scores["judge"]["abc"] for row in found.rows] == [None, None, None]


async def test_what_a_judge_costs_is_said_apart_from_the_models(virtual_time, service):
    found = await evaluate(service, data=PROMPTS, metrics=judge(JUDGE), prices={"": (1, 1), "judge": (1_000_000, 0)})
    assert found.judges["judge"].cost == 6 * 3
    assert found["abc"].prompt_tokens == 9


async def test_progress_counts_what_the_judge_has_answered(virtual_time, service):
    seen = []
    await evaluate(service, data=PROMPTS, metrics=judge(JUDGE), on_progress=seen.append)
    assert {each.total for each in seen} == {12}
    assert seen[-1].models == {"gemini-3.7-flash": 3, "abc": 3, "judge": 6}


async def test_progress_counts_a_judge_apart_from_a_model_of_its_name(virtual_time, service):
    seen = []
    models = {"judge": BASE, "tuned": TUNED}
    await evaluate(service, models, data=PROMPTS, metrics=judge(JUDGE), on_progress=seen.append)
    assert seen[-1].models == {"judge": 3, "tuned": 3, "judge (2)": 6}


async def test_a_judge_that_cannot_be_asked_ends_it_with_the_answers_in_hand(virtual_time, service):
    service.of_models[JUDGE] = envelope(404, "NOT_FOUND", "models/gemini-judge is not found.")
    with pytest.raises(BatchStopped, match="judge: the batch on models/gemini-judge stopped") as stopped:
        await evaluate(service, data=PROMPTS, metrics=judge(JUDGE))
    assert [row.answers["abc"].text for row in stopped.value.evaluation.rows] == ["a longer answer", "x", "of a len"]


async def test_a_function_that_raises_beside_a_judge_costs_no_verdict(virtual_time, service):
    def broken(answer, row):
        raise LookupError

    for metrics, kept in (([judge(JUDGE), broken], ["judge"]), ([broken, judge(JUDGE)], [])):
        with pytest.raises(MetricFailed, match="the metric broken raised") as failed:
            await evaluate(service, data=PROMPTS, metrics=metrics)
        assert [each.name for each in failed.value.evaluation.metrics] == kept
        assert failed.value.evaluation.judges["judge"].answered == 6


async def test_a_judge_needs_somebody_to_compare_with_and_a_client_to_ask_through(virtual_time, service):
    with pytest.raises(InvalidInput, match="give at least two models"):
        await evaluate(service, [BASE], PROMPTS, metrics=judge(JUDGE))
    assert not service.requests
    found = await evaluate(service, data=PROMPTS, metrics=judge(JUDGE))
    with pytest.raises(InvalidInput, match="judge is a model that has to be asked"):
        await found.score(judge(JUDGE))
    with pytest.raises(InvalidInput, match=r"metrics\['judge'\] must"):
        await evaluate(service, data=PROMPTS, metrics=judge(7))


async def test_verdicts_are_not_read_on_the_loop_which_many_of_them_would_hold(virtual_time, service, monkeypatch):
    threads = set()

    def read(reply):
        threads.add(threading.get_ident())
        return "A"

    monkeypatch.setattr("gemtune.metrics.verdicts.read_verdict", read)
    await evaluate(service, data=PROMPTS, metrics=judge(JUDGE))
    assert threads
    assert threading.get_ident() not in threads
