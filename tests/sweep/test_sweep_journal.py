"""The folder of a sweep: what cannot be used is said in words, and what would only be in the way does not stay."""

import errno

import pytest

from gemtune.batch.journal.locked import LockedFile
from gemtune.errors import BadRequest, InvalidInput, JournalCorrupt, JournalError
from gemtune.sweep import PointState
from gemtune.sweep.journal.folder import POINTS
from sweep.emulated import FACES, ROWS, Gemini, GiveUp, Wire

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]
LOSS = {"space": {"epoch_count": [1, 2]}, "objective": "loss", "validation": None}


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request):
    return request.param


async def test_an_empty_path_is_no_folder_and_not_the_one_that_you_are_in():
    async with Gemini.client(Gemini.app()) as client:
        with pytest.raises(InvalidInput, match="journal must be the path of a folder, not ''"):
            client.sweep(Gemini.base, ROWS, journal="", **LOSS)


async def test_where_everything_was_left_out_another_sweep_may_have_the_folder(face, tmp_path):
    app, folder = face.app(), tmp_path / "sweep"
    async with face.client(app) as client:
        sweep = client.sweep(face.base, ROWS, journal=folder, token_budget=1, **LOSS)
        await sweep.run()
        assert [each.state for each in sweep.points] == [PointState.LEFT_OUT] * 2
        assert not folder.exists()
        folder.mkdir()  # and one that was there before stays
        await client.sweep(face.base, ROWS, journal=folder, token_budget=1, **LOSS).run()
        assert list(folder.iterdir()) == []
        await client.sweep(face.base, ROWS, journal=folder, **(LOSS | {"space": {"epoch_count": [3]}})).run()
    assert (folder / POINTS).exists()
    assert len(face.jobs(app)) == 1


async def test_a_base_model_that_the_service_refuses_leaves_no_folder_that_is_in_the_way(face, tmp_path):
    wire = Wire(face.app(), lambda kind, _: "400 INVALID_ARGUMENT not this one" if kind == "create" else None)
    async with face.client(wire.app, wire) as client:
        with pytest.raises(BadRequest):
            await client.sweep(face.base, ROWS, journal=tmp_path / "sweep", **LOSS).run()
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("said", ["503", "lost", "503 after"])
async def test_what_may_have_been_created_keeps_the_folder_whatever_ends_the_sweep(face, said, tmp_path):
    denied = "403 PERMISSION_DENIED you may not"
    wire = Wire(face.app(), lambda kind, count: (said if count == 1 else denied) if kind == "create" else None)
    async with face.client(wire.app, wire) as client:
        with pytest.raises(Exception, match="you may not"):
            await client.sweep(face.base, ROWS, journal=tmp_path / "sweep", **LOSS).run()
    jobs = face.jobs(wire.app)
    assert not jobs or (tmp_path / "sweep" / POINTS).exists()


@pytest.mark.parametrize("line", [1, 3])
async def test_a_journal_that_somebody_has_changed_is_refused_before_anything_is_created(face, line, tmp_path):
    app, path = face.app(), tmp_path / "sweep" / POINTS
    async with face.client(app) as client:
        await client.sweep(face.base, ROWS, journal=path.parent, **LOSS).run()
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:line], lines[line].replace(b"point", b"joint"), *lines[line + 1 :]]))
        with pytest.raises(JournalCorrupt, match=r"changed after it was written, at byte \d+; restore the file"):
            await client.sweep(face.base, ROWS, journal=path.parent, **LOSS).run()
        path.write_bytes(b"".join(each for each in lines if b'"point":0,"is":"asked"' not in each))
        with pytest.raises(JournalError, match="says that point 0 was begun, and no longer what it is; restore"):
            await client.sweep(face.base, ROWS, journal=path.parent, **LOSS).run()
    assert len(face.jobs(app)) == 2


@pytest.mark.parametrize("line", [1, 3, 7, 13])
async def test_a_disk_that_is_full_at_any_line_ends_the_run_and_the_next_one_loses_nothing(face, line, tmp_path):
    wire, inner, lines = Wire(face.app()), LockedFile._write, 0

    def write(file, data):
        nonlocal lines
        lines += file.path.name == POINTS
        if file.path.name == POINTS and lines >= line:
            inner(file, data[:7])  # a full disk takes a part of it first
            raise OSError(errno.ENOSPC, "No space left on device")
        inner(file, data)

    options = LOSS | {"space": {"epoch_count": [1, 2, 9]}, "stop": GiveUp(2), "metrics": "exact_match"}
    options |= {"validation": 0.4, "concurrency": 2, "journal": tmp_path / "sweep"}
    async with face.client(wire.app, wire) as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LockedFile, "_write", write)
            with pytest.raises(
                JournalError, match=r"the journal .* (cannot be used|could not be written): No space left"
            ):
                await client.sweep(face.base, ROWS, **options).run()
        assert wire.seen["cancel"] <= (line > 7)  # an intention that is not on the disk is not carried out
        sweep = client.sweep(face.base, ROWS, **options)
        await sweep.run()
    assert [each.state for each in sweep.points] == [PointState.TRAINED, PointState.TRAINED, PointState.STOPPED]
    assert len(face.jobs(wire.app)) == 3
