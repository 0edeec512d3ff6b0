"""The way into the journal: what is published when, what is told when it fails, and that it rests meanwhile.

The journal is a stand-in where its thread has to be caught in the act.
"""

import errno
import os

import anyio
import anyio.lowlevel
import attrs
import pytest

from batch.service import MODEL, Service, run
from gemtune import errors
from gemtune.batch import BatchResult
from gemtune.batch.journal import locked
from gemtune.batch.journal.writer import JournalWriter
from gemtune.batch.outbox import Outbox


@attrs.define
class Paper:
    """A journal that counts how often it is looked at, and does something while it is written."""

    meanwhile: list = attrs.field(factory=list)
    looks: int = 0
    written: int = 0
    _lines: int = 0

    @property
    def dirty(self):
        self.looks += 1
        return False

    def append(self, line):
        self._lines += 1
        return self._lines

    def flush(self):
        while self.meanwhile:
            self.meanwhile.pop()()
        self.written = self._lines

    def sync(self):
        pass

    def close(self):
        pass


@pytest.mark.both_backends
async def test_a_writer_that_has_written_what_came_in_meanwhile_rests(virtual_time):
    outbox, paper = Outbox(ordered=False), Paper()
    commit = JournalWriter(paper, outbox, "batch", pytest.fail)

    def put(index):
        commit.put(outbox.begin(), BatchResult(key=index, index=index), None, 0)

    paper.meanwhile.append(lambda: put(1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(commit.run)
        put(0)
        found = [await outbox.get(), await outbox.get()]
        paper.looks = 0
        for _ in range(1000):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert [result.index for result in found] == [0, 1]
    assert paper.looks <= 3


@pytest.mark.both_backends
@pytest.mark.parametrize("durability", ["batch", "sync", "none"])
async def test_a_journal_keeps_virtual_time(tmp_path, virtual_time, durability):
    service = Service(1.0)
    async with service.client() as client:
        rows = [f"p{n}" for n in range(100)]
        found = await run(client, rows, journal=tmp_path / "j", concurrency=4, durability=durability)
    assert len(found) == 100
    assert virtual_time() == pytest.approx(100 / 4, abs=1)


@pytest.mark.usefixtures("virtual_time")  # the last answer comes before the next sync of the disk, however slow it is
@pytest.mark.parametrize("durability", ["batch", "sync"])
async def test_where_the_last_sync_fails_every_answer_is_yielded_or_told_as_unsaved(tmp_path, durability, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    service, path, found = Service(0.0), tmp_path / "j", []
    service.seconds["p19"] = 0.05
    options = {"journal": path, "concurrency": 1, "durability": durability}

    async def take(results):
        async for result in results:
            found.append(result.index)
            if result.index == 18:
                monkeypatch.setattr(locked, "_sync_data", fail)

    async with service.client() as client, client.batch(MODEL, [f"p{n}" for n in range(20)], **options) as results:
        with pytest.raises(errors.JournalError, match="is not safe on the disk: Input/output error") as caught:
            await take(results)
    unsaved = [result.index for result in caught.value.unsaved]
    assert service.answered == 20
    assert sorted(found + unsaved) == list(range(20))
    assert bool(unsaved) is (durability == "sync")
