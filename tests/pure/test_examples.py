"""Training data in every form users have, and errors that name row, field and fix."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.datasets import read
from gemtune.errors import InvalidInput
from gemtune.types import TuningExample

PAIRS = [("1", "2"), ("twenty two", "twenty three")]
WANTED = (
    TuningExample(text_input="1", output="2"),
    TuningExample(text_input="twenty two", output="twenty three"),
)
text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=50).filter(str.strip)


class Named(io.StringIO):
    """An open file."""

    def __init__(self, content, name):
        super().__init__(content, newline="")
        self.name = name


def from_text(content, suffix, **choice):
    return read(Named(content, f"train{suffix}"), **choice).examples


class Frame:
    """What a data frame looks like from outside: columns by name."""

    def keys(self):
        return ["text_input", "output"]

    def __getitem__(self, column):
        return [pair[column == "output"] for pair in PAIRS]


@pytest.mark.parametrize(
    "data",
    [
        PAIRS,
        [list(pair) for pair in PAIRS],
        iter(PAIRS),
        [{"text_input": a, "output": b} for a, b in PAIRS],
        [{"textInput": a, "output": b, "note": 1} for a, b in PAIRS],
        [{"prompt": a, "completion": b} for a, b in PAIRS],
        {"text_input": [a for a, _ in PAIRS], "output": [b for _, b in PAIRS]},
        Frame(),
        WANTED,
    ],
    ids=["pairs", "lists", "iterator", "dicts", "camel", "prompts", "columns", "frame", "values"],
)
def test_the_same_data_in_any_form_gives_the_same_examples(data):
    assert read(data).examples == WANTED


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".csv", "text_input,output\r\n1,2\r\ntwenty two,twenty three\r\n"),
        (".csv", "1,2\ntwenty two,twenty three\n"),
        (".CSV", "output,id,text_input\n2,7,1\ntwenty three,8,twenty two\n"),
        (".tsv", "text_input\toutput\n1\t2\ntwenty two\ttwenty three\n"),
        (".jsonl", '{"text_input": "1", "output": "2"}\n\n{"text_input": "twenty two", "output": "twenty three"}\n'),
        (".csv", "text_input,output,,\n1,2,,\n,,,\ntwenty two,twenty three,,\n"),
        (".json", json.dumps([{"text_input": a, "output": b} for a, b in PAIRS])),
        (".json", "".join(json.dumps({"text_input": a, "output": b}) + "\n" for a, b in PAIRS)),
    ],
    ids=["csv", "csv without header", "csv columns", "tsv", "jsonl", "csv of a spreadsheet", "json", "json lines"],
)
def test_every_file_form_is_read(suffix, content):
    assert from_text(content, suffix) == WANTED


def test_a_header_is_known_in_any_case_and_by_any_column():
    found = from_text("Output,Text_Input\n2,1\n", ".csv")
    assert found == WANTED[:1]


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\x1c"])
def test_a_line_separator_inside_a_json_text_is_no_end_of_line(separator):
    line = json.dumps({"text_input": f"a{separator}b", "output": "c"}, ensure_ascii=False)
    assert from_text(line, ".jsonl")[0].text_input == f"a{separator}b"


@given(st.lists(st.tuples(text, text), min_size=1, max_size=20))
def test_any_text_survives_a_csv_file(pairs):
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["text_input", "output"])
    writer.writerows(pairs)
    found = from_text(out.getvalue(), ".csv")
    assert [(example.text_input, example.output) for example in found] == pairs


@pytest.mark.parametrize(
    ("rows", "row", "field", "words"),
    [
        ([("1", "2"), ("3", "")], 2, "output", "empty"),
        ([(" ", "2")], 1, "text_input", "empty"),
        ([("1", "x" * 5001)], 1, "output", "5,001 characters, more than the 5,000 allowed; shorten it by 1"),
        ([("x" * 40001, "2")], 1, "text_input", "40,001"),
        ([("1", "2"), ("1", None)], 2, "output", "output is empty"),
        ([{"text_input": "1"}], 1, "output", "there is no output, only 'text_input'"),
        (
            [{"Frage": "1", "Antwort": "2"}],
            1,
            "text_input",
            "no column is known to be the input; the columns are 'Frage'",
        ),
        ([("1", "2", "3")], 1, "training_data", "a tuple of 3"),
        (["text"], 1, "training_data", "not the text 'text'"),
        ([("a\ud800", "b")], 1, "text_input", "lone surrogate"),
        ([("a", float("nan"))], 1, "output", "output is empty"),
        ([], None, "training_data", "empty"),
    ],
)
def test_a_bad_row_is_named_with_its_field_and_the_fix(rows, row, field, words):
    with pytest.raises(InvalidInput) as caught:
        read(rows)
    assert (caught.value.row, caught.value.field) == (row, field)
    assert words in str(caught.value)


def test_several_bad_rows_are_told_together_and_many_are_counted():
    with pytest.raises(InvalidInput, match="has 20 problems: row 1: .*; and 15 more"):
        read([("", "x")] * 20)


def test_more_than_four_megabytes_are_refused():
    with pytest.raises(InvalidInput, match="4,000,000"):
        read([("x" * 39_000, "y")] * 103)


@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [
        (
            ".jsonl",
            '{"text_input": "1", "output": "2"}\n{"text_input": ',
            "line 2: this line is not JSON: Expecting value",
        ),
        (".csv", 'text_input,output\n"open,2\n', "line 2: unexpected end of data: check the quotes"),
        (".csv", "text_input,output\n1,2,3\n", "line 2: this row has 3 columns, and the first has 2: check its quotes"),
        (
            ".csv",
            "text_input,foo\n1,2\n",
            "no column is known to be the output; the columns are 'text_input', 'foo'; name it with output",
        ),
        (
            ".csv",
            "question,text_input,output\n1,2,3\n",
            "more than one column could be the input .'question', 'text_input'.",
        ),
        (".csv", "text_input,output\n\n1,2\n3,\n", "line 4: output is empty"),
        (".jsonl", '\n{"text_input": "1", "output": "2"}\n\n{"text_input": "1"}\n', "line 4: there is no output"),
        (".json", "[" * 100_000, "not JSON"),
        (".xlsx", "PK", "save it as CSV"),
        (".csv", "Input,output,Input\n1,2,3\n", "more than one column is called 'Input': rename them"),
        (".csv", "", "nothing left to read"),
        (".csv", "text_input,output\n", "empty"),
    ],
)
def test_a_broken_file_is_named_with_the_place(suffix, content, words):
    with pytest.raises(InvalidInput, match=words):
        from_text(content, suffix)


@pytest.mark.parametrize("data", ["a,b", b"x", 5, None, {"a": [1], "b": [1, 2]}, {"text_input": 1, "output": "2"}])
def test_what_is_not_rows_is_refused(data):
    with pytest.raises(InvalidInput):
        read(data)
