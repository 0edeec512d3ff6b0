"""What a program does to have its answers in a file, in the order of its input."""

import json
import os
import resource

import anyio.to_thread
import pytest

from batch.service import MODEL, Service, collect, envelope, run
from gemtune import errors
from gemtune.batch import export_journal, read_journal
from gemtune.batch.journal import export
from gemtune.batch.keys import unnamed_database


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
        async with client.batch(MODEL, {"a": "x"}, journal=tmp_path / "j", resume="rest") as results:
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


async def refused(tmp_path, output):
    """The error of an export; the journal is as it was, and nothing half-written is left."""
    async with Service(0.0).client() as client:
        results = client.batch(MODEL, [f"p{n}" for n in range(5)], journal=tmp_path / "j")
        await results.collect()
        before = (tmp_path / "j").read_bytes()
        with pytest.raises(errors.GemtuneError) as caught:
            await results.export(output)
    assert (tmp_path / "j").read_bytes() == before
    assert not [*tmp_path.rglob(".gemtune*")]
    return caught.value


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("none/out", "there is no folder {0}/none: make it, or name another output"),
        ("j/out", "there is no folder {0}/j: make it, or name another output"),
        ("folder", "{0}/folder is a directory: name a file in it as the output"),
        ("pipe", "{0}/pipe is not a regular file: name another output"),
        ("j", "{0}/j is the journal: name another output"),
        ("link", "{0}/link is the journal: name another output"),
    ],
)
async def test_an_output_that_cannot_be_one_is_refused_with_its_path(tmp_path, output, message):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "j")
    error = await refused(tmp_path, tmp_path / output)
    assert isinstance(error, errors.InvalidInput)
    assert (str(error), error.field) == (message.format(tmp_path), "output")


async def test_an_output_that_does_not_fit_is_told_as_ours_and_leaves_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with Service(0.0).client() as client:
        results = client.batch(MODEL, {"k": "a"}, journal=tmp_path / "j")
        await results.collect()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        try:
            with pytest.raises(errors.GemtuneError, match=r"out could not be written: File too large; nothing is lost"):
                await results.export(tmp_path / "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [path.name for path in tmp_path.iterdir()] == ["j"]
        assert await results.export(tmp_path / "out") == 1


async def test_an_index_without_room_is_told_as_the_journals_error(tmp_path, monkeypatch):
    def full():
        database = unnamed_database()
        database.execute("pragma max_page_count = 2")
        return database

    async with Service(0.0).client() as client:
        await run(client, {f"k{n}": "a" for n in range(500)}, journal=tmp_path / "j")
    monkeypatch.setattr(export, "unnamed_database", full)
    match = r"j cannot be compared .* an unnamed file .*: database or disk is full; make room there"
    with pytest.raises(errors.JournalError, match=match) as caught:
        await anyio.to_thread.run_sync(export_journal, tmp_path / "j", tmp_path / "out")
    assert caught.value.path == str(tmp_path / "j")
    assert [path.name for path in tmp_path.iterdir()] == ["j"]


@pytest.mark.parametrize("what", ["", "none"])
@pytest.mark.parametrize("export", [False, True])
def test_a_journal_that_cannot_be_read_is_told_as_the_journals_error(tmp_path, what, export):
    path = tmp_path / what
    with pytest.raises(errors.JournalError, match=r"cannot be read: (No such file|Is a directory)") as caught:
        export_journal(path, tmp_path / "out") if export else next(read_journal(path))
    assert caught.value.path == str(path)
