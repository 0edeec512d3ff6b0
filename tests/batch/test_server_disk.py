"""A disk without room: whatever of a part cannot be opened or written, none of its files stays open."""

import tempfile

import pytest

from batch.server_service import ServerService
from batch.service import Service, collect
from gemtune import errors

pytestmark = pytest.mark.usefixtures("virtual_time")
FILES = 7
"""That a run opens whose first part goes in halves: two for each of three spools, and one for results."""


class Disk:
    """Where temporary files are made, of which one cannot be opened, or not be written.

    Args:
        fails: Which one, from 1 on.
        opened: Whether it can be opened.
    """

    def __init__(self, fails, opened):
        self.fails, self.opened, self.made = fails, opened, []
        self._usual = tempfile.TemporaryFile

    def file(self):
        is_full = len(self.made) + 1 == self.fails
        if is_full and not self.opened:
            raise OSError(28, "No space left on device")
        self.made.append(DiskFile(self._usual(), is_full))
        return self.made[-1]


class DiskFile:
    def __init__(self, file, is_full):
        self._file, self._is_full = file, is_full

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __iter__(self):
        return iter(self._file)

    def write(self, data):
        if self._is_full:
            raise OSError(28, "No space left on device")
        return self._file.write(data)


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("fails", range(1, FILES + 1))
async def test_whichever_file_of_a_part_is_not_to_be_had_all_others_are_closed(monkeypatch, fails, opened):
    disk = Disk(fails, opened)
    monkeypatch.setattr(tempfile, "TemporaryFile", disk.file)
    async with (
        Service(0.0).client() as client,
        ServerService(queue=3).batch(client, ["a"] * 6, finish="local") as found,
    ):
        with pytest.raises(errors.GemtuneError, match="No space left on device; make room .* TMPDIR"):
            await collect(found)
    assert len(disk.made) >= fails - (not opened)
    assert all(each.closed for each in disk.made)
