"""Figures and estimates: exact where they can be, honest about the rest."""

import json
import random
import statistics
import tracemalloc
from collections import Counter

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune import Client
from gemtune.datasets import PriceList, check, estimate, estimate_with, stats
from gemtune.datasets.review.counted import extrapolated
from gemtune.datasets.review.figures import distribution
from gemtune.datasets.review.tokens import Characters
from gemtune.emulator import running_emulator
from gemtune.errors import InvalidInput


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60))
def test_a_distribution_is_that_of_its_numbers(numbers):
    found = distribution(Counter(numbers))
    ordered = sorted(numbers)
    assert (found.sum, found.min, found.max) == (sum(numbers), ordered[0], ordered[-1])
    assert found.mean == pytest.approx(statistics.mean(numbers))
    assert found.median == statistics.median_low(numbers)
    assert found.p5 == ordered[-(-len(ordered) * 5 // 100) - 1]
    assert found.p95 == ordered[-(-len(ordered) * 95 // 100) - 1]


def test_figures_count_what_the_model_reads_and_says():
    call = {"functionCall": {"name": "f", "args": {}}}
    found = stats(
        [
            {
                "systemInstruction": {"parts": [{"text": "1234"}]},
                "contents": [
                    {
                        "role": "user",
                        "parts": [{"text": "12345678"}, {"fileData": {"mimeType": "i/p", "fileUri": "gs://b/a"}}],
                    },
                    {"role": "model", "parts": [call]},
                ],
            },
            {"contents": [{"role": "user", "parts": [{"text": "漢字"}]}, {"role": "model", "parts": [{"text": "12"}]}]},
        ]
    )
    assert (found.examples, found.files, found.with_system) == (2, 1, 1)
    assert found.input_characters.sum == 4 + 8 + 2
    assert found.output_characters.max == len(json.dumps(call))
    assert found.turns.sum == 4
    assert "half" in str(found)
    assert ">sum</th>" in found._repr_mimebundle_()["text/html"]


def test_wrong_rows_count_for_nothing():
    assert stats([("a", "b"), ("a", "")]).examples == 1
    assert estimate([("a", "b"), ("a", "")]).examples == 1


@given(st.text(max_size=40))
def test_a_guess_lies_within_its_limits(text):
    characters = Characters.of(text)
    assert characters.count == len(text)
    tokens = characters.tokens()
    assert tokens.low <= tokens.value <= tokens.high <= len(text)


def test_an_estimate_says_how_it_is_known_and_invents_no_price():
    data = [("a" * 3600, "b" * 400)] * 10
    found = estimate(data)
    assert (found.tokens.value, found.cost, found.billed_tokens, found.steps) == (10_000, None, None, None)
    assert "no price is built in" in str(found)
    assert "rule of thumb" in str(found)
    found = estimate(data, epochs=3, batch_size=4, prices=5.0)
    assert (found.billed_tokens.value, found.steps) == (30_000, 9)
    assert found.cost.value == pytest.approx(0.15)
    assert str(found).splitlines() == [
        "10 examples, 10,000 (6,667 to 16,000) tokens (by a rule of thumb, four characters to a token)",
        "3 epochs: 30,000 (20,000 to 48,000) tokens are billed",
        "9 steps",
        "cost: 0.15 (0.10 to 0.24) USD, by the prices you gave",
    ]
    assert json.loads(json.dumps(found.to_dict()))["steps"] == 9


def test_a_price_list_is_found_by_the_model_and_repeats_its_date(tmp_path):
    listed = PriceList(per_million={"gemini-2.5-flash": 5}, date="2026-11-28", source="the price page")
    found = estimate([("a" * 4_000_000, "b")], model="models/gemini-2.5-flash", epochs=1, prices=listed)
    assert found.cost.value == pytest.approx(5.0, rel=1e-3)
    assert "by the prices you gave (2026-11-28, the price page)" in str(found)
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(attrs.asdict(listed)))
    assert PriceList.of(file) == listed
    for wrong in ({"x": 1}, {"per_million": 1}, {"per_million": {"a": "b"}}):
        file.write_text(json.dumps(wrong))
        with pytest.raises(InvalidInput, match="prices"):
            PriceList.of(file)
    with pytest.raises(InvalidInput, match="no price for other, only for gemini"):
        estimate([("a", "b")], model="other", prices=listed)
    with pytest.raises(InvalidInput, match="is no number"):
        estimate([("a", "b")], prices=float("nan"))


def test_in_preference_pairs_the_prompt_counts_twice():
    data = [{"prompt": "a" * 400, "chosen": "b" * 40, "rejected": "c" * 40}]
    found = estimate(data, epochs=2)
    assert found.tokens.value == 120
    assert found.billed_tokens.value == pytest.approx(2 * 220)


def test_several_answers_in_one_chat_are_said_to_cost_more_perhaps():
    turns = [{"role": role, "content": "a" * 400} for role in ("user", "assistant", "user", "assistant")]
    assert any("300 tokens come on top" in note for note in estimate([{"messages": turns}]).notes)


def test_an_interval_from_a_sample_holds_the_truth_in_nine_cases_of_ten():
    dice, held = random.Random(1), 0
    for _ in range(500):
        sizes = [dice.randint(10, 2000) for _ in range(60)]
        tokens = [round(size * dice.uniform(0.2, 0.4)) + 1 for size in sizes]
        few = dice.sample([*zip(sizes, tokens, strict=True)], 15)
        interval = extrapolated(few, sum(sizes), len(sizes))
        held += interval.low <= sum(tokens) <= interval.high
    assert held > 450


def test_all_examples_counted_is_no_guess():
    found = extrapolated([(10, 3), (20, 5)], 30, 2)
    assert (found.low, found.value, found.high) == (8, 8, 8)


@pytest.mark.socket
async def test_the_service_counts_a_sample_and_with_enough_of_it_the_figure_is_exact():
    data = [(f"What is {number} in Roman numerals?", "x" * number) for number in range(1, 40)]
    async with running_emulator() as server, Client(base_url=server.url, api_key="k") as client:
        few = await estimate_with(client, data, model="models/gemini-1.0-pro-001", examples=10, epochs=2)
        every = await estimate_with(client, data, model="models/gemini-1.0-pro-001", examples=100, epochs=2)
        asked = len(server.app.requests.of("models.countTokens"))
    assert (few.counting, few.counted, every.counted, asked) == ("countTokens", 10, 39, 49)
    assert every.tokens.low == every.tokens.high
    assert few.tokens.low <= every.tokens.value <= few.tokens.high
    assert "as the service counted all of them" in str(every)
    assert "with an interval of 95 %" in str(few)


def test_a_large_file_is_checked_in_little_memory(tmp_path):
    source = tmp_path / "large.jsonl"
    with source.open("w") as file:
        for number in range(3000):
            turns = [
                {"role": "user", "parts": [{"text": f"{number} {'x' * 3000}"}]},
                {"role": "model", "parts": [{"text": "a"}]},
            ]
            file.write(f"{json.dumps({'contents': turns})}\n")
    assert source.stat().st_size > 9_000_000
    check([("a", "b")])
    tracemalloc.start()
    assert check(source).stats.examples == 3000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000
