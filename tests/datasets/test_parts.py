"""Splits, samples and sets without repeats: what belongs where, and that added rows change nothing."""

import json
import math
import random
from array import array
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costs import operations
from gemtune.datasets import dedupe, load, sample, split
from gemtune.datasets.parting.groups import group_key
from gemtune.errors import InvalidInput

PHRASE = "the quick brown fox jumps over the lazy dog and runs away from a very old bear in the dark forest today"
WORDS = PHRASE.split()
SEVEN = ["q4", "q18", "q26", "q29", "q35"]
"""What the seed 7 takes of forty."""


def rows(count):
    return [(f"question {number} about {number * 7919}", f"answer {number}") for number in range(count)]


def questions(data):
    return [example["contents"][0]["parts"][0]["text"] for example in data]


def test_a_split_meets_its_share_on_average_and_loses_no_row():
    parts = split(rows(2000), validation=0.2)
    assert sum(parts.rows) == 2000
    assert 350 < parts.rows[1] < 450
    assert sorted(questions(parts.train) + questions(parts.validation)) == sorted(asked for asked, _ in rows(2000))
    assert split(rows(100), validation=0.0).rows == (100, 0)
    assert split(rows(100), validation=1.0).rows == (0, 100)


def test_a_split_is_the_same_everywhere_and_another_seed_gives_another():
    first = questions(split(rows(50), seed=1).validation)
    assert first == questions(split(rows(50), seed=1).validation)
    assert first == questions(split(rows(50), seed="1").validation)
    assert first != questions(split(rows(50), seed=2).validation)
    # Written down, because users compare runs of months ago.
    assert questions(split([(f"q{n}", "a") for n in range(40)], seed=7).validation) == SEVEN


TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=20).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=30), st.lists(st.tuples(TEXT, TEXT), max_size=10))
def test_added_rows_move_no_other_row_to_the_other_side(before, added):
    first, second = split(before, validation=0.5), split(before + added, validation=0.5)
    assert questions(second.train)[: first.rows[0]] == questions(first.train)
    assert questions(second.validation)[: first.rows[1]] == questions(first.validation)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=30))
def test_the_same_question_never_stands_on_both_sides(data):
    shouted = [(f"{asked.upper()}!", answered) for asked, answered in data]
    parts = split(data + shouted, validation=0.5)
    sides = [{text.upper().rstrip("!") for text in questions(side)} for side in (parts.train, parts.validation)]
    assert not sides[0] & sides[1]


def test_rows_that_are_nearly_the_same_stand_on_one_side_and_different_ones_need_not():
    text = " ".join([*WORDS, *reversed(WORDS), *sorted(WORDS)])
    near = [(text.replace("old", word, 1), "a") for word in ("young", "sad", "wise", "fat", "thin", "grey")]
    parts = split([(text, "a"), *near], validation=0.5)
    assert (parts.joined, 0 in parts.rows) == (6, True)
    assert split([(text, "a"), *near], validation=0.5, near=None).joined == 0
    assert split([("1", "a"), ("-1", "b"), ("3", "c"), ("4", "d")]).joined == 0
    assert split([(f"What is {n} + {n + 1}?", "a") for n in range(50)]).joined == 0


def variants(seed, steps):
    """A text of sixty random words, and what becomes of it if one word is changed after the other."""
    dice = random.Random(seed)
    vocabulary = [f"word{n}" for n in range(2000)]
    words = dice.choices(vocabulary, k=60)
    for _ in range(steps):
        yield " ".join(words)
        words[dice.randrange(60)] = dice.choice(vocabulary)


def runs(text):
    words = text.casefold().split()
    return {tuple(words[start : start + 3]) for start in range(len(words) - 2)}


def test_no_validation_row_is_nearly_the_same_as_a_training_row():
    texts = [text for seed in range(60) for text in variants(seed, 6)]
    random.Random(0).shuffle(texts)
    texts = [text.upper() if n % 3 else text for n, text in enumerate(texts)]
    parts = split([(text, "a") for text in texts], validation=0.3)
    learned = [runs(text) for text in questions(parts.train)]
    leaks = 0
    for text in questions(parts.validation):
        asked = runs(text)
        leaks += any(len(asked & each) >= 0.8 * len(asked | each) for each in learned)
    assert leaks <= 0.01 * parts.rows[1], "a sketch finds 19 of 20 such pairs, and a row has several"
    assert 0 < parts.between < 0.15 * len(texts)
    assert sum(parts.rows) + parts.between == len(texts)
    assert f"{parts.between} are like rows of both parts and left out" in str(parts)


def test_of_a_chain_of_rows_each_follows_the_one_before_it():
    """The last is hardly like the first, and would stand anywhere if it were compared with that alone."""
    for seed in range(20):
        parts = split([(text, "a") for text in variants(seed, 12)], validation=0.5, seed=seed)
        assert (parts.joined, 0 in parts.rows) == (11, True)


def test_few_rows_never_leave_a_part_empty_without_a_word(caplog):
    empty = 0
    for seed in range(100):
        caplog.clear()
        parts = split(rows(20), validation=0.1, seed=seed)
        empty += 0 in parts.rows
        assert bool(parts.empty) == bool(caplog.messages) == ("\n" in str(parts)) == (0 in parts.rows)
    assert 5 < empty < 20
    assert "no row is left to train on" in str(split(rows(1), validation=0.999))
    said = "no row is for validation: with so few rows chance decides, so give another share, another seed or more rows"
    assert str(split(rows(1), validation=0.001)).splitlines()[1] == said
    caplog.clear()
    assert split(rows(5), validation=0.0).empty == split(rows(5), validation=1.0).empty == ""
    assert split(load(rows(5)).only(frozenset())).empty == "", "there is nothing to be split"
    assert not caplog.messages


def test_rows_of_one_group_stand_on_one_side():
    data = [{"customer": n % 10, "input": f"question {n}", "output": "a"} for n in range(200)]
    parts = split(data, validation=0.5, group_by="customer")
    sides = [{row.row["customer"] for row in side.reader} for side in (parts.train, parts.validation)]
    assert not sides[0] & sides[1]
    assert all(sides)
    by_function = split(data, validation=0.5, group_by=lambda row: row["customer"])
    assert by_function.rows == parts.rows
    with pytest.raises(InvalidInput, match="row 1 has no column 'city'"):
        split(data, group_by="city")


GROUPS = [
    [1, 1.0, "1", " 1 "],
    [{"id": 7, "name": "x"}, {"name": "x", "id": 7.0}],
    [["a", {"b": None}], ("a", {"b": None})],
    [{"c", "a", "b"}, frozenset("abc")],
    [date(2026, 11, 28)],
    [True],
]


@pytest.mark.parametrize("alike", GROUPS, ids=["number", "mapping", "list", "set", "date", "bool"])
def test_one_group_in_other_types_and_orders_is_one_group(alike):
    assert len({group_key(value, 1) for value in alike}) == 1
    assert len({group_key(value, 1) for other in GROUPS for value in other}) == len(GROUPS)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none() | st.integers(0, 3) | st.sampled_from("abc"),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
            max_leaves=4,
        ),
        min_size=2,
        max_size=30,
    ),
    st.integers(0, 100),
)
def test_no_group_stands_on_both_sides_and_added_rows_move_none(groups, seed):
    data = [{"of": group, "input": f"question {n} about {n * 7919}", "output": "a"} for n, group in enumerate(groups)]
    parts = split(data, validation=0.5, group_by="of", seed=seed)
    sides = [{group_key(row.row["of"], 1) for row in side.reader} - {None} for side in (parts.train, parts.validation)]
    assert not sides[0] & sides[1]
    before = split(data[: len(data) // 2 + 1], validation=0.5, group_by="of", seed=seed)
    assert questions(parts.train)[: before.rows[0]] == questions(before.train)
    assert questions(parts.validation)[: before.rows[1]] == questions(before.validation)


@pytest.mark.parametrize("missing", [None, math.nan, ""])
def test_rows_without_a_group_are_no_group_and_go_by_likeness(missing):
    data = [{"of": missing, "input": asked, "output": answered} for asked, answered in rows(100)]
    parts = split(data, validation=0.5, group_by="of")
    assert 30 < parts.rows[0] < 70
    assert questions(parts.train) == questions(split(rows(100), validation=0.5).train)


def test_a_group_that_would_be_another_tomorrow_is_refused():
    with pytest.raises(InvalidInput, match="row 1: group_by gives a object, and nobody can say when two of") as caught:
        split(rows(3), group_by=lambda _: object())
    assert (caught.value.field, caught.value.row) == ("group_by", 1)


def test_a_part_is_written_as_it_was_to_the_byte(tmp_path):
    lines = [f'{{ "input" : "question {n}",  "output":"a" }}\n'.encode() for n in range(20)]
    source = tmp_path / "rows.jsonl"
    source.write_bytes(b"\n".join([b"", *lines]))
    parts = split(source, validation=0.3)
    assert parts.train.write(tmp_path / "train.jsonl") == parts.rows[0]
    assert parts.validation.write(tmp_path / "validation.jsonl") == parts.rows[1]
    written = [(tmp_path / name).read_bytes().splitlines(keepends=True) for name in ("train.jsonl", "validation.jsonl")]
    assert sorted(written[0] + written[1]) == sorted(lines)


def test_a_table_is_split_into_tables(tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text("id,input,output\n" + "".join(f'{n},"a, {n}",b{n}\n' for n in range(10)))
    parts = split(source, validation=0.5)
    for name, side in (("train.csv", parts.train), ("validation.csv", parts.validation)):
        assert side.write(tmp_path / name) == len([*side])
    joined = [line for name in ("train.csv", "validation.csv") for line in (tmp_path / name).read_text().splitlines()]
    assert joined.count("id,input,output") == 2
    assert sorted(set(joined)) == sorted(source.read_text().splitlines())


def test_wrong_rows_are_in_no_part(tmp_path):
    source = tmp_path / "rows.jsonl"
    source.write_text(
        "".join(f"{json.dumps(row)}\n" for row in [{"input": "a", "output": "b"}, {"input": "", "output": ""}])
    )
    parts = split(source)
    assert (sum(parts.rows), parts.wrong) == (1, 1)
    assert "1 are wrong and left out" in str(parts)
    found = dedupe(source)
    assert (found.rows, found.wrong) == (1, 1)


def test_an_empty_chat_beside_a_pair_does_no_harm(tmp_path):
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({"messages": [], "input": "q", "output": "a"}))
    assert questions(load(source)) == ["q"]


def test_repeats_are_left_out_and_of_each_the_first_is_kept():
    data = [("a b c", "x"), ("a b c", "y"), ("a b c", "x"), ("A, B c!", "x")]
    found = dedupe(data)
    assert (found.rows, found.repeats) == (3, {3: 1})
    assert dedupe(data, near=0.8).repeats == {3: 1, 4: 1}
    assert questions(found.data) == ["a b c", "a b c", "A, B c!"]
    assert str(found) == "3 rows are left; 1 repeat an earlier one: 3 (as 1)"
    assert str(dedupe(data[:1])) == "1 row is left; 0 repeat an earlier one"
    assert str(split(data[:1], validation=0.0)) == "1 row to train on, 0 (0.0%) for validation"


def test_a_sample_is_random_stable_in_order_and_grows():
    data = load(rows(500))
    few, more = questions(sample(data, 20)), questions(sample(data, 40))
    assert (len(few), len(more)) == (20, 40)
    assert set(few) < set(more)
    assert few == [asked for asked, _ in rows(500) if asked in set(few)]
    assert few != questions(sample(data, 20, seed=1))
    assert len(questions(sample(data, 1000))) == 500
    assert (len(questions(sample(data, 1.0))), len(questions(sample(data, 1)))) == (500, 1)
    assert 30 < len(questions(sample(data, 0.1))) < 70
    for size in (0, -1, 1.5, True, "2"):
        with pytest.raises(InvalidInput, match="size"):
            sample(data, size)  # type: ignore[arg-type]


def test_the_columns_of_a_set_are_chosen_when_it_is_loaded():
    data = load([{"a": "1", "b": "2"}], input="a", output="b")
    assert questions(data) == ["1"]
    assert questions(sample(data, 1)) == ["1"]
    with pytest.raises(InvalidInput, match="input has no meaning for training data that was loaded"):
        sample(data, 1, input="b")


def test_parts_of_parts_are_parts():
    few = sample(rows(100), 10)
    parts = split(few, validation=0.5)
    assert sorted(questions(parts.train) + questions(parts.validation)) == sorted(questions(few))


@pytest.mark.parametrize(
    "work",
    [split, dedupe, lambda data: dedupe(data, near=0.8), lambda data: sample(data, 10)],
    ids=["split", "dedupe", "nearly", "sample"],
)
def test_it_costs_as_much_again_for_twice_the_rows(work):
    text = " ".join(WORDS)
    few, many = ([(f"{text} {n} {text} {n * 31}", "a") for n in range(count)] for count in (100, 400))
    assert operations(work, many) < 4.5 * operations(work, few)


def test_an_array_is_the_group_that_a_list_of_the_same_is():
    assert group_key(array("l", [1, 2]), 1) == group_key([1, 2], 1)
