"""Training data from everything that people have: read right and reported, or refused with the choice to make."""

import collections
import csv
import datetime as dt
import decimal
import enum
import io
import json
import math
import os
import sqlite3
from pathlib import Path

import anyio
import attrs
import pytest

from gemtune.datasets import TrainingSet, read
from gemtune.errors import InvalidInput
from gemtune.types import TuningExample

WANTED = [("What is H2O?", "water"), ("What is NaCl?", "salt")]
QUESTIONS, ANSWERS = zip(*WANTED, strict=True)


def pairs(data, **choice):
    return [(example.text_input, example.output) for example in read(data, **choice).examples]


def refusal(data, **choice):
    with pytest.raises(InvalidInput) as caught:
        read(data, **choice)
    return str(caught.value)


@pytest.fixture
def file(tmp_path):
    """Write a file and return its path."""

    def write(content, name="train.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


class Model:
    """A class of pydantic's kind: it iterates over its fields and their values."""

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __iter__(self):
        yield from self.__dict__.items()


class Somewhere(os.PathLike):
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


# Headings


@pytest.mark.parametrize(
    "heading",
    [
        "text_input,output",
        "textInput,Output",
        "input_text,output_text",
        "inputs,outputs",
        " Input , OUTPUT ",
        "input:,output:",
        "prompt,completion",
        "Question,Answer",
        "instruction,response",
        "text,label",
        "source,target",
    ],
)
def test_the_usual_names_of_columns_are_known_in_any_spelling(heading, file):
    assert pairs(file(f"{heading}\na,x\nb,y\n")) == [("a", "x"), ("b", "y")]
    names = heading.split(",")
    assert pairs([dict(zip(names, row, strict=True)) for row in (["a", "x"], ["b", "y"])]) == [("a", "x"), ("b", "y")]
    assert pairs([names, ["a", "x"], ["b", "y"]]) == [("a", "x"), ("b", "y")]
    assert pairs(csv.reader([heading, "a,x", "b,y"])) == [("a", "x"), ("b", "y")]


@pytest.mark.parametrize("heading", ["Birth Date,Zodiac Sign", "Frage,Antwort", "review,rating"])
def test_line_1_that_may_be_heading_or_example_is_refused_with_the_choice(heading, file):
    first, second = heading.split(",")
    for data in (file(f"{heading}\na,x\n"), csv.reader([heading, "a,x"]), io.StringIO(f"{heading}\na,x\n")):
        said = refusal(data)
        assert f"if it is a heading, pass input={first!r} and output={second!r}" in said
        assert "if it is an example, pass heading=False" in said
    path = file(f"{heading}\na,x\n")
    assert pairs(path, input=first, output=second) == [("a", "x")]
    assert pairs(path, output=second) == [("a", "x")]
    assert pairs(path, heading=True) == [("a", "x")]
    assert pairs(path, heading=False) == [(first, second), ("a", "x")]


def test_a_number_in_line_1_shows_that_it_is_an_example(file):
    assert pairs(file("1,2\nthree,four\n")) == [("1", "2"), ("three", "four")]
    assert pairs(file("lovely;5,0\nawful;1,0\n"), delimiter=";") == [("lovely", "5,0"), ("awful", "1,0")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("prompt,Sign\na,b\n", "no column is known to be the output; the columns are 'prompt', 'Sign'"),
        ("a,b,c\nd,e,f\n", "no column is known to be the input; the columns are 'a', 'b', 'c'"),
        ("question,prompt,answer\nd,e,f\n", "more than one column could be the input ('question', 'prompt')"),
        ("text_input,output,output\nd,e,f\n", "more than one column is called 'output': rename them"),
        ("only\na\n", "has one column, 'only': an example needs an input and an output"),
    ],
)
def test_a_heading_that_does_not_say_which_column_is_which_is_refused(content, words, file):
    assert words in refusal(file(content))


def test_named_columns_are_taken_whatever_they_are_called_and_alone():
    rows = [{"id": 7, "Review": "lovely", "Stars": 5, "output": "no"}]
    read_ = read(rows, input="review", output="Stars")
    assert [(each.text_input, each.output) for each in read_.examples] == [("lovely", "5")]
    assert read_.report.left_out == ("id", "output")
    assert "there is no column 'Reviews', only 'id', 'Review'" in refusal(rows, input="Reviews", output="Stars")
    assert "both column 'Stars'" in refusal(rows, input="Stars", output="stars")


def test_instructions_are_joined_to_the_input_and_never_dropped():
    rows = [
        {"instruction": "Translate.", "input": "Hallo", "output": "Hello"},
        {"instruction": "Tell a joke.", "input": "", "output": "No."},
    ]
    assert pairs(rows) == [("Translate.\n\nHallo", "Hello"), ("Tell a joke.", "No.")]
    assert str(read(rows).report) == "2 rows; input = columns 'instruction' + 'input', output = 'output'"
    assert pairs([{"system": "Be terse.", "prompt": "Peru?", "completion": "Lima"}]) == [("Be terse.\n\nPeru?", "Lima")]
    assert "row 1: text_input" in refusal([{"system": "Be terse.", "prompt": "", "completion": "Lima"}])


# Files


@pytest.mark.parametrize(
    "kind", [str, Path, anyio.Path, Somewhere, Path.open], ids=["str", "Path", "anyio.Path", "PathLike", "open"]
)
def test_a_file_is_named_by_any_path_or_open(kind, file):
    data = kind(file("text_input,output\nq,a\n"))
    assert pairs(data) == [("q", "a")]
    if hasattr(data, "close"):
        data.close()


def test_an_open_file_may_be_binary_or_in_memory(file):
    with file("text_input,output\nq,a\n").open("rb") as opened:
        assert pairs(opened) == [("q", "a")]
        assert "nothing left to read" in refusal(opened)
    assert pairs(io.StringIO('{"prompt": "q", "completion": "a"}')) == [("q", "a")]
    assert pairs(io.BytesIO("\ufefftext_input\toutput\nq\tä\n".encode())) == [("q", "ä")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("heading", [["text_input", "output"], ["Frage", "Antwort"]])
def test_any_separator_is_found(separator, heading, file):
    content = f'{separator.join(heading)}\n1.5 is it{separator}yes\n"a{separator}b"{separator}no\n'
    for name in ("train.csv", "train.tsv", "train.txt"):
        found = pairs(file(content, name), input=heading[0], output=heading[1])
        assert found == [("1.5 is it", "yes"), (f"a{separator}b", "no")]


def test_two_separators_that_fit_are_refused_and_one_can_be_named(file):
    path = file("gut;1,0\nschlecht;2,5\n")
    assert "could be separated by commas or semicolons; pass delimiter=','" in refusal(path)
    assert pairs(path, delimiter=";") == [("gut", "1,0"), ("schlecht", "2,5")]
    assert pairs(file("text;label\ngut;1,0\nna, ja;2,50\n")) == [("gut", "1,0"), ("na, ja", "2,50")]


def test_a_line_that_names_the_separator_is_no_heading(file):
    assert pairs(file("sep=;\r\nprompt;completion\r\na, b;c\r\n")) == [("a, b", "c")]
    assert "line 4: output is empty" in refusal(file("sep=;\nprompt;output\na;b\nc;\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
@pytest.mark.parametrize("name", ["train.csv", "train.tsv", "train.txt", "train.jsonl"])
def test_a_mark_at_the_beginning_says_how_a_file_is_encoded(encoding, name, file):
    content = '{"prompt": "ä", "completion": "六"}\n' if name.endswith("l") else "prompt\tcompletion\nä\t六\n"
    if encoding.endswith("-bom"):
        content, encoding = "\ufeff" + content, encoding.removesuffix("-bom")
    path = file(content, name, encoding)
    assert pairs(path) == [("ä", "六")]


def test_quotes_in_tabs_are_text_if_nothing_is_quoted(file):
    path = file('prompt\tcompletion\n"Hi" she said\tyes\nsay "x"\t"\n', "train.tsv")
    assert pairs(path) == [('"Hi" she said', "yes"), ('say "x"', '"')]
    assert any("quotes were read as part of the text" in note for note in read(path).report.notes)
    assert pairs(file('prompt\tcompletion\n"a\tb"\t"say ""x"""\n', "train.tsv")) == [("a\tb", 'say "x"')]


ROWS = [{"prompt": "a", "completion": "x"}, {"prompt": "b", "completion": "y"}]


@pytest.mark.parametrize("name", ["train.json", "train.jsonl", "train.ndjson", "train.csv"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "".join(json.dumps(row) + "\n" for row in ROWS),
        json.dumps({"prompt": ["a", "b"], "completion": ["x", "y"]}),
        json.dumps({"prompt": {"0": "a", "1": "b"}, "completion": {"0": "x", "1": "y"}}),
        json.dumps({"0": ROWS[0], "1": ROWS[1]}),
        json.dumps({"columns": ["prompt", "completion"], "index": [0, 1], "data": [["a", "x"], ["b", "y"]]}),
        json.dumps({"examples": {"examples": ROWS}}),
        json.dumps([["prompt", "completion"], ["a", "x"], ["b", "y"]]),
        json.dumps({"tuningTask": {"trainingData": {"examples": {"examples": ROWS}}}}),
    ],
)
def test_json_is_read_in_any_container_whatever_its_name_ends_with(name, content, file):
    assert pairs(file(content, name)) == [("a", "x"), ("b", "y")]


def test_values_of_json_are_kept_as_they_are_written(file):
    path = file('{"text": 1.10, "label": 1.0}\n{"text": 1e3, "label": true}\n{"text": 007, "label": 1}\n', "a.jsonl")
    assert "line 3: this line is not JSON" in refusal(path)
    path = file('{"text": 1.10, "label": 1.0}\n{"text": 1e3, "label": true}\n', "a.jsonl")
    assert pairs(path) == [("1.10", "1.0"), ("1e3", "true")]
    assert "line 1: output (column 'label') is empty" in refusal(file('{"text": "a", "label": NaN}\n', "a.jsonl"))


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("prompt,completion\na,b\n", "a.json", "if it is a table, let its name end in .csv"),
        (b"PK\x03\x04\x14\x00", "a.csv", "is a zip archive or a spreadsheet: save its rows as CSV"),
        (b"\xff\xfea", "a.csv", "begins like UTF-16 and is not"),
        (b"prompt,completion\n\xe4,b\n", "a.csv", "line 2, column 1: the byte 0xe4 is not UTF-8"),
        ("5", "a.json", "holds one value, not rows"),
    ],
)
def test_a_file_that_is_something_else_is_refused_with_what_to_do(content, name, words, file):
    assert words in refusal(file(content, name))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "https://docs.google.com/spreadsheets/d/X/edit?usp=sharing",
            "choose File > Download",
        ),
        ("https://docs.google.com/spreadsheets/d/e/2PACX/pub?output=csv", "File > Download"),
        ("https://example.com/train.csv", "download it"),
        ("gs://bucket/train.jsonl", "gcloud storage cp gs://bucket/train.jsonl ."),
        ("file:///home/me/train.csv", "pass the path"),
        (Path("https://example.com/train.csv"), "download it"),
    ],
)
def test_addresses_are_not_read_and_the_error_says_what_to_do(address, words):
    said = refusal(address)
    assert words in said
    assert "addresses are not read" in said


# Memory


@pytest.mark.parametrize(
    "data",
    [
        {"text_input": {0: QUESTIONS[0], 1: QUESTIONS[1]}, "output": {0: ANSWERS[0], 1: ANSWERS[1]}},
        {"text_input": {5: QUESTIONS[0], 9: QUESTIONS[1]}, "output": {5: ANSWERS[0], 9: ANSWERS[1]}},
        {"text_input": list(QUESTIONS), "output": list(ANSWERS)},
        {"index": [0, 1], "columns": ["text_input", "output"], "data": [list(row) for row in WANTED]},
        {0: {"text_input": "What is H2O?", "output": "water"}, 1: {"text_input": "What is NaCl?", "output": "salt"}},
        {
            "x": {"text_input": "What is H2O?", "output": "water"},
            "y": {"output": "salt", "text_input": "What is NaCl?"},
        },
        [{"text_input": "What is H2O?", "output": "water"}, TuningExample(text_input="What is NaCl?", output="salt")],
    ],
    ids=["dict", "dict of a part", "list", "split", "index", "index by name", "records"],
)
def test_whatever_a_frame_is_turned_into_gives_its_cells(data):
    assert pairs(data) == WANTED


def test_columns_of_unknown_names_give_their_cells_once_they_are_named():
    data = {"Frage": {0: "a", 1: "b"}, "Antwort": {0: "x", 1: "y"}}
    assert pairs(data, input="Frage", output="Antwort") == [("a", "x"), ("b", "y")]
    assert "no column is known to be the input" in refusal(data)
    assert "cannot be known whether they are rows or columns" in refusal({"a": {"b": 1}, "c": {"b": 2}})
    assert "do not have the same keys" in refusal({"text_input": {0: "a"}, "output": {1: "b"}})


def test_googles_own_example_objects_are_taken():
    example = Model(output="2", text_input="1")
    assert pairs([example]) == [("1", "2")]
    assert pairs(Model(gcs_uri=None, vertex_dataset_resource=None, examples=[example])) == [("1", "2")]
    assert pairs(Model(examples=Model(examples=[example]))) == [("1", "2")]
    assert "one example (Model): put it in a list" in refusal(example)
    assert "without examples, it points to gs://b/x.jsonl" in refusal(Model(gcs_uri="gs://b/x.jsonl", examples=None))
    assert "without examples" in refusal(Model(gcs_uri=None, examples=None))
    assert "put it in a list" in refusal(TuningExample(text_input="1", output="2"))


def test_an_object_that_iterates_over_its_fields_is_refused():
    assert "one Model, whose fields are question, answer" in refusal(Model(question="a", answer="b"))

    @attrs.define
    class Slotted:
        question: str
        answer: str

        def __iter__(self):
            return iter((("question", self.question), ("answer", self.answer)))

    assert "one Slotted" in refusal(Slotted("a", "b"))


def test_a_set_that_was_read_is_training_data(file):
    once = read(file("prompt,completion\na,x\n"))
    assert isinstance(once, TrainingSet)
    assert read(once) is once


ASKED = {"input": "a", "output": "b", "heading": True, "delimiter": ";"}
"""Each choice that there is about a table."""


@pytest.mark.parametrize(
    ("make", "meant", "called"),
    [
        (lambda: read([("1", "2")]), (), "training data that was read before"),
        (lambda: [("a", "b"), ("1", "2")], ("input", "output", "heading"), "rows in memory"),
        (lambda: [{"a": 1, "b": 2}], ("input", "output"), "rows in memory"),
        (lambda: {"a": [1], "b": [2]}, ("input", "output"), "a dict of columns"),
        (lambda: FrameOfColumns(a=[1], b=[2]), ("input", "output"), "a data frame"),
        (lambda: csv.reader(["a,b", "1,2"]), ("input", "output", "heading"), "a csv.reader"),
        (lambda: io.StringIO('{"a": 1, "b": 2}'), ("input", "output"), "an open file"),
        (lambda: io.StringIO('[["a", "b"], [1, 2]]'), ("input", "output", "heading"), "an open file"),
        (lambda: io.StringIO('["a", "b"]\n[1, 2]\n'), ("input", "output", "heading"), "an open file"),
        (lambda: io.StringIO("a;b\n1;2\n"), (*ASKED,), ""),
    ],
)
def test_a_choice_that_means_nothing_for_the_data_is_refused_by_name(make, meant, called):
    columns = {name: ASKED[name] for name in ("input", "output") if name in meant}
    for name, value in ASKED.items():
        given = columns | {name: value}
        if name in meant:
            assert pairs(make(), **given) == [("1", "2")]
        else:
            assert refusal(make(), **given) == f"{name} has no meaning for {called}: leave it out"


def test_a_row_without_names_among_named_ones_is_refused_if_columns_are_named():
    rows = [{"Review": "lovely", "Stars": 5}, ("awful", 1)]
    said = "row 2: this row has no names, so that input and output cannot name its columns"
    assert refusal(rows, input="Review") == said


@pytest.mark.parametrize("first", [[("a", "b"), ("c", "d")], [["prompt", "completion"], ["c", "d"]]])
def test_a_row_of_another_kind_is_not_taken_apart(first):
    assert pairs([*first, {"output": "y", "input": "x"}])[-1] == ("x", "y")
    assert pairs([*first, row_of("answer question", "y", "x")])[-1] == ("x", "y")
    for odd, called in (("ab", "the text 'ab'"), (None, "an empty row"), ({"a", "b"}, "a set")):
        assert refusal([*first, odd]).endswith(f"not {called}")


def test_the_first_line_of_json_may_be_a_heading(file):
    path = file('["completion", "prompt"]\n\n["x", "a"]\n["y"]\n', "train.jsonl")
    assert refusal(path) == "line 4: this row has 1 cells, and the heading has 2"


def test_a_mistake_that_many_rows_share_is_counted():
    wrong = [{"Frage": "a", "Antwort": "x"}] * 1000
    said = "row 1: no column is known to be the input; the columns are 'Frage', 'Antwort' (the same in {} more rows)"
    assert refusal(wrong) == said.format(999) + "; name it with input"
    assert refusal([*wrong, ("a", ""), ("b", "")]) == (
        f"training_data has 1,002 problems: {said.format(999)}; row 1001: output is empty; fill it in or drop the row; "
        "row 1002: output is empty; fill it in or drop the row; name it with input"
    )


class Grouped:
    """The rows of a frame in groups, as pandas and polars give them."""

    keys = staticmethod(str.lower)

    def __iter__(self):
        yield "a", FrameOfColumns(prompt=["a"], completion=["x"])

    def __getitem__(self, name):
        raise AssertionError

    def agg(self):
        raise AssertionError


def test_groups_and_parts_of_a_frame_are_refused_as_such():
    assert "the groups of a frame (Grouped): pass the frame" in refusal(Grouped())
    parts = [(0, FrameOfColumns(prompt=["a"], completion=["x"]))]
    assert refusal(parts) == "row 1: output is a part of a data frame, not text or a number: pass the frame itself"


def row_of(names, *cells):
    return collections.namedtuple("Row", names)(*cells)  # noqa: PYI024 - as pandas does


def test_rows_may_be_named_tuples_or_of_a_database():
    assert pairs([row_of("answer question", "x", "a")]) == [("a", "x")]
    assert pairs([row_of("Index prompt completion", 0, "a", "x")]) == [("a", "x")]
    assert pairs([row_of("left right", "a", "x")]) == [("a", "x")]
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    assert pairs(database.execute("select 'x' as answer, 'a' as question")) == [("a", "x")]
    database.close()


def test_a_dict_reader_is_read_and_its_odd_rows_are_named():
    assert pairs(csv.DictReader(["prompt,completion", "a,x"])) == [("a", "x")]
    assert "row 1: this row has more cells" in refusal(csv.DictReader(["prompt,completion", "a,x,y"]))
    assert "row 1: output (column 'completion') is empty" in refusal(csv.DictReader(["prompt,completion", "a"]))


async def asynchronous():
    yield ("a", "b")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (("a", "b"), "one pair: put it in a list"),
        ({"a": "b"}, "pass list(data.items())"),
        (b"a,b", "bytes: pass a path"),
        ("prompt,completion\na,b\n", "io.StringIO(text)"),
        ({"messages": [{"role": "user", "content": "a"}]}, "one example: put it in a list"),
        ({}, "empty"),
        (asynchronous(), "collect its rows in a list"),
        ("~/no-such-file.csv", "without ~"),
    ],
)
def test_what_is_nearly_training_data_is_refused_with_what_to_do(data, words):
    assert words in refusal(data)


# Cells


class Label(enum.Enum):
    GOOD = "good"


class NAType:
    def __bool__(self):
        raise TypeError

    def __eq__(self, other):
        return self

    __hash__ = None


@pytest.mark.parametrize("empty", [None, "", " \n", math.nan, decimal.Decimal("NaN"), NAType()])
def test_an_empty_cell_is_called_empty_however_it_is_written(empty):
    said = refusal([("a", "x"), ("b", empty)])
    assert said == "row 2: output is empty; fill it in or drop the row"


@pytest.mark.parametrize(
    ("cell", "text"), [(5, "5"), (1.5, "1.5"), (True, "True"), (decimal.Decimal("1.10"), "1.10"), (Label.GOOD, "good")]
)
def test_numbers_and_truth_are_written_out(cell, text):
    assert pairs([("a", cell)]) == [("a", text)]


@pytest.mark.parametrize("cell", [["a"], {"a": 1}, b"a", dt.date(2024, 1, 2)])
def test_other_cells_are_refused_without_the_name_of_a_class(cell):
    said = refusal([("a", cell)])
    assert said.startswith("row 1: output must be text or a number, not ")
    assert said.split(" not ")[1].startswith(("a list of 1:", "an object with fields:", "bytes:", "a date or time:"))


def test_whole_numbers_that_became_floats_are_written_without_their_fraction():
    read_ = read({"text": ["a", "b"], "label": [1.0, 2.0]})
    assert [each.output for each in read_.examples] == ["1", "2"]
    assert read_.report.notes == ("the outputs are whole numbers and are written without .0: 1.0 as 1",)
    assert [output for _, output in pairs({"text": ["a", "b"], "label": [1.0, 2.5]})] == ["1.0", "2.5"]


# Chats


CHAT = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": "Capital of Peru?"},
    {"role": "assistant", "content": "Lima"},
]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": CHAT},
        {"messages": [{"role": "developer", "content": "Be terse."}, *CHAT[1:]], "tools": None},
        {"messages": [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in CHAT]},
        {"context": "Be terse.", "messages": [{"author": "user", "content": "Capital of Peru?"}, CHAT[2]]},
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "Be terse."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Capital of Peru?"}]},
                {"role": "model", "parts": [{"text": "Lima"}]},
            ],
        },
        {
            "conversations": [
                {"from": "system", "value": "Be terse."},
                {"from": "human", "value": "Capital of Peru?"},
                {"from": "gpt", "value": "Lima"},
            ]
        },
    ],
    ids=["openai", "developer", "parts", "palm", "vertex", "sharegpt"],
)
def test_a_chat_of_one_turn_is_a_pair_with_its_instruction(row, file):
    wanted = [("Be terse.\n\nCapital of Peru?", "Lima")]
    assert pairs(file(json.dumps(row) + "\n", "train.jsonl")) == wanted
    assert pairs([row]) == wanted
    assert pairs({name: [value] for name, value in row.items()}) == wanted


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"messages": CHAT + CHAT[1:]},
            "row 1: the chat layout of OpenAI (messages) with 4 turns (user, assistant, ",
        ),
        ({"messages": CHAT[:2]}, "with 1 turns (user)"),
        ({"contents": [{"parts": [{"text": "a"}]}] * 2}, "the contents layout of Vertex AI with 2 turns (user, user)"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "a turn of 'tool'"),
        ({"messages": [CHAT[1], {**CHAT[2], "weight": 0}]}, "weight 0"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, CHAT[2]]}, "an image"),
        ({"messages": [{"role": "user", "content": " "}, CHAT[2]]}, "row 1: text_input is empty"),
    ],
)
def test_a_chat_that_is_no_pair_is_refused_by_the_name_of_its_layout(row, words):
    assert words in refusal([row])


# The report


def test_what_was_read_is_a_value_and_one_line(file):
    report = read(file("id,Question,Answer,\n1,a,x,\n2,b,y,\n")).report
    assert str(report) == "2 rows of train.csv; input = column 'Question', output = 'Answer'; left out: 'id'"
    assert (report.rows, report.input, report.output, report.left_out) == (2, ("Question",), ("Answer",), ("id",))
    assert str(read([("a", "x")]).report) == "1 row; input = first of each pair, output = second"


def test_the_report_of_chats_calls_the_turns_as_the_file_does():
    report = read([{"messages": CHAT}]).report
    assert (report.input, report.output) == (("messages: user",), ("messages: assistant",))


def test_examples_that_come_again_or_contradict_each_other_are_noted_with_their_rows():
    notes = read([("a", "x"), ("b", "y"), ("a", "x"), ("a", "z")]).report.notes
    assert notes == (
        "the same input has different outputs in rows 1 and 4",
        "the same example comes again in row 3 (as 1)",
    )
    (note,) = read([("a", "x")] * 9).report.notes
    assert note.endswith("rows 2 (as 1), 3 (as 1), 4 (as 1), 5 (as 1), 6 (as 1) and 3 more")


# Frames, where they are installed; what they look like is tested above without them.


def test_frames_of_pandas_are_read_whatever_they_are_turned_into():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"id": [1, 2], "text_input": QUESTIONS, "output": ANSWERS}, index=[4, 7])
    for data in (
        frame,
        frame.itertuples(),
        frame.to_records(),
        [row for _, row in frame.iterrows()],
        frame.T.to_dict(),
    ):
        assert pairs(data) == WANTED
    for orient in ("dict", "list", "series", "split", "tight", "records", "index"):
        assert pairs(frame.to_dict(orient)) == WANTED
    for orient in ("columns", "records", "index", "split", "table"):
        assert pairs(io.StringIO(frame.to_json(orient=orient))) == WANTED
    assert pairs(io.BytesIO(frame.to_csv(sep=";").encode("utf-16"))) == WANTED
    assert pairs(frame[["text_input", "output"]].to_numpy()) == WANTED
    assert pairs(pd.DataFrame(WANTED)) == WANTED
    assert "one column" in refusal(frame["output"])


def test_cells_of_pandas_are_empty_or_plain_values():
    pd = pytest.importorskip("pandas")
    text = ["a", "b", "c"]
    for gaps in (
        [1, 2, None],
        pd.array([1, 2, None], dtype="Int64"),
        pd.array(["x", "y", None], dtype="string"),
        pd.array([True, False, None], dtype="boolean"),
        ["x", "y", pd.NA],
        ["x", "y", pd.NaT],
    ):
        frame = pd.DataFrame({"text": text, "label": gaps})
        assert refusal(frame).startswith("row 3: output (column 'label') is empty")
    counted = pd.DataFrame({"text": text, "label": [1, 2, None]})
    assert [output for _, output in pairs(counted.dropna())] == ["1", "2"]
    assert [output for _, output in pairs(counted.assign(label=[True, False, True]))] == ["True", "False", "True"]


def test_frames_of_polars_and_tables_of_pyarrow_are_read():
    columns = {"id": [1, 2], "text_input": list(QUESTIONS), "output": list(ANSWERS)}
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(columns)
    for data in (frame, frame.to_dict(), frame.iter_rows(named=True), frame.select("text_input", "output").rows()):
        assert pairs(data) == WANTED
    assert "call collect()" in refusal(frame.lazy())
    pa = pytest.importorskip("pyarrow")
    for data in (pa.table(columns), pa.table(columns).to_batches()[0], pa.table(columns).to_pylist()):
        assert pairs(data) == WANTED
    assert "row 1: output is empty" in refusal(pa.table({"text_input": ["a"], "output": [None]}))


class FrameOfColumns:
    """A data frame from outside: a shape, names, and columns that know how to become a list."""

    class Column:
        def __init__(self, cells):
            self.cells = cells

        def __iter__(self):
            raise AssertionError("a column is turned into a list and not iterated over")

        def to_list(self):
            return list(self.cells)

    def __init__(self, **columns):
        self.held = columns
        self.columns = list(columns)
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __getitem__(self, name):
        return self.Column(self.held[name])

    def __iter__(self):
        raise AssertionError("a loop over a frame gives its columns or their names")


def test_a_data_frame_is_read_by_its_columns():
    frame = FrameOfColumns(id=[1, 2], text_input=QUESTIONS, output=ANSWERS)
    assert pairs(frame) == WANTED
    assert str(read(frame).report) == (
        "2 rows of a data frame; input = column 'text_input', output = 'output'; left out: 'id'"
    )
    assert "no column is known to be the input" in refusal(FrameOfColumns(Frage=["a"], Antwort=["x"]))
    assert "several sets of rows" in refusal({"train": frame, "test": frame})


def test_a_first_row_in_memory_that_may_be_a_heading_is_noted():
    rows = [["Frage", "Antwort"], ["Wie geht es dir?", "Gut."]]
    (note,) = read(rows).report.notes
    assert note.startswith("the first row ('Frage', 'Antwort') is read as an example; if it is the heading, say so")
    assert read(rows, heading=False).report.notes == ()
    assert pairs(rows, heading=True) == pairs(rows, input="Frage") == [("Wie geht es dir?", "Gut.")]
    assert read(rows[1:]).report.notes == read([("seven", "eight")]).report.notes == ()


def test_text_that_was_made_of_an_empty_cell_is_noted():
    (note,) = read([("a", "nan"), ("b", "<NA>")]).report.notes
    assert note == "cells that may have been empty are read as text, in rows 1 ('nan'), 2 ('<NA>')"


@pytest.mark.parametrize(
    ("mode", "encoding", "words"),
    [("w", "utf-8", "cannot be read (not readable)"), ("r", "utf-8", "not utf-8: open it in binary mode")],
)
def test_an_open_file_that_cannot_be_read_is_refused(mode, encoding, words, file):
    with file("prompt,completion\na,b\n", encoding="utf-16").open(mode, encoding=encoding) as opened:
        assert words in refusal(opened)
    assert "closed file" in refusal(opened)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("prompt,completion\na,b\n".encode("utf-16-le"), "UTF-16 without a mark: save it as UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "a spreadsheet of an old kind: save its rows as CSV"),
        (b"\x1f\x8b\x08\0\0", "compressed with gzip"),
        (b"PAR1\x15\0", "a Parquet file"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_name(content, words, file):
    assert words in refusal(file(content))


def test_what_only_vertex_ai_takes_is_refused_with_the_way_to_it():
    turns = [{"role": role, "content": "a"} for role in ("user", "assistant") * 2]
    for data in ("gs://bucket/train.jsonl", [{"messages": turns}]):
        assert refusal(data).endswith("; tune on Vertex AI, which takes it: vertexai=True")
