"""Replies without text, of every kind: each is an empty answer, is scored, and is therefore not asked again."""

import pytest

from batch.test_acceptance import EMPTY, blocked, reply
from evaluation.models import BASE, TUNED, Models, evaluate
from gemtune.batch import read_journal

pytestmark = [pytest.mark.anyio, pytest.mark.both_backends, pytest.mark.usefixtures("virtual_time")]

ROWS = [("hi", "re: hi"), ("ho", "re: ho")]
WITHOUT_TEXT = {
    **EMPTY,
    "the prompt was blocked": blocked,
    "the answer was blocked": lambda: reply("SAFETY"),
    "thoughts took all tokens": lambda: reply("MAX_TOKENS"),
    "a call of a function": lambda: reply("STOP", {"functionCall": {"name": "f"}}),
}
EVERY = pytest.mark.parametrize("made", WITHOUT_TEXT.values(), ids=WITHOUT_TEXT)
ACCEPTED = pytest.mark.parametrize("accept", [None, {"STOP"}, lambda reply: reply.text_or_none], ids=["", "set", "own"])


def service_with(made):
    service = Models()
    service.of_models[TUNED] = lambda text: made() if text == "hi" else None
    return service


@EVERY
@ACCEPTED
async def test_a_reply_without_text_is_scored_and_not_asked_again(made, accept, tmp_path):
    service, options = service_with(made), {} if accept is None else {"accept": accept}
    first = await evaluate(service, data=ROWS, journal=tmp_path, **options)
    assert [first.rows[0].answers["abc"].text, first.rows[0].scores["exact_match"]["abc"]] == ["", 0.0]
    assert (first["abc"].answered, first["abc"].failed) == (2, 0)
    asked = len(service.requests)
    again = await evaluate(service, data=ROWS, journal=tmp_path, **options)
    assert len(service.requests) == asked
    assert [row.scores for row in again.rows] == [row.scores for row in first.rows]
    assert all(answer.replayed for row in again.rows for answer in row.answers.values())
    assert again.rows[0].answers["abc"].finish_reason == first.rows[0].answers["abc"].finish_reason


@pytest.mark.parametrize("made", EMPTY.values(), ids=EMPTY)
async def test_an_empty_reply_is_asked_again_before_it_counts_and_counts_once(made, tmp_path):
    service, seen = service_with(made), []
    options = {"prices": {"": (1_000_000, 0)}, "journal": tmp_path, "max_failures": 0}
    first = await evaluate(service, data=ROWS, on_progress=seen.append, **options)
    assert len(service.asked_of(TUNED)) == 1 + 5
    again = await evaluate(service, data=ROWS, **options)
    assert (again["abc"].prompt_tokens, again["abc"].cost) == (first["abc"].prompt_tokens, first["abc"].cost)
    (journal,) = tmp_path.glob("abc-*.journal")
    assert sum(result.ok for result in read_journal(journal)) == 2
    if "usageMetadata" in (body := made().json()):
        sent = 5 * body["usageMetadata"].get("promptTokenCount", 0) + 5 * body["usageMetadata"].get(
            "candidatesTokenCount", 0
        )
        assert seen[-1].tokens == sent + sum(
            answer.prompt_tokens + answer.output_tokens
            for row in first.rows
            for label, answer in row.answers.items()
            if answer.text
        )


async def test_a_batch_with_the_journal_of_an_evaluation_asks_for_what_is_empty_again(tmp_path):
    service = service_with(EMPTY["no part"])
    await evaluate(service, data=ROWS, journal=tmp_path)
    (journal,) = tmp_path.glob("abc-*.journal")
    service.of_models.clear()
    async with service.client() as client:
        found = await client.batch(TUNED, [*enumerate(["hi", "ho"], 1)], journal=journal).collect()
    assert sorted(one.text for one in found) == ["re: hi", "re: ho"]


async def test_what_has_text_and_is_refused_has_no_score_and_is_asked_again(tmp_path):
    service = Models()
    for _ in range(2):
        found = await evaluate(service, [BASE], ROWS, journal=tmp_path, accept=lambda reply: reply.text != "re: hi")
        assert [row.answers["gemini-3.7-flash"].text for row in found.rows] == [None, "re: ho"]
    assert service.asked_of(BASE).count("ho") == 1
    assert service.asked_of(BASE).count("hi") == 10
