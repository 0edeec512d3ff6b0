"""Nothing that is written can be seen half done, lead elsewhere, or be read by others."""

import os
import stat
import threading
from pathlib import Path

import pytest

from batch.test_journal import opened, result, write
from gemtune import wholefile
from gemtune.batch import export_journal
from gemtune.wholefile import whole_file

WITHOUT_A_NAME = pytest.mark.parametrize("unnamed", [True, False], ids=["O_TMPFILE", "mkstemp"])


@pytest.fixture(autouse=True)
def way(request, monkeypatch):
    """Both ways to a file beside the target."""
    if "mkstemp" in request.node.name:
        monkeypatch.setattr(wholefile, "_unnamed", lambda _: None)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@WITHOUT_A_NAME
@pytest.mark.parametrize("before", [None, 0o640])
def test_a_file_is_there_when_the_block_has_ended_private_or_with_the_mode_it_had(tmp_path, before, unnamed):
    target = tmp_path / "out"
    if before is not None:
        target.write_text("old")
        target.chmod(before)
    with whole_file(target) as file:
        file.write(b"new")
        assert target.exists() == (before is not None)
    assert target.read_bytes() == b"new"
    assert mode(target) == (before or 0o600)
    assert names(tmp_path) == ["out"]


@WITHOUT_A_NAME
@pytest.mark.parametrize("before", [False, True])
def test_a_block_that_raises_leaves_everything_as_it_was(tmp_path, before, unnamed):
    target = tmp_path / "out"
    if before:
        target.write_text("old")
    with pytest.raises(KeyError), whole_file(target) as file:
        file.writelines([b"new", {}["missing"]])
    assert names(tmp_path) == ["out"] * before
    assert not before or target.read_text() == "old"


@WITHOUT_A_NAME
def test_a_link_is_replaced_and_not_followed_and_gives_no_mode(tmp_path, unnamed):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "precious").chmod(0o666)
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    with whole_file(tmp_path / "out") as file:
        file.write(b"new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "out").is_symlink()
    assert mode(tmp_path / "out") == 0o600


@WITHOUT_A_NAME
@pytest.mark.parametrize("what", ["pipe", "folder", "link to a pipe", "link to a folder", "link to standard output"])
def test_what_is_no_file_is_not_replaced(tmp_path, what, unnamed):
    target, kind = tmp_path / "out", tmp_path / "kind"
    if what == "link to standard output":
        target.symlink_to("/proc/self/fd/1")
        if not target.exists():
            pytest.skip("there is no /proc")
    else:
        kind.mkdir() if "folder" in what else os.mkfifo(kind)
        kind.rename(target) if "link" not in what else target.symlink_to(kind)
    before = target.lstat()
    with pytest.raises(OSError, match=r"Is a directory|no file that could be replaced"), whole_file(target):
        pytest.fail("nothing is written for nothing")
    assert os.path.samestat(before, target.lstat())


@pytest.mark.parametrize("what", ["link", "file", "folder"])
def test_what_stands_at_a_name_that_could_be_foreseen_is_left_alone(tmp_path, what):
    write(tmp_path / "j", result(0))
    part = tmp_path / "out.part"
    if what == "link":
        (tmp_path / "precious").write_text("precious")
        part.symlink_to(tmp_path / "precious")
    elif what == "file":
        part.write_text("mine")
        part.chmod(0o666)
    else:
        part.mkdir()
    before = names(tmp_path)
    export_journal(tmp_path / "j", tmp_path / "out")
    assert names(tmp_path) == sorted([*before, "out"])
    assert mode(tmp_path / "out") == 0o600
    assert part.is_dir() or part.read_text() in ("mine", "precious")


def test_two_exports_at_once_leave_the_whole_of_one_at_any_time(tmp_path):
    write(tmp_path / "j", *(result(n) for n in range(2000)))
    out, failures = tmp_path / "out", []
    export_journal(tmp_path / "j", out)
    whole = out.read_bytes()

    def export():
        try:
            for _ in range(5):
                export_journal(tmp_path / "j", out)
        except Exception as error:  # noqa: BLE001 - for the main thread
            failures.append(error)

    threads = [threading.Thread(target=export) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert out.read_bytes() == whole
    assert failures == []
    assert names(tmp_path) == ["j", "out"]


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path):
    """As somebody without rights there, in a process of its own."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    write(folder / "j", *(result(n, f"key {n}") for n in range(300)))
    (folder / "j").chmod(0o444)
    folder.chmod(0o555)
    for above in (tmp_path, *tmp_path.parents):
        if above == Path("/tmp") or not os.access(above, os.W_OK):
            break
        above.chmod(above.stat().st_mode | 0o055)
    child = os.fork()
    if not child:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            from gemtune.batch import read_journal

            code = 0 if len([*read_journal(folder / "j", order="input")]) == 300 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_process_that_was_forked_keeps_no_journal_locked(tmp_path):
    journal = opened(tmp_path / "j")
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(theirs)
        os.read(ours, 1)
        os._exit(0)
    try:
        journal.close()
        opened(tmp_path / "j").close()
    finally:
        os.close(theirs)
        os.close(ours)
        os.waitpid(child, 0)


def test_a_process_that_was_forked_ends_no_lock_of_ours(tmp_path):
    from gemtune import errors

    journal = opened(tmp_path / "j")
    child = os.fork()
    if not child:
        journal.close()
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(errors.JournalBusy):
        opened(tmp_path / "j")
    journal.close()
