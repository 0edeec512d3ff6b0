"""Pairs of a better and a worse answer: what stands before their question stays there."""

import pytest

from gemtune.datasets import check, convert, load

ORDER = "Translate to French"


def pair(**columns):
    return {**columns, "chosen": "fromage", "rejected": "queso"}


def prompt_of(row):
    (example,) = convert([row], to="preference")
    assert (example["chosen"], example["rejected"]) == ("fromage", "queso")
    return example["prompt"]


@pytest.mark.parametrize(
    ("columns", "prompt"),
    [
        ({"instruction": ORDER, "input": "cheese"}, f"{ORDER}\n\ncheese"),
        ({"input": "cheese", "instruction": ORDER}, f"{ORDER}\n\ncheese"),
        ({"instruction": ORDER, "input": ""}, ORDER),
        ({"instruction": ORDER, "input": None}, ORDER),
        ({"instruction": " ", "input": "cheese"}, "cheese"),
        ({"Instruction": ORDER, "prompt": "cheese", "context": "At a market."}, f"At a market.\n\n{ORDER}\n\ncheese"),
        ({"instruction": ORDER}, ORDER),
        ({"instruction": ORDER, "context": "At a market."}, f"At a market.\n\n{ORDER}"),
    ],
)
def test_the_instruction_of_a_pair_comes_before_its_question_and_is_never_dropped(columns, prompt):
    assert prompt_of(pair(**columns)) == prompt


def test_it_is_said_that_columns_of_a_pair_are_joined():
    conversion = convert(
        [pair(instruction=ORDER, input="cheese"), pair(instruction="", input="bread")], to="preference"
    )
    assert [example["prompt"] for example in conversion] == [f"{ORDER}\n\ncheese", "bread"]
    assert [(issue.row, issue.code) for issue in conversion.issues] == [(1, "columns_joined")]
    assert conversion.data.report(2).input == ("instruction", "input")


def test_a_pair_without_question_and_instruction_is_wrong():
    conversion = convert([pair(instruction="", input="")], to="preference")
    assert [*conversion] == []
    assert [(issue.path, issue.code) for issue in conversion.issues] == [("input", "missing_text")]


def test_the_column_that_the_caller_names_is_the_whole_question():
    data = load([pair(instruction=ORDER, input="cheese")], input="input")
    conversion = convert(data, to="preference")
    assert [example["prompt"] for example in conversion] == ["cheese"]
    assert [(issue.code, issue.message) for issue in conversion.issues] == [
        ("left_out", "the column 'instruction' is not used")
    ]


def test_an_instruction_comes_before_a_question_that_is_a_chat_or_stands_in_the_answers_as_well():
    asked = [{"role": "user", "content": "cheese"}]
    answers = {
        name: [*asked, {"role": "assistant", "content": text}]
        for name, text in (("chosen", "fromage"), ("rejected", "queso"))
    }
    assert prompt_of(pair(instruction=ORDER, prompt=asked)) == f"{ORDER}\n\ncheese"
    assert prompt_of({"instruction": ORDER, "prompt": asked, **answers}) == f"{ORDER}\n\ncheese"


def test_an_instruction_that_is_no_text_makes_its_pair_wrong():
    conversion = convert([pair(instruction={"a": 1}, input="cheese")], to="preference")
    assert [*conversion] == []
    assert [issue.path for issue in conversion.issues] == ["instruction"]


def test_a_column_of_a_pair_that_is_not_used_is_said_once_and_tools_are_used():
    tools = [{"name": "f", "parameters": {"type": "object"}}]
    rows = [pair(prompt=f"cheese {number}", note="x", tools=tools) for number in range(2)]
    conversion = convert(rows, to="vertex")
    assert [bool(example["tools"]) for example in conversion] == [True, True]
    assert [(issue.row, issue.message) for issue in conversion.issues] == [(None, "the column 'note' is not used")]
    report = check(rows)
    found = [(issue.row, issue.message) for issue in report.issues if issue.code == "left_out"]
    assert found == [(None, "'note' is not used")]
    assert report.data.left_out == ("note",)
