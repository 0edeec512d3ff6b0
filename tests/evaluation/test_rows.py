"""Held-out rows: what is asked, what is expected, and under which key, from whatever training data is read from."""

import json

import pytest

from gemtune import datasets
from gemtune.errors import InvalidInput
from gemtune.evaluation.rows import HeldOutReading, held_out_rows


def rows(data, **options):
    return held_out_rows(data, HeldOutReading(**options))


def texts(found):
    return [(row.question, row.expected) for row in found]


def turn(role, text):
    return {"role": role, "parts": [{"text": text}]}


CHAT = {
    "id": "q1",
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [turn("user", "one"), turn("model", "two"), turn("user", "three"), turn("model", "four")],
}


def test_all_turns_before_the_last_one_are_asked_with_the_rows_own_system_instruction():
    (row,) = rows([CHAT])
    assert row.request == {"contents": CHAT["contents"][:3], "systemInstruction": CHAT["systemInstruction"]}
    assert (row.key, row.question, row.expected, row.row) == ("q1", "three", "four", CHAT)


def test_a_chat_of_openai_is_asked_in_the_words_of_the_service():
    messages = [("system", "Be brief."), ("user", "hi"), ("assistant", "ho")]
    (row,) = rows([{"messages": [{"role": role, "content": content} for role, content in messages]}])
    assert row.request == {"contents": [turn("user", "hi")], "systemInstruction": {"parts": [{"text": "Be brief."}]}}
    assert row.expected == "ho"


@pytest.mark.parametrize(
    "data",
    [
        [("hi", "ho"), ("ha", "he")],
        [{"question": "hi", "answer": "ho"}, {"question": "ha", "answer": "he"}],
        {"prompt": ["hi", "ha"], "output": ["ho", "he"]},
        [{"prompt": "hi", "chosen": "ho", "rejected": "x"}, {"prompt": "ha", "chosen": "he", "rejected": "x"}],
        datasets.load([("hi", "ho"), ("ha", "he")]),
    ],
    ids=["pairs", "dicts", "columns", "preferences", "loaded"],
)
def test_whatever_can_be_learned_can_be_asked(data):
    found = rows(data)
    assert texts(found) == [("hi", "ho"), ("ha", "he")]
    assert [row.key for row in found] == [1, 2]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_is_read_with_its_keys(library):
    frame = pytest.importorskip(library).DataFrame({"id": [3, 4], "input": ["hi", "ha"], "output": ["ho", "he"]})
    found = rows(frame)
    assert texts(found) == [("hi", "ho"), ("ha", "he")]
    assert [row.key for row in found] == [3, 4]


def test_the_held_out_part_of_a_split_is_asked_and_the_split_itself_is_refused():
    parts = datasets.split([(f"what is {n}", str(n)) for n in range(100)], validation=0.2, seed=1)
    held_out = rows(parts.validation)
    assert len(held_out) == parts.rows[1]
    assert {row.question for row in held_out}.isdisjoint(row.question for row in rows(parts.train))
    with pytest.raises(InvalidInput, match=r"data is a split.*split\.validation"):
        rows(parts)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prompts.csv", "prompt\nhi\nho\n"),
        ("prompts.txt", "hi\nho\n"),
        ("prompts.jsonl", '{"prompt": "hi"}\n{"prompt": "ho"}\n'),
        ("more.csv", "id,prompt,output\n1,hi,\n2,ho,\n"),
        ("chats.jsonl", "".join(json.dumps({"contents": [turn("user", each)]}) + "\n" for each in ("hi", "ho"))),
        ("requests.jsonl", "".join(json.dumps({"key": n, "request": {"contents": [turn("user", each)]}}) + "\n"
                                   for n, each in enumerate(("hi", "ho"), 1))),
    ],
)  # fmt: skip
def test_a_file_without_answers_is_read_for_those_who_need_none(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    found = rows(path)
    assert texts(found) == [("hi", ""), ("ho", "")]
    assert [len(row.request["contents"]) for row in found] == [1, 1]
    assert [str(row.key) for row in found] == ["1", "2"]


def test_rows_in_memory_without_answers_keep_their_place_among_those_with_one():
    assert texts(rows(["hi", "ho"])) == [("hi", ""), ("ho", "")]
    mixed = [{"prompt": "a", "output": "b"}, {"prompt": "c", "output": None}, {"prompt": "d", "output": "e"}]
    assert texts(rows(mixed)) == [("a", "b"), ("c", ""), ("d", "e")]


def test_a_system_instruction_is_kept_where_the_answer_is_missing():
    (row,) = rows([{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]}])
    assert row.request["systemInstruction"] == {"parts": [{"text": "Be brief."}]}


def test_only_the_first_rows_are_read_if_there_is_a_limit():
    def endless():
        number = 0
        while number < 50:
            number += 1
            yield (f"q{number}", "a")

    assert [row.question for row in rows(endless(), limit=2)] == ["q1", "q2"]


def test_a_column_that_tells_all_rows_apart_is_their_key():
    numbered = [{"id": 7, "prompt": "a", "output": "b"}, {"id": 9, "prompt": "c", "output": "d"}]
    assert [row.key for row in rows(numbered)] == [7, 9]
    twice = [{**row, "id": 7} for row in numbered]
    assert [row.key for row in rows(twice)] == [1, 2]
    assert [row.key for row in rows(twice, key="prompt")] == ["a", "c"]
    spelled = [{"id": key, "prompt": "a", "output": "b"} for key in (1, "1")]  # which a journal takes for one
    assert [row.key for row in rows(spelled)] == [1, 2]
    long = [{"id": 2**2000 + n, "prompt": "a", "output": "b"} for n in range(2)]  # which no batch takes
    assert [row.key for row in rows(long)] == [1, 2]


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ([], {}, "data has no rows"),
        (7, {}, "data must be pairs, .* not int"),
        ("nothing.csv", {}, r"data: nothing\.csv cannot be read"),
        ([("a", "b"), ("", "c")], {}, "row 2: .*empty"),
        ([("a", "b"), {"contents": [turn("model", "b")]}], {}, "row 2 asks nothing: its only turn is the answer"),
        ([{"a": 1, "b": 2}], {}, "no column is known to be the input.*name it with input"),
        ([{"prompt": "a", "output": "b", "n": 1}] * 2, {"key": "n"}, "row 2 has the 'n' of row 1, 1"),
        ([{"prompt": "a", "output": "b"}], {"key": "n"}, "row 1 has no 'n' that can be one"),
        ([{"prompt": "a", "output": "b", "n": 2**2000}], {"key": "n"}, "row 1 has no 'n' that can be one"),
        ([{"prompt": "a", "output": "b", "n": True}], {"key": "n"}, "row 1 has no 'n' that can be one"),
        ([("a", "b")], {"limit": 0}, "limit must be a positive whole number"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words_of_the_data(data, options, said):
    with pytest.raises(InvalidInput, match=said) as refused:
        rows(data, **options)
    assert "training" not in str(refused.value)


def test_a_line_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "a", "output": "b"}\n{"prompt"\n')
    with pytest.raises(InvalidInput, match="line 2: this line is not JSON") as refused:
        rows(path)
    assert (refused.value.field, refused.value.row) == ("data", 2)
