"""Models beside each other on held-out rows: who is asked what, and what is made of the answers."""

import json
from collections import Counter

import anyio
import httpx
import pytest

import gemtune
from batch.service import envelope, quota
from both import OnGemini, make_world
from evaluation.models import BASE, ROWS, TUNED, Models, evaluate
from gemtune.batch import read_journal
from gemtune.errors import BatchStopped, DeadlineExceeded, InvalidInput, JournalError, JournalMismatch
from gemtune.evaluation.folder import JournalFolder

pytestmark = [pytest.mark.anyio, pytest.mark.both_backends]


async def test_every_model_answers_every_row_and_is_compared_with_the_first(virtual_time):
    service = Models()
    found = await evaluate(service)
    assert [each.label for each in found.models] == ["gemini-3.7-flash", "abc"]
    assert found.baseline == "gemini-3.7-flash"
    assert found["abc"].scores["exact_match"].value == pytest.approx(2 / 3)
    assert [row.answers["abc"].text for row in found.rows] == ["re: hi", "re: ho", "re: ha"]
    assert sorted(service.requests) == sorted((model, text) for model in (BASE, TUNED) for text, _ in ROWS)


async def test_models_are_asked_at_once_within_one_limit(virtual_time):
    service = Models(seconds=1.0)
    rows = [(f"q{n}", "a") for n in range(10)]
    await evaluate(service, data=rows, concurrency=4)
    assert service.peak == 4
    assert {model for model, _ in service.requests[:4]} == {BASE, TUNED}
    assert virtual_time() < 6  # 20 requests, 4 at a time


async def test_the_clients_own_limiter_is_the_limit_if_nothing_else_is_said(virtual_time):
    service = Models()
    async with service.client(limiter=gemtune.Limiter(concurrency=2)) as client:
        await client.evaluate([BASE, TUNED], [(f"q{n}", "a") for n in range(6)])
    assert service.peak == 2


async def test_a_reply_without_text_is_an_empty_answer_and_an_item_that_failed_has_no_score(virtual_time):
    service = Models()
    blocked = httpx.Response(200, json={"promptFeedback": {"blockReason": "SAFETY"}})
    empty = httpx.Response(200, json={"candidates": [{"finishReason": "STOP"}]})
    refused = envelope(400, "INVALID_ARGUMENT", "no such thing")
    steps = {"hi": blocked, "ho": refused, "ha": empty}
    service.of_models[TUNED] = steps.get
    found = await evaluate(service)
    first, second, third = (row.answers["abc"] for row in found.rows)
    assert (first.text, first.finish_reason, first.error) == ("", "SAFETY", "")
    assert (third.text, third.finish_reason, third.error) == ("", "STOP", "")
    assert second.text is None
    assert "no such thing" in second.error
    assert [row.scores["exact_match"]["abc"] for row in found.rows] == [0.0, None, 0.0]
    assert (found["abc"].answered, found["abc"].failed, found["abc"].scores["exact_match"].rows) == (2, 1, 2)
    assert found.compare("abc").rows == 2


async def test_what_frames_the_prompts_is_sent_with_every_one_and_a_rows_own_wins(virtual_time):
    service = Models()
    chat = {
        "systemInstruction": {"parts": [{"text": "own"}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "ho"}]}],
    }
    await evaluate(service, [BASE], [chat], system_instruction="shared")
    await evaluate(service, [BASE], [("hi", "ho")], system_instruction="shared")
    assert [body["systemInstruction"]["parts"][0]["text"] for body in service.bodies] == ["own", "shared"]


async def test_labels_are_short_and_unlike_each_other_and_may_be_given(virtual_time):
    service = Models()
    found = await evaluate(service, [BASE, TUNED, "gemini-3.7-flash"])
    assert [each.label for each in found.models] == ["gemini-3.7-flash", "abc", "gemini-3.7-flash (2)"]
    assert len(service.requests) == 9  # a model that is given twice is asked twice
    found = await evaluate(service, {"old": BASE, "new": TUNED}, baseline="new")
    assert [each.label for each in found.models] == ["old", "new"]
    assert found.compare("old").other == "new"


async def test_a_single_model_needs_no_list(virtual_time):
    found = await evaluate(Models(), BASE)
    assert [each.label for each in found.models] == ["gemini-3.7-flash"]


# Journals


async def test_the_same_call_again_asks_nothing_and_finds_the_same(virtual_time, tmp_path):
    service = Models()
    first = await evaluate(service, journal=tmp_path / "run")
    again = await evaluate(service, journal=tmp_path / "run")
    assert len(service.requests) == 6
    assert [row.answers["abc"].text for row in again.rows] == [row.answers["abc"].text for row in first.rows]
    assert all(answer.replayed for row in again.rows for answer in row.answers.values())
    assert (again["abc"].latency, again["abc"].prompt_tokens) == (None, first["abc"].prompt_tokens)


async def test_other_metrics_and_more_rows_and_models_cost_what_is_new(virtual_time, tmp_path):
    service = Models()
    await evaluate(service, [BASE], journal=tmp_path)
    found = await evaluate(
        service, [TUNED, BASE], [*ROWS, ("hu", "re: hu")], metrics=["contains", len_of], journal=tmp_path
    )
    assert sorted(service.requests[3:]) == sorted([(BASE, "hu")] + [(TUNED, text) for text in ("hi", "ho", "ha", "hu")])
    assert [each.name for each in found.metrics] == ["contains", "len_of"]
    assert found["abc"].scores["len_of"].value == 6


def len_of(answer, row):
    return len(answer)


async def test_another_label_is_the_same_model_to_a_journal(virtual_time, tmp_path):
    service = Models()
    await evaluate(service, {"a": BASE, "b": BASE}, journal=tmp_path)
    await evaluate(service, {"c": BASE, "d": BASE}, journal=tmp_path)
    assert len(service.requests) == 6


async def test_other_rows_and_another_configuration_are_refused_by_name(virtual_time, tmp_path):
    service = Models()
    await evaluate(service, [BASE], journal=tmp_path)
    with pytest.raises(
        JournalMismatch, match="gemini-3.7-flash: row 1, key 1.* was answered before with another content"
    ):
        await evaluate(service, [BASE], [("other", "re: other")], journal=tmp_path)
    with pytest.raises(JournalMismatch, match="system instruction"):
        await evaluate(service, [BASE], system_instruction="Be brief.", journal=tmp_path)
    assert len(service.requests) == 3


async def test_an_index_says_what_belongs_to_which_file(virtual_time, tmp_path):
    await evaluate(Models(), {"base": BASE}, journal=tmp_path)
    await evaluate(Models(), {"tuned": TUNED}, journal=tmp_path)
    index = json.loads(await anyio.Path(tmp_path, "index.json").read_text())
    files = index["files"]
    assert {(each["label"], each["model"], each["holds"]) for each in files.values()} == {
        ("base", BASE, "answers"),
        ("tuned", TUNED, "answers"),
    }
    assert sorted(files) == sorted([path.name async for path in anyio.Path(tmp_path).glob("*.journal")])
    for name in files:
        assert [result.key for result in read_journal(tmp_path / name, order="input")] == [1, 2, 3]


async def test_an_index_that_somebody_has_spoilt_is_written_anew(virtual_time, tmp_path):
    for spoilt in ("[]", "", "not JSON"):
        await evaluate(Models(), {"base": BASE}, journal=tmp_path)
        assert json.loads(await anyio.Path(tmp_path, "index.json").read_text())["files"]
        await anyio.Path(tmp_path, "index.json").write_text(spoilt)
    await evaluate(Models(), {"tuned": TUNED}, journal=tmp_path)
    assert json.loads(await anyio.Path(tmp_path, "index.json").read_text())["files"]


async def test_somebody_elses_index_is_left_alone_and_nothing_is_asked(virtual_time, tmp_path):
    service, theirs = Models(), '{"name": "a site", "routes": []}'
    await anyio.Path(tmp_path, "index.json").write_text(theirs)
    with pytest.raises(InvalidInput, match=r"holds index\.json, which is of no evaluation"):
        await evaluate(service, journal=tmp_path)
    assert [path.name async for path in anyio.Path(tmp_path).iterdir()] == ["index.json"]
    assert await anyio.Path(tmp_path, "index.json").read_text() == theirs
    assert service.requests == []


async def test_a_file_in_the_place_of_the_folder_is_refused(virtual_time, tmp_path):
    await anyio.Path(tmp_path, "file").write_text("")
    with pytest.raises(InvalidInput, match="is a file, and the journal of an evaluation is a folder"):
        await evaluate(Models(), journal=tmp_path / "file")
    with pytest.raises(JournalError, match="cannot be made"):
        await evaluate(Models(), journal=tmp_path / "file" / "below")
    with pytest.raises(InvalidInput, match="journal must be the path of a folder"):
        await evaluate(Models(), journal=7)


# What goes wrong


async def test_a_model_that_does_not_exist_ends_it_and_is_named_and_the_others_finish_what_is_in_flight(
    virtual_time, tmp_path
):
    service = Models(seconds=5.0)
    service.of_models["tunedModels/nobody"] = envelope(
        404, "NOT_FOUND", "Tuned model tunedModels/nobody does not exist."
    )
    service.seconds["gone"] = 1.0
    rows = [("gone", "x"), *[(f"q{n}", "x") for n in range(30)]]
    with pytest.raises(BatchStopped, match=r"nobody.*stopped") as stopped:
        await evaluate(service, [BASE, "tunedModels/nobody"], rows, journal=tmp_path, concurrency=8)
    base = stopped.value.evaluation["gemini-3.7-flash"]
    assert 0 < base.answered < 31
    asked = sum(model == BASE for model, _ in service.requests)
    assert base.answered == asked, "in flight, and given up"
    del service.of_models["tunedModels/nobody"]
    await evaluate(service, [BASE, "tunedModels/nobody"], rows, journal=tmp_path, concurrency=8)
    assert sum(model == BASE for model, _ in service.requests) == 31


async def test_a_quota_of_the_day_ends_it_and_the_same_call_continues(virtual_time, tmp_path):
    service = Models()
    service.steps["ho"].append(lambda: quota("GenerateRequestsPerDayPerProjectPerModel"))
    with pytest.raises(BatchStopped):
        await evaluate(service, [BASE], journal=tmp_path, concurrency=1)
    found = await evaluate(service, [BASE], journal=tmp_path, concurrency=1)
    assert service.asked == {"hi": 1, "ho": 2, "ha": 1}
    assert found["gemini-3.7-flash"].answered == 3


async def test_a_budget_holds_for_all_models_together(virtual_time, tmp_path):
    service = Models()
    rows = [(f"q{n}", "x") for n in range(50)]
    price = (1_000_000, 0)  # each answer has 3 tokens in its prompt
    with pytest.raises(BatchStopped, match="the evaluation stopped: its budget is used up") as stopped:
        await evaluate(service, data=rows, budget=60, prices=price, concurrency=2, journal=tmp_path)
    spent = sum(each.cost for each in stopped.value.evaluation.models)
    assert 60 <= spent <= 60 + 2 * 3
    # What the first run has paid for is not paid for again.
    found = await evaluate(service, data=rows, budget=250, prices=price, concurrency=2, journal=tmp_path)
    assert len(service.requests) == 100
    assert sum(each.cost for each in found.models) == 300


async def test_time_that_runs_out_ends_all_of_it(virtual_time):
    service = Models(seconds=60)
    with pytest.raises(DeadlineExceeded, match="^the evaluation was not done within 90 s$"):
        await evaluate(service, concurrency=1, timeout=90)
    assert virtual_time() == pytest.approx(90, abs=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"baseline": "nobody"}, "baseline must be one of 'gemini-3.7-flash', 'abc', not 'nobody'"),
        ({"models": []}, "models is empty"),
        ({"models": 7}, "models must be a model, several, or a dict"),
        ({"models": {"": BASE}}, "models: a label must be a string that is not empty, not ''"),
        ({"models": {5: BASE}}, "models: a label must be a string that is not empty, not 5"),
        ({"journal": "a\0b"}, "journal must be the path of a folder"),
        ({"models": [BASE, 7]}, "models must be a name or an object that has one, not 7"),
        ({"models": {"a": "not a model"}}, r"models\['a'\] must look like"),
        ({"metrics": "nonsense"}, "metrics has no 'nonsense'"),
        ({"metrics": []}, "metrics is empty"),
        ({"data": ["a question"]}, "data: no row has an expected answer, with which exact_match compares"),
        ({"data": [("a", "b"), {"prompt": "c"}]}, "1 of 2 rows, the first in row 2, have no expected answer"),
        ({"data": [("a", "b")], "metrics": "number"}, "data: no row expects a number, which is what number compares"),
        (
            {"data": [("a", "b")], "metrics": "json_equal"},
            "data: no row expects JSON, which is what json_equal",
        ),
        ({"budget": 5}, "budget: without prices"),
        ({"budget": 0, "prices": (1, 2)}, "budget must be a positive"),
        ({"prices": 5}, "prices"),
        ({"prices": {"other": (1, 2)}}, "no price for gemini-3.7-flash"),
        ({"temperature": 1}, "an evaluation has no argument temperature"),
        ({"on_progress": 5}, "on_progress must be a plain function"),
        ({"on_progress": evaluate}, "on_progress must be a plain function"),
        ({"models": {"a": BASE}, "baseline": "b"}, "baseline must be one of 'a', not 'b'"),
        ({"accept": 5}, "accept must be"),
        ({"concurrency": 5, "limiter": gemtune.Limiter()}, "give a limiter or concurrency, not both"),
        ({"concurrency": 0}, "concurrency"),
        ({"timeout": -1}, "timeout must be"),
        ({"limit": -1}, "limit must be"),
        ({"budget": 5, "prices": (1, 2), "engine": "server"}, "budget is kept by an evaluation that asks from here"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_asked(virtual_time, options, said):
    service = Models()
    with pytest.raises(InvalidInput, match=said):
        await evaluate(service, **options)
    assert not service.requests


# Progress


async def test_the_progress_says_how_far_each_model_is(virtual_time):
    service = Models(seconds=1.0)
    service.of_models[TUNED] = {"ho": envelope(400, "INVALID_ARGUMENT")}.get
    seen = []
    await evaluate(service, concurrency=2, on_progress=seen.append)
    assert (seen[0].done, seen[0].total) == (0, 6)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert any(0 < each.done < 6 and each.in_flight == 2 and each.held_back for each in seen)
    last = seen[-1]
    assert last.ended
    assert (last.done, last.failed, last.models) == (6, 1, {"gemini-3.7-flash": 3, "abc": 3})
    assert last.held_back == ""
    assert [each.ended for each in seen].count(True) == 1


async def test_a_progress_that_raises_ends_it_with_its_own_error(virtual_time):
    def broken(progress):
        if progress.done:
            raise LookupError("not mine")

    with pytest.raises(LookupError, match="not mine"):
        await evaluate(Models(), concurrency=1, on_progress=broken)


async def test_whatever_ends_it_holds_what_was_paid_for(virtual_time, tmp_path, monkeypatch):
    def broken_answer(reply):
        if reply.text == "re: ha":
            raise LookupError("not mine")
        return True

    def broken_while(progress):
        if progress.done:
            raise LookupError("not mine")

    def broken_end(progress):
        if progress.ended:
            raise LookupError("not mine")

    for options, answered in (({"accept": broken_answer}, 2), ({"on_progress": broken_while}, 1)):
        with pytest.raises(LookupError, match="not mine") as ended:
            await evaluate(Models(), [BASE], concurrency=1, **options)
        assert ended.value.evaluation["gemini-3.7-flash"].answered >= answered
    with pytest.raises(LookupError, match="not mine") as ended:
        await evaluate(Models(), on_progress=broken_end)
    assert ended.value.evaluation["abc"].scores["exact_match"].rows == 3

    def full(folder):
        if any(folder.path.glob("*.journal")):
            raise JournalError("the disk is full")

    monkeypatch.setattr(JournalFolder, "write_index", full)
    with pytest.raises(JournalError) as full_disk:
        await evaluate(Models(), journal=tmp_path)
    assert full_disk.value.evaluation["abc"].scores["exact_match"].rows == 3


async def test_what_waits_for_a_job_says_so_and_may_run_out_of_time(virtual_time):
    seen = []
    app = make_world(step_seconds=100)
    async with OnGemini.client(app) as client:
        job = await OnGemini.tune(client)
        with pytest.raises(DeadlineExceeded, match=r"not done within 30 s: it was waiting for the end of jobs"):
            await client.evaluate(job, [("one", "I")], on_progress=seen.append, timeout=30)
        assert {(each.total, each.held_back) for each in seen} == {(None, "waiting for the end of jobs")}
        assert len(seen) == pytest.approx(30 / 0.25, abs=3)

        def broken(progress):
            raise LookupError("not mine")

        with pytest.raises(LookupError, match="not mine"):
            await client.evaluate(job, [("one", "I")], on_progress=broken)
        assert not job.done


# Cancelled


async def test_cancelled_at_any_moment_it_leaves_whole_journals(virtual_time, tmp_path):
    service = Models(seconds=1.0)
    rows = [(f"q{n}", f"re: q{n}") for n in range(8)]
    for _ in range(7):
        with anyio.move_on_after(1.7):
            await evaluate(service, data=rows, concurrency=4, journal=tmp_path)
    found = await evaluate(service, data=rows, concurrency=4, journal=tmp_path)
    assert [each.answered for each in found.models] == [8, 8]
    # Each time up to 4 requests were in flight, and no answer that came was asked for again.
    assert len(service.requests) <= 16 + 7 * 4
    assert service.answered == 16


async def test_what_accept_refused_was_paid_for(virtual_time):
    found = await evaluate(Models(), accept=lambda reply: False, prices={"": (1_000_000, 0)})
    assert (found["abc"].answered, found["abc"].failed) == (0, 3)
    assert found["abc"].prompt_tokens > 0
    assert found["abc"].cost == found["abc"].prompt_tokens


async def test_a_budget_counts_replies_that_were_refused_and_asked_again(virtual_time):
    service, seen = Models(), Counter()

    def second_only(reply):
        seen[reply.text] += 1
        return seen[reply.text] > 1

    rows = [(f"q{n}", "x") for n in range(50)]
    # Each reply costs 3, each answer 6.
    with pytest.raises(BatchStopped, match=r"its budget is used up \(6. of 60"):
        await evaluate(service, BASE, rows, accept=second_only, prices={"": (1_000_000, 0)}, budget=60, concurrency=2)
    assert 20 <= len(service.requests) <= 25
