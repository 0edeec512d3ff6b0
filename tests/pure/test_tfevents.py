"""TensorBoard's files: what was written is found again, whatever was torn off, and nothing is written twice."""

import math
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import GemtuneError
from gemtune.events import Snapshot, SnapshotUpdated
from gemtune.telemetry import TensorBoard, measured
from gemtune.telemetry.tracking import tfevents
from gemtune.types.timestamp import Timestamp
from gemtune.types.training import SnapshotMetrics

JOB = "tunedModels/lxiv"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def step(number, loss=0.5, *, job=JOB, at=0.0, kind=Snapshot, metrics=None):
    time = Timestamp.of(datetime.fromtimestamp(NOW.timestamp() + number + at, UTC))
    return kind(
        job=job, cursor="", observed_at=NOW, step=number, epoch=1, mean_loss=loss, compute_time=time, metrics=metrics
    )


def single(value):
    """A number as a file of TensorBoard holds it, with single precision."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def held(folder, name="lxiv"):
    """The tags and steps in the files of a run."""
    data = b"".join(path.read_bytes() for path in sorted((folder / name).iterdir()))
    found = [tfevents.point(event) for event, _ in tfevents.frames(data)]
    return [(point.tag, point.step) for point in found if point is not None]


def write(folder, *events):
    with TensorBoard(folder) as board:
        for event in events:
            board(event)


@given(
    st.lists(st.tuples(st.text(min_size=1), st.floats(width=32, allow_nan=False), st.integers(0, 2**40)), max_size=5),
    st.integers(0, 10_000),
)
def test_of_a_file_that_is_cut_anywhere_all_whole_numbers_are_found(rows, cut):
    frames = [tfevents.framed(tfevents.scalar(tag, value, number, 7.25)) for tag, value, number in rows]
    data = b"".join(frames)
    cut = min(cut, len(data))
    whole = [number for number in range(len(frames) + 1) if len(b"".join(frames[:number])) <= cut][-1]
    found = [(tfevents.point(event), end) for event, end in tfevents.frames(data[:cut])]
    assert [point for point, _ in found] == [tfevents.Point(tag, number, 7.25) for tag, _, number in rows[:whole]]
    assert [end for _, end in found][-1:] == ([len(b"".join(frames[:whole]))] if whole else [])


@pytest.mark.parametrize("place", [0, 9, 13, -1])
def test_a_frame_with_a_changed_byte_is_not_believed(place):
    frame = bytearray(tfevents.framed(tfevents.scalar("loss", 1.0, 1, 0.0)))
    frame[place] ^= 1
    assert list(tfevents.frames(bytes(frame))) == []


def test_a_second_export_writes_nothing_twice_and_adds_what_is_new(tmp_path):
    write(tmp_path, step(1), step(2))
    before = (tmp_path / "lxiv" / "events.out.tfevents.0.gemtune").read_bytes()
    write(tmp_path, step(1), step(2))
    assert (tmp_path / "lxiv" / "events.out.tfevents.0.gemtune").read_bytes() == before
    update = step(2, kind=SnapshotUpdated, metrics=SnapshotMetrics(eval_loss=0.7))
    write(tmp_path, step(1), step(2), step(3), update)
    assert held(tmp_path) == [("loss/train", 1), ("loss/train", 2), ("loss/train", 3), ("loss/eval", 2)]


def test_what_a_crash_has_torn_is_cut_off_and_written_again(tmp_path):
    write(tmp_path, step(1), step(2))
    file = tmp_path / "lxiv" / "events.out.tfevents.0.gemtune"
    file.write_bytes(file.read_bytes()[:-5])
    assert held(tmp_path) == [("loss/train", 1)]
    write(tmp_path, step(1), step(2))
    assert held(tmp_path) == [("loss/train", 1), ("loss/train", 2)]


def test_a_training_that_starts_over_is_a_run_of_its_own(tmp_path):
    first, again = [step(1), step(2)], [step(1, at=900), step(2, at=900), step(3, at=900)]
    write(tmp_path, *first, *again)
    write(tmp_path, *again)
    assert held(tmp_path) == [("loss/train", 1), ("loss/train", 2)]
    assert held(tmp_path, "lxiv.restart-2") == [("loss/train", 1), ("loss/train", 2), ("loss/train", 3)]


def test_a_job_whose_name_ends_in_a_number_is_no_second_training_of_another(tmp_path):
    first, again, other = step(1), step(1, at=900), step(7, job=f"{JOB}-2")
    write(tmp_path, first, again, other)
    assert held(tmp_path, "lxiv-2") == [("loss/train", 7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lxiv", "lxiv-2", "lxiv.restart-2"]


@pytest.mark.parametrize(("loss", "kept"), [(1e39, math.inf), (-1e39, -math.inf), (3.4e38, single(3.4e38))])
def test_a_loss_beyond_single_precision_is_written_as_infinite(tmp_path, loss, kept):
    write(tmp_path, step(1, loss), step(2))
    assert held(tmp_path) == [("loss/train", 1), ("loss/train", 2)]
    assert struct.pack("<f", kept) in tfevents.scalar("loss/train", loss, 1, 0.0)


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "a/b c\n", ""])
def test_the_name_of_a_job_leads_no_file_elsewhere(tmp_path, name):
    runs = tmp_path / "runs"
    write(runs, step(1, job=name))
    assert [path.parent for path in runs.iterdir()] == [runs]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GemtuneError, match=r"file.*: cannot be written"):
        write(tmp_path / "file", step(1))


def test_an_event_says_what_a_tracker_of_runs_shows():
    assert measured(step(1, 0.25)) == {"loss/train": 0.25}
    update = step(1, float("nan"), kind=SnapshotUpdated, metrics=SnapshotMetrics(eval_loss=0.5, eval_accuracy=0.9))
    assert measured(update) == {"loss/eval": 0.5, "accuracy/eval": 0.9}
