"""Nothing that was paid for is ever deleted: a journal that is not understood is refused by every door, and stays."""

import json
import os
import shutil
import zlib
from contextlib import suppress
from itertools import islice
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from batch.service import MODEL, Service, collect
from batch.test_journal import opened, result, write
from gemtune import errors
from gemtune.batch import export_journal, read_journal
from gemtune.batch.journal import export
from gemtune.batch.journal.lines import Header
from gemtune.batch.journal.locked import remove_if_empty
from gemtune.batch.journal.sent import PartNote, SentItem
from gemtune.cli import main


def signed(text):
    text = text if isinstance(text, bytes) else text.encode()
    return b'%b,"crc":"%08x"}\n' % (text, zlib.crc32(text))


def line(n=0, digest="0" * 16, key="null", attempts="1", seconds="0.100", body='"response":{}'):
    fields = f'{{"n":{n},"digest":"{digest}","key":{key},"attempts":{attempts},"seconds":{seconds},{body}'
    return signed(fields)


HEADER = Header(MODEL, {}).to_line()
STATES = ("intended", "placed", "created", "ended", "void")
NEWER = {
    "a newer header": signed(f'{{"gemtune_journal":2,"model":"{MODEL}","config":{{}}') + line(),
    "a newer header alone": signed(f'{{"gemtune_journal":2,"model":"{MODEL}","config":{{}}'),
    "a header without a model": signed('{"gemtune_journal":2') + line(),
    "a field more": HEADER + signed('{"n":0,"digest":"0000000000000000","key":null,"model_version":"x","response":{}'),
    "another kind of line": HEADER + line() + signed('{"lease":"host:1"'),
    "an unknown line at the end": HEADER + line() + line(1) + signed('{"n":2'),
    "an unknown line alone": HEADER + signed('{"news":1'),
}
DOORS = {
    "read_journal": lambda path: list(read_journal(path)),
    "export_journal": lambda path: export_journal(path, path.with_name("out")),
    "client.batch": opened,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", NEWER)
def test_a_journal_of_a_newer_version_is_refused_by_every_door_and_stays(tmp_path, kind, door):
    (tmp_path / "j").write_bytes(NEWER[kind])
    with pytest.raises(errors.JournalMismatch, match="newer version of gemtune") as caught:
        DOORS[door](tmp_path / "j")
    assert caught.value.path == str(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == NEWER[kind]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", NEWER)
def test_the_command_refuses_it_as_well_and_leaves_it(tmp_path, kind, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-tests")
    Path("in.txt").write_text("a\n")
    Path("out.journal").write_bytes(NEWER[kind])
    assert main(["batch", "in.txt", "out", "--model", MODEL, "--resume"]) != 0
    assert "newer version of gemtune" in capsys.readouterr().err
    assert Path("out.journal").read_bytes() == NEWER[kind]


@pytest.mark.parametrize("kind", NEWER)
def test_only_what_holds_a_header_of_ours_and_nothing_else_may_be_removed(tmp_path, kind):
    for content in (NEWER[kind], HEADER + b'{"n":0,"dig', HEADER + bytes(10), HEADER * 2, HEADER[:-1], b"\n", b"mine"):
        (tmp_path / "j").write_bytes(content)
        assert not remove_if_empty(tmp_path / "j")
        assert (tmp_path / "j").read_bytes() == content
    write(tmp_path / "other", result(0))
    assert not remove_if_empty(tmp_path / "other")
    for content in (HEADER, b""):
        (tmp_path / "j").write_bytes(content)
        assert remove_if_empty(tmp_path / "j")
        assert not (tmp_path / "j").exists()


def test_a_journal_of_parts_without_a_batch_may_be_removed_and_of_others_not(tmp_path):
    sent = [SentItem(n, 7, None, mark).to_line() for n, mark in enumerate(("first", "first", "second"))]
    notes = {(mark, state): PartNote(mark, 2, state).to_line() for mark in ("first", "second") for state in STATES}
    nothing = HEADER + b"".join(sent)
    void = [notes["first", state] for state in ("intended", "placed", "void")]
    for content in (nothing, nothing + b"".join(void), nothing + b"".join([*void, notes["second", "void"]])):
        (tmp_path / "j").write_bytes(content)
        assert remove_if_empty(tmp_path / "j")
    perhaps = [*void, notes["second", "intended"]]
    for more in (void[:1], void[:2], [*void, line()], perhaps, *([notes["first", s]] for s in STATES[2:4])):
        content = nothing + b"".join(more)
        (tmp_path / "j").write_bytes(content)
        assert not remove_if_empty(tmp_path / "j")
        assert (tmp_path / "j").read_bytes() == content


def test_a_journal_that_somebody_writes_is_not_removed(tmp_path):
    journal = opened(tmp_path / "j")
    assert not remove_if_empty(tmp_path / "j")
    journal.close()
    assert remove_if_empty(tmp_path / "j")


def test_a_journal_that_has_lost_its_line_ends_is_not_begun_again(tmp_path):
    content = (HEADER + line()).replace(b"\n", b" ")
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(errors.JournalMismatch):
        opened(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == content


CRAFTED = {
    "an error without fields": line(body='"error":{}'),
    "an error that is a list": line(body='"error":[]'),
    "an error that is null": line(body='"error":null'),
    "a code that is none": line(body='"error":{"code":"x","message":5,"status":[]}'),
    "a reply that is a list": line(body='"response":[1]'),
    "a reply that is a number": line(body='"response":1'),
    "a reply of wrong types": line(body='"response":{"candidates":[{"content":{"parts":5}}]}'),
    "a reply that is cut": line(body='"response":{"candidates":['),
    "a reply that is nested": line(body='"response":' + "[" * 100_000),
    "two replies": line(body='"response":{}{}'),
    "a key that is no string": line(key='"\\x"'),
    "a key with a control character": line(key='"\x01"'),
    "a key that is not UTF-8": HEADER and signed(line()[:-17].replace(b"null", b'"\xff"', 1)),
    "a place beyond all memory": line(n=10**15 - 1),
    "a long time": line(seconds="999999999999.999", attempts="999999999"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", CRAFTED)
def test_a_crafted_line_with_a_right_checksum_is_a_documented_error_or_an_outcome(tmp_path, what, door):
    (tmp_path / "j").write_bytes(HEADER + CRAFTED[what])
    with suppress(errors.JournalCorrupt, errors.JournalMismatch):
        DOORS[door](tmp_path / "j")
    if (tmp_path / "out").exists():
        assert [json.loads(text) for text in (tmp_path / "out").read_text().splitlines()]


@pytest.mark.parametrize("config", ['{"a":5}', "[]", "null", "5", '{"a":{}}'])
def test_a_crafted_header_is_a_documented_error(tmp_path, config):
    (tmp_path / "j").write_bytes(signed(f'{{"gemtune_journal":1,"model":"{MODEL}","config":{config}') + line())
    with pytest.raises(errors.JournalMismatch):
        opened(tmp_path / "j")


@pytest.mark.parametrize("path", ["a\0b", "half of \ud83d", "", 5, b"bytes"], ids=ascii)
async def test_a_path_that_no_file_can_have_is_invalid_input_at_every_door(tmp_path, path):
    (tmp_path / "j").write_bytes(HEADER)
    async with Service(0.0).client() as client:
        with pytest.raises(errors.InvalidInput, match="must be the path of a file"):
            client.batch(MODEL, ["a"], journal=path)
    for call in (
        lambda: list(read_journal(path)),
        lambda: export_journal(path, tmp_path / "out"),
        lambda: export_journal(tmp_path / "j", path),
    ):
        with pytest.raises(errors.InvalidInput, match="must be the path of a file"):
            await anyio.to_thread.run_sync(call)


# Under a run


def replaced(path):
    shutil.copy(path, f"{path}.copy")
    Path(f"{path}.copy").replace(path)


def grown(path):
    with path.open("ab") as file:
        file.write(b"something\n")


HARM = {
    "was deleted": Path.unlink,
    "was replaced": replaced,
    "was cut to 100 bytes": lambda path: os.truncate(path, 100),
    "was written to by somebody else": grown,
}


@pytest.mark.parametrize("durability", ["batch", "sync", "none"])
@pytest.mark.parametrize("after", [1, 20])
@pytest.mark.parametrize("harm", HARM)
async def test_a_journal_that_is_lost_under_a_run_ends_it_in_every_durability(tmp_path, harm, durability, after):
    found, rows = [], [f"p{n}" for n in range(40)]
    options = {"journal": tmp_path / "j", "durability": durability, "concurrency": 2}

    async def take(results):
        async for one in results:
            found.append(one)
            if len(found) == after:
                await anyio.to_thread.run_sync(HARM[harm], tmp_path / "j")

    async with Service(0.0).client() as client:
        with pytest.raises(errors.JournalError, match=harm) as caught:
            async with client.batch(MODEL, rows, **options) as results:
                await take(results)
    assert not {one.index for one in found} & {one.index for one in caught.value.unsaved}


async def test_the_journal_stays_locked_until_the_block_is_left(tmp_path):
    async with Service(0.0).client() as client:
        async with client.batch(MODEL, ["a", "b"], journal=tmp_path / "j") as results:
            await collect(results)
            with pytest.raises(errors.JournalBusy):
                await anyio.to_thread.run_sync(opened, tmp_path / "j")
            assert await results.export(tmp_path / "out") == 2
        (await anyio.to_thread.run_sync(opened, tmp_path / "j")).close()


async def test_an_export_that_is_cancelled_leaves_nothing(tmp_path, monkeypatch):
    def cancelled(lines, to):
        count = plain(islice(lines, 100), to)
        anyio.from_thread.run_sync(scope.cancel)
        return count + plain(lines, to)

    plain, scope = export.write_lines, anyio.CancelScope()
    monkeypatch.setattr(export, "write_lines", cancelled)
    rows = [f"p{n}" for n in range(300)]
    async with Service(0.0).client() as client, client.batch(MODEL, rows, journal=tmp_path / "j") as results:
        await collect(results)
        with scope:
            await results.export(tmp_path / "out")
        assert scope.cancelled_caught
    assert [path.name for path in tmp_path.iterdir()] == ["j"]


@pytest.mark.parametrize("kind", NEWER)
async def test_a_batch_on_a_newer_journal_asks_nothing(tmp_path, kind):
    (tmp_path / "j").write_bytes(NEWER[kind])
    service = Service(0.0)
    async with service.client() as client:
        with pytest.raises(errors.JournalMismatch, match="newer version of gemtune"):
            await client.generate_many(MODEL, ["a", "b"], journal=tmp_path / "j")
    assert service.asked.total() == 0
    assert (tmp_path / "j").read_bytes() == NEWER[kind]
