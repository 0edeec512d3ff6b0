"""What a program does to have its answers in a file, in the order of its input."""

import json

import anyio.to_thread
import pytest

from batch.service import MODEL, Service, collect, envelope
from gemtune import errors


async def lines(path):
    text = await anyio.to_thread.run_sync(path.read_text)
    return [json.loads(line) for line in text.splitlines()]


async def exported(client, rows, path, **options):
    """The keys of the output after a run, and whether each is an answer."""
    async with client.batch(MODEL, rows, journal=path / "j", **options) as results:
        await collect(results)
    count = await results.export(path / "out.jsonl")
    found = await lines(path / "out.jsonl")
    assert count == len(found)
    return [(line["key"], "response" in line) for line in found]


@pytest.mark.parametrize("keyed", [False, True])
async def test_an_export_is_in_the_order_of_the_input_answers_and_failures(tmp_path, keyed):
    service = Service(0.0)
    service.seconds["p0"] = 0.05
    service.steps["p2"].append(envelope(400, "INVALID_ARGUMENT", "no"))
    rows = [(f"k{n}", f"p{n}") if keyed else f"p{n}" for n in range(5)]
    async with service.client() as client:
        found = await exported(client, rows, tmp_path)
    keys = [f"k{n}" for n in range(5)] if keyed else list(range(5))
    assert found == [(key, at != 2) for at, key in enumerate(keys)]


async def test_an_export_is_of_the_input_as_it_is_now_and_not_of_what_the_journal_held_besides(tmp_path):
    async with Service(0.0).client() as client:
        await exported(client, [("a", "x"), ("gone", "y"), ("c", "z")], tmp_path)
        found = await exported(client, [("c", "z"), ("new", "w"), ("a", "x")], tmp_path)
        assert found == [("c", True), ("new", True), ("a", True)]
        async with client.batch(MODEL, {"a": "x"}, journal=tmp_path / "j") as results:
            assert await collect(results) == []
            assert await results.export(tmp_path / "out.jsonl", order="completed") == 1


async def test_an_export_can_be_made_under_way_of_what_was_published(tmp_path):
    service = Service(0.0)
    async with (
        service.client() as client,
        client.batch(MODEL, [f"p{n}" for n in range(50)], journal=tmp_path / "j", concurrency=1) as results,
    ):
        first = await anext(results)
        assert await results.export(tmp_path / "out.jsonl") >= 1
    assert (await lines(tmp_path / "out.jsonl"))[0]["key"] == first.key == 0


async def test_there_is_nothing_to_export_without_a_journal_or_before_the_run(tmp_path):
    async with Service(0.0).client() as client:
        for options in ({}, {"journal": tmp_path / "j"}):
            batch = client.batch(MODEL, ["a"], **options)
            with pytest.raises(errors.MisuseError, match="journal=PATH" if not options else "async with"):
                await batch.export(tmp_path / "out.jsonl")
    assert list(tmp_path.iterdir()) == []
