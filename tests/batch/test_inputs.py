"""What is given as a whole input: taken as rows, or refused with what to give instead."""

import csv
import io
import pathlib

import pytest

from batch.service import MODEL, Service, run
from gemtune import errors
from gemtune.batch.keys import Known, RecentKeys
from gemtune.types import Content, GenerateContentRequest

pytestmark = pytest.mark.usefixtures("virtual_time")


class Frame:
    """A data frame as pandas has it: iterating over it gives the names of its columns."""

    columns = ("id", "prompt")
    shape = (2, 2)

    def __iter__(self):
        return iter(self.columns)

    def __len__(self):
        return 2


class ColumnFrame(Frame):
    """One as polars has it: iterating over it gives its columns."""

    def __iter__(self):
        return iter([["1", "2"], ["x", "y"]])


class Lazy(Frame):
    """One that is not computed yet, and cannot be iterated over."""

    __iter__ = None
    shape = None


def endless():
    yield "x"


async def forever():
    yield "x"


class OpenTable(io.StringIO):
    name = "rows.csv"


class Number:
    """A whole number as numpy has it: no int, but as good as one."""

    def __index__(self):
        return 7


COLUMNS = {"id": ["1", "2"], "prompt": ["x", "y"]}
REFUSED = {
    "a frame": (Frame(), r'inputs is a data frame .*: give a column, frame\["prompt"\], or rows, zip\(frame\["id"\]'),
    "a frame of columns": (ColumnFrame(), "inputs is a data frame"),
    "a lazy frame": (Lazy(), "not Lazy"),
    "a dict of columns": (COLUMNS, r"inputs is a dict of columns .*: give one, inputs\['prompt'\], or rows, zip\("),
    "a dict that is one request": ({"contents": "x", "generationConfig": {}}, r"one request: put it in \[ \]"),
    "one request": (GenerateContentRequest(contents="x"), r"put one prompt in \[ \]"),
    "one content": (Content(parts=["x"]), r"put one prompt in \[ \]"),
    "one prompt": ("x", r"put one prompt in \[ \]"),
    "bytes": (b"x", r"put one prompt in \[ \]"),
    "a bytearray": (bytearray(b"x"), r"put one prompt in \[ \]"),
    "a path": (pathlib.Path("in.jsonl"), r"FileRows\("),
    "a number": (7, "not int"),
    "a csv.reader": (csv.reader(["prompt", "x"]), "inputs is a csv.reader, .*: use csv.DictReader"),
    "an open table": (OpenTable(), r"inputs is an open file, .*FileRows\('rows.csv'\)"),
    "columns by row number": ({"id": {0: "1"}, "prompt": {0: "x"}}, "inputs is a dict of columns"),
    "a generator function": (endless, r"inputs is the function endless: call it, endless\(\)"),
    "an async generator function": (forever, r"inputs is the function forever: call it, forever\(\)"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_an_input_that_would_be_read_wrongly_is_refused_with_what_to_give(what):
    inputs, message = REFUSED[what]
    async with Service().client() as client:
        with pytest.raises(errors.InvalidInput, match=message) as caught:
            client.batch(MODEL, inputs)
    assert caught.value.field == "inputs"


async def test_columns_that_were_put_together_to_rows_are_rows():
    async with Service().client() as client:
        found = await run(client, zip(COLUMNS["id"], COLUMNS["prompt"], strict=True))
    assert [(one.key, one.text) for one in found] == [("1", "re: x"), ("2", "re: y")]


async def test_whole_numbers_are_known_by_their_text_and_come_back_as_whole_numbers(tmp_path):
    rows = [(10, "x"), (Number(), "y"), (-1, "z"), ("10", "w"), (2**1024, "v")]
    async with Service().client() as client:
        found = await run(client, rows, order="input", journal=tmp_path / "j")
        assert [(one.key, one.ok) for one in found] == [(10, True), (7, True), (-1, True), (3, False), (4, False)]
        assert await run(client, [("10", "x")], journal=tmp_path / "j", resume="rest") == []
        assert [one.key for one in await run(client, {1: "x"})] == [1]


async def test_the_rows_of_the_services_own_batches_are_rows():
    rows = [
        {"key": "a", "request": {"contents": [{"parts": [{"text": "x"}]}]}},
        {"request": {"contents": "y"}, "key": 5},
    ]
    async with Service().client() as client:
        found = await run(client, rows, order="input")
    assert [(one.key, one.text) for one in found] == [("a", "re: x"), (5, "re: y")]


async def test_a_dict_may_hold_prompts_of_several_parts_as_long_as_one_is_none():
    async with Service().client() as client:
        found = await run(client, {"a": ["one, ", "two"], "b": "three"})
    assert [(one.key, one.text) for one in found] == [("a", "re: two"), ("b", "re: three")]


# Keys without a journal


def test_without_a_journal_the_last_keys_are_remembered_in_constant_memory():
    recent = RecentKeys(1000)
    for n in range(30_000):
        assert recent.meet(n, f"k{n}") is None
        if n >= 1000:
            assert recent.meet(n, f"k{n - 999}") == Known(n - 999)
        assert len(recent) <= 1000
    assert recent.meet(30_000, "k5") is None


async def test_a_run_without_a_journal_keeps_no_account_of_all_its_items():
    async with Service(0.0).client() as client, client.batch(MODEL, [("k", "x"), "y", ("k", "z")]) as results:
        found = [result async for result in results]
    assert sorted((one.index, one.ok) for one in found) == [(0, True), (1, True), (2, False)]
    assert results.places is None
