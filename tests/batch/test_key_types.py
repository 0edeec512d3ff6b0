"""Keys come back in the type in which they were given: from the run, from its journal, and in what is written."""

import json

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import virtualtime
from batch.service import MODEL, Service, collect, run
from gemtune import errors
from gemtune.batch import read_journal

WHOLE = st.integers(-(2**1024) + 1, 2**1024 - 1)
SPELLED = WHOLE | WHOLE.map(str) | st.text(max_size=5)


class Number(int):
    """A whole number that is not exactly an int, as members of an enumeration are."""

    def __index__(self):
        return int(self)


KEYS = st.lists(SPELLED | st.integers(-(2**63), 2**63 - 1).map(Number), max_size=8)


def typed(keys):
    """Keys with their types, as 1 and True and "1" must not pass for each other."""
    return [(type(key), key) for key in keys]


def expected(given):
    """What the keys of a batch's results are: as given, odd integers as plain ones, and the index of a repeated one."""
    found, met = [], set()
    for index, key in enumerate(given):
        plain = key if isinstance(key, str) else int(key)
        found.append(index if str(plain) in met else plain)
        met.add(str(plain))
    return typed(found)


def in_virtual_time(function, *args):
    return anyio.run(function, *args, backend_options={"loop_factory": virtualtime.VirtualTimeLoop})


@settings(max_examples=30)
@given(KEYS, st.integers(0, 8))
@example([1, "1", Number(1), 2**64, str(2**64), 0, -1, "", "a"], 3)
def test_keys_come_back_as_they_were_given_with_and_without_a_journal_and_when_resumed(tmp_path_factory, keys, cut):
    journal = tmp_path_factory.mktemp("keys") / "j"

    async def play():
        async with Service(0.01).client() as client:
            rows = [(key, f"p{n}") for n, key in enumerate(keys)]
            assert typed(one.key for one in await run(client, rows, order="input")) == expected(keys)
            first = await run(client, rows[:cut], order="input", journal=journal)
            async with client.batch(MODEL, rows, order="input", journal=journal) as results:
                found = await results.collect()
                await results.export(journal.with_suffix(".jsonl"))
        assert typed(one.key for one in first) == expected(keys)[:cut]
        assert typed(one.key for one in found) == expected(keys)

    in_virtual_time(play)
    written = [json.loads(line)["key"] for line in journal.with_suffix(".jsonl").read_bytes().splitlines()]
    assert typed(written) == expected(keys)
    assert typed(one.key for one in read_journal(journal, order="input")) == expected(keys)


@pytest.mark.parametrize(
    ("first", "then"),
    [(1, "1"), ("1", 1), (Number(1), "1"), (2**1000, str(2**1000))],
    ids=["number", "text", "another number", "long"],
)
async def test_a_key_is_the_same_one_as_a_number_and_as_its_text(tmp_path, first, then):
    journal = tmp_path / "j"
    async with Service(0.01).client() as client:
        one, other = await run(client, [(first, "x"), (then, "y")], order="input")
        assert (one.ok, other.ok) == (True, False)
        assert "was used before, in row 1" in str(other.error)
        await run(client, [(first, "x")], journal=journal)
        assert await run(client, [(then, "x")], journal=journal, resume="rest") == []
        with pytest.raises(errors.JournalMismatch):
            await run(client, [(then, "another")], journal=journal)


async def test_a_frame_s_columns_make_rows_whose_keys_find_their_rows(tmp_path):
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    frame = pandas.DataFrame({"id": [30, 10, 20], "prompt": ["x", "y", "z"]})
    async with (
        Service(0.01).client() as client,
        client.batch(MODEL, zip(frame["id"], frame["prompt"], strict=True), journal=tmp_path / "j") as results,
    ):
        found = {one.key: one.text for one in await collect(results)}
        assert [one.key for one in await run(client, [(numpy.uint64(2**64 - 1), "x")])] == [2**64 - 1]
    assert typed(found) == [(int, 30), (int, 10), (int, 20)]
    assert found == {30: "re: x", 10: "re: y", 20: "re: z"}
    assert list(frame["id"].map(found)) == ["re: x", "re: y", "re: z"]


async def test_what_a_journal_from_before_holds_comes_with_the_keys_as_the_input_gives_them_now(tmp_path):
    journal = tmp_path / "j"
    async with Service(0.01).client() as client:
        await run(client, [("1", "x")], journal=journal)  # how a key 1 was written then
        async with client.batch(MODEL, [(1, "x"), (2, "y")], journal=journal, order="input") as results:
            found = await results.collect()
    assert typed(one.key for one in found) == [(int, 1), (int, 2)]
    assert typed(one.key for one in read_journal(journal, order="input")) == [(str, "1"), (int, 2)]
