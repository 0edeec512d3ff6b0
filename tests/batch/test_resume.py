"""A file mended, and run again: one line for every row that is in it now, and none besides."""

import json

import anyio.to_thread
import pytest

from batch.service import MODEL, Service, run
from gemtune import errors
from gemtune.batch import export_journal
from gemtune.batch.files import FileRows, Layout


async def exported(client, path, journal, **layout):
    """The keys of the output after a run over a file, and whether each is an answer."""
    rows = FileRows(path, Layout(**layout))
    async with client.batch(MODEL, rows, journal=journal) as results:
        async for _ in results:
            pass
    out = path.with_suffix(".out")
    await anyio.to_thread.run_sync(lambda: export_journal(journal, out, places=results.places))
    found = [json.loads(line) for line in out.read_text().splitlines()]
    return [(line["key"], "response" in line) for line in found]


async def test_rows_that_were_mended_have_one_line_each(tmp_path):
    path = tmp_path / "in.jsonl"
    async with Service(0.0).client() as client:
        path.write_text('{"key":"a","prompt":"x","l":1}\n{"key":"g","promt":"y","l":1}\nnonsense\n')
        assert await exported(client, path, tmp_path / "j") == [("a", True), ("g", False), (2, False)]
        path.write_text('{"key":"a","prompt":"x"}\n{"key":"g","prompt":"y"}\n{"key":"n","prompt":"z"}\n')
        assert await exported(client, path, tmp_path / "j") == [("a", True), ("g", True), ("n", True)]


async def test_a_row_that_was_taken_out_leaves_no_line_and_moved_ones_stand_where_they_are_now(tmp_path):
    path = tmp_path / "in.jsonl"
    async with Service(0.0).client() as client:
        path.write_text('{"key":"a","prompt":"x"}\n{"key":"bad","prompt":""}\n{"key":"c","prompt":"z"}\n')
        await exported(client, path, tmp_path / "j")
        path.write_text('{"key":"new","prompt":"y"}\n{"key":"c","prompt":"z"}\n{"key":"a","prompt":"x"}\n')
        assert await exported(client, path, tmp_path / "j") == [("new", True), ("c", True), ("a", True)]


@pytest.mark.parametrize("journal", [True, False])
async def test_a_key_used_twice_fails_the_second_row_and_names_both(tmp_path, journal):
    options = {"journal": tmp_path / "j"} if journal else {}
    rows = [("a", "x"), ("b", "y"), ("a", "z")]
    service = Service(0.0)
    async with service.client() as client:
        found = await run(client, rows, order="input", **options)
        assert [(one.key, one.ok) for one in found] == [("a", True), ("b", True), (2, False)]
        assert isinstance(found[2].error, errors.InvalidInput)
        assert str(found[2].error).startswith("row 3: the key 'a' was used before, in row 1")
        if journal:
            rows[2] = ("c", "z")
            assert [(one.key, one.ok) for one in await run(client, rows, resume="rest", **options)] == [("c", True)]
    assert service.asked.total() == 2 + journal
