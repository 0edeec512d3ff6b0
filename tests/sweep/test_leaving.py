"""A sweep that never had a job leaves nothing behind, and every other one all of it."""

import pytest

from gemtune.sweep.journal.leaving import remove_if_no_job
from gemtune.sweep.journal.lines import SweepHeader, point_line

HEADER = SweepHeader("sweep-0", {"base model": "models/x"}).to_line()
ASKED = point_line(0, "asked", values={"epoch_count": 2})
CREATING, REFUSED = point_line(0, "creating"), point_line(0, "refused")
CREATED = point_line(0, "created", job="tunedModels/sweep-0-0")


def folder_of(tmp_path, content):
    folder = tmp_path / "a.sweep"
    folder.mkdir()
    (folder / "points.journal").write_bytes(content)
    return folder


@pytest.mark.parametrize("lines", [[], [ASKED], [ASKED, CREATING, REFUSED], [ASKED, point_line(1, "asked", values={})]])
def test_what_surely_had_no_job_is_removed(tmp_path, lines):
    folder = folder_of(tmp_path, b"".join([HEADER, *lines]))
    assert remove_if_no_job(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"mine",
        HEADER[:-1],
        HEADER.replace(b'"gemtune_sweep":1', b'"gemtune_sweep":2'),
        HEADER + ASKED + CREATING,
        HEADER + ASKED + CREATING + CREATED,
        HEADER + ASKED + CREATING + REFUSED + CREATING,
        HEADER + b"a line of mine\n" + ASKED,
        HEADER + HEADER,
    ],
)
def test_what_may_have_had_one_or_cannot_be_read_stays(tmp_path, content):
    folder = folder_of(tmp_path, content)
    assert not remove_if_no_job(folder)
    assert (folder / "points.journal").read_bytes() == content


def test_a_folder_that_holds_anything_else_stays(tmp_path):
    folder = folder_of(tmp_path, HEADER)
    (folder / "notes.txt").touch()
    assert not remove_if_no_job(folder)
    assert not remove_if_no_job(tmp_path / "nowhere")
    (folder / "notes.txt").unlink()
    assert remove_if_no_job(folder)
