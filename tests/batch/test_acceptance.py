"""What a batch takes for an answer, and what becomes of the rest: asked again now, counted, asked again on resume."""

import anyio
import attrs
import httpx
import pytest

import gemtune
from batch.service import MODEL, Service, answer
from gemtune import errors
from gemtune.batch import read_journal
from gemtune.batch.acceptance import acceptance_of
from gemtune.batch.journal.lines import Record, record_line
from gemtune.protocol.codec import decode
from gemtune.types import FinishReason, GenerateContentResponse

pytestmark = pytest.mark.usefixtures("virtual_time")
JSON = gemtune.GenerationConfig(response_mime_type="application/json")


def reply(reason="STOP", *parts, **more):
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 5}
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason}
    return httpx.Response(200, json={"candidates": [candidate], "usageMetadata": usage} | more)


def blocked():
    return reply(candidates=[], promptFeedback={"blockReason": "SAFETY"})


def cut():
    return reply("MAX_TOKENS", {"text": '{"half": '})


EMPTY = {
    "no part": lambda: reply("STOP"),
    "no content": lambda: httpx.Response(200, json={"candidates": [{"finishReason": "STOP"}]}),
    "no candidate": lambda: httpx.Response(200, json={"usageMetadata": {"promptTokenCount": 3}}),
    "no text in its part": lambda: reply("STOP", {"text": ""}),
    "nothing but thoughts": lambda: reply("STOP", {"text": "hm", "thought": True}),
    "no reason and no part": lambda: httpx.Response(200, json={"candidates": [{"content": {"role": "model"}}]}),
}


async def run(service, prompts, **options):
    async with service.client() as client, client.batch(MODEL, prompts, order="input", **options) as results:
        found = [result async for result in results]
        return found, results.statistics()


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("accept", [None, {"STOP"}, lambda reply: True])
async def test_an_empty_reply_is_asked_again_whatever_is_accepted(empty, accept):
    service = Service()
    service.steps["unlucky"].append(empty)
    found, stats = await run(service, ["good", "unlucky"], accept=accept)
    assert [one.text for one in found] == ["re: good", "re: unlucky"]
    assert (found[1].attempts, stats.requests, stats.without_answer) == (2, 3, 0)


async def test_a_row_that_is_always_empty_fails_with_its_last_reply_and_is_asked_again_on_resume(tmp_path):
    service = Service()
    service.steps["x"].extend([EMPTY["no part"]] * 5)
    journal = tmp_path / "j"
    (first,), stats = await run(service, ["x"], journal=journal)
    assert (first.ok, type(first.error), first.attempts) == (False, errors.NotAccepted, 5)
    assert first.error.reason == first.error.response.finish_reason == "STOP"
    assert (stats.failed, stats.prompt_tokens) == (1, 15)
    assert [type(one.error) for one in read_journal(journal)] == [errors.NotAccepted]
    (second,), _ = await run(service, ["x"], journal=journal)
    assert second.text == "re: x"
    assert [one.text for one in read_journal(journal)] == ["re: x"]


async def test_repeats_are_those_of_the_policy():
    service = Service()
    service.steps["x"].extend([EMPTY["no part"]] * 9)
    (found,), _ = await run(service, ["x"], policy=gemtune.BatchPolicy(repeats=1))
    assert (found.ok, found.attempts) == (False, 2)


@pytest.mark.parametrize(
    ("made", "config", "lacks", "reason"),
    [
        (blocked, None, 1, "SAFETY"),
        (lambda: reply("SAFETY"), None, 1, "SAFETY"),
        (lambda: reply("RECITATION", {"text": "half"}), None, 1, "RECITATION"),
        (cut, JSON, 1, "MAX_TOKENS"),
        (cut, None, 0, "MAX_TOKENS"),
        (lambda: reply("STOP", {"functionCall": {"name": "f"}}), JSON, 0, "STOP"),
        (lambda: answer("x"), JSON, 0, "STOP"),
    ],
)
async def test_by_default_a_reply_without_an_answer_is_counted_and_not_failed(made, config, lacks, reason):
    service = Service()
    service.steps["x"].append(made)
    (found,), stats = await run(service, ["x"], generation_config=config)
    assert (found.ok, found.attempts) == (True, 1)
    assert (stats.done, stats.without_answer, stats.finish_reasons) == (1, lacks, {reason: 1})


@pytest.mark.parametrize(
    "accept", [{"STOP"}, ["STOP"], "STOP", {FinishReason.STOP}, lambda reply: "half" not in reply.text]
)
async def test_the_caller_says_what_is_an_answer(accept):
    service = Service()
    service.steps["x"].append(cut)
    (found,), stats = await run(service, ["x"], accept=accept)
    assert (found.text, found.attempts) == ("re: x", 2)
    assert stats.without_answer == 0


async def test_what_is_accepted_is_an_answer():
    service = Service()
    service.steps["x"].append(cut)
    service.steps["y"].append(blocked)
    found, stats = await run(service, ["x", "y"], accept={"STOP", "MAX_TOKENS", "SAFETY"}, generation_config=JSON)
    assert [one.ok for one in found] == [True, True]
    assert (stats.without_answer, stats.requests) == (0, 2)


async def test_a_blocked_prompt_that_is_not_accepted_fails_at_once():
    service = Service()
    service.steps["x"].append(blocked)
    (found,), _ = await run(service, ["x"], accept={"STOP"})
    assert (found.ok, found.attempts) == (False, 1)
    assert "the prompt was blocked: SAFETY" in str(found.error)


@pytest.mark.parametrize("accept", [{"STOP"}, lambda reply: reply.finish_reason == "STOP"], ids=["set", "function"])
async def test_what_a_journal_holds_and_is_not_accepted_is_asked_again(tmp_path, accept):
    service = Service()
    service.steps["x"].append(cut)
    journal = tmp_path / "j"
    await run(service, ["x", "y"], journal=journal)
    found, stats = await run(service, ["x", "y"], journal=journal, accept=accept, resume="rest")
    assert [(one.key, one.text) for one in found] == [(0, "re: x")]
    assert stats.skipped == 1
    assert [one.text for one in read_journal(journal, order="input")] == ["re: x", "re: y"]
    async with service.client() as client:
        assert [one.text for one in await client.generate_many(MODEL, ["x", "y"], journal=journal)] == [
            "re: x",
            "re: y",
        ]
    assert service.asked.total() == 3


@pytest.mark.parametrize("empty", ["no part", "no candidate", "no text in its part"])
async def test_an_empty_reply_in_a_journal_is_asked_again_whatever_wrote_it(tmp_path, empty):
    service, journal = Service(), tmp_path / "j"
    await run(service, ["x", "y"], journal=journal)
    header, first, second = journal.read_bytes().splitlines(keepends=True)
    record = Record.parse(first)
    held = decode(GenerateContentResponse, EMPTY[empty]().json())
    result = attrs.evolve(record.to_result(), response=held)
    journal.write_bytes(header + record_line(result, None, record.digest) + second)
    found, stats = await run(service, ["x", "y"], journal=journal, resume="rest")
    assert ([one.text for one in found], stats.skipped) == (["re: x"], 1)
    assert [one.text for one in read_journal(journal, order="input")] == ["re: x", "re: y"]


async def test_retry_failed_false_leaves_what_the_journal_holds(tmp_path):
    service = Service()
    service.steps["x"].append(cut)
    await run(service, ["x"], journal=tmp_path / "j")
    options = {"journal": tmp_path / "j", "accept": {"STOP"}, "retry_failed": False}
    found, _ = await run(service, ["x"], resume="rest", **options)
    assert found == []
    (found,), _ = await run(service, ["x"], **options)
    assert (found.replayed, found.text) == (True, '{"half": ')
    assert service.asked.total() == 1


async def fits(reply):
    return True


@pytest.mark.parametrize(
    ("accept", "error"),
    [(lambda reply: 1 / 0, ZeroDivisionError), (lambda reply: fits(reply), errors.InvalidInput)],  # noqa: PLW0108
    ids=["raises", "is to be awaited"],
)
async def test_an_accept_that_breaks_ends_the_run_and_loses_no_reply(tmp_path, accept, error):
    service, journal = Service(), tmp_path / "j"
    async with service.client() as client:
        batch = client.batch(MODEL, ["x", "y", "z"], concurrency=2, journal=journal, accept=accept)
        with pytest.raises(error) as broken:
            await batch.collect()
    assert {one.text for one in broken.value.results} == {"re: x", "re: y"}
    assert {one.text for one in read_journal(journal)} == {"re: x", "re: y"}
    options = {"journal": journal, "accept": lambda reply: reply.text != "re: y", "resume": "rest"}
    found, stats = await run(service, ["x", "y", "z"], **options)
    assert [one.text_or_none for one in found] == [None, "re: z"]
    assert (stats.skipped, service.asked["x"]) == (1, 1)


@pytest.mark.parametrize("wrong", [fits, {"STOPP"}, set(), 3, {3}, "stop", dict])
def test_an_accept_that_cannot_work_is_refused(wrong):
    with pytest.raises(errors.InvalidInput, match="accept"):
        acceptance_of(wrong)


def test_a_finish_reason_of_tomorrow_can_be_accepted():
    assert acceptance_of({FinishReason("NEWER")}).accept == {"NEWER"}


# How many may fail


@pytest.mark.parametrize(("most", "failed"), [(0, 1), (3, 4), (0.1, None), (0.4, None), (None, 60)])
async def test_a_run_ends_once_more_have_failed_than_may(most, failed):
    service = Service(0.1)
    for n in range(60):
        service.steps[f"bad {n}"].append(httpx.Response(400, json={"error": {"message": f"no {n}"}}))
    prompts = [p for n in range(60) for p in (f"good {n}", f"bad {n}")]
    found, error = await until_stopped(service, prompts, concurrency=1, max_failures=most)
    if most is None:
        assert error is None
    else:
        assert "max_failures" in str(error)
        assert isinstance(error.__cause__, errors.BadRequest)
    if failed is None:  # a share says nothing before there are 50
        assert len(found) in {50, 51, 52}
    else:
        assert sum(not one.ok for one in found) == failed


async def until_stopped(service, prompts, **options):
    """Return what a run yielded, and the BatchStopped that ended it, if one did."""
    found = []
    async with service.client() as client, client.batch(MODEL, prompts, **options) as results:
        try:
            async for result in results:
                found.append(result)
        except errors.BatchStopped as error:
            return found, error
    return found, None


async def test_rows_that_cannot_be_asked_count_as_well():
    with pytest.raises(errors.BatchStopped, match="3 items failed, and no more than 2 may"):
        await run(Service(), ["", "", "", "good"], max_failures=2)


@pytest.mark.parametrize("wrong", [-1, 1.5, 0.0, True, "3", float("nan")])
async def test_a_max_failures_that_cannot_work_is_refused(wrong):
    with pytest.raises(errors.InvalidInput, match="max_failures"):
        await run(Service(), [], max_failures=wrong)


WRONG = {"error": {"code": 400, "message": 'Unknown name "maxTokens"', "status": "INVALID_ARGUMENT"}}


async def refused_alike(rows=500, good=(), **options):
    service = Service(0.05)
    service.always = lambda: httpx.Response(400, json=WRONG)
    for one in good:
        service.seconds[one] = 5.0
        service.steps[one].append(answer(one))
    found, error = await until_stopped(service, [*good, *(f"p{n}" for n in range(rows))], **options)
    return service.asked.total(), found, error


@pytest.mark.parametrize("concurrency", [1, 8, "auto"])
async def test_a_run_whose_every_row_is_refused_alike_ends_early_and_says_why(concurrency):
    asked, found, error = await refused_alike(concurrency=concurrency)
    assert asked <= 150
    assert "items in a row were refused alike" in str(error)
    assert "maxTokens" in str(error)
    assert len(found) < asked


async def test_an_answer_that_is_still_under_way_keeps_refusals_the_fault_of_their_rows():
    asked, found, error = await refused_alike(good=["slow"], concurrency=8)
    assert (asked, len(found), error) == (501, 501, None)


async def test_whoever_says_how_many_may_fail_is_believed():
    asked, found, error = await refused_alike(max_failures=1000)
    assert (asked, len(found), error) == (500, 500, None)


@pytest.mark.parametrize("status", [405, 418, 420, 451, 501, 505])
async def test_a_status_that_nobody_has_listed_does_not_burn_the_run(status):
    service = Service(0.05)
    for n in range(10, 500):
        service.steps[f"p{n}"].append(httpx.Response(status, text="no"))
    found, error = await until_stopped(service, [f"p{n}" for n in range(500)], concurrency=1)
    assert (len(found), type(error)) == (59, errors.BatchStopped)


@pytest.mark.parametrize("bad", [1, 12, 50])
async def test_rows_at_the_end_that_always_meet_500_are_given_up_within_two_minutes(bad):
    service = Service(0.1)
    broken = {"error": {"code": 500, "message": "An internal error has occurred.", "status": "INTERNAL"}}
    for n in range(bad):
        service.steps[f"bad {n}"].extend([httpx.Response(500, json=broken)] * 50)
    begun = anyio.current_time()
    found, _ = await run(service, [*["good"] * 30, *(f"bad {n}" for n in range(bad))])
    assert sum(not one.ok for one in found) == bad
    assert anyio.current_time() - begun < 120
