"""Progress as a line, and what events add up to."""

from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune import events
from gemtune.events import JobState
from gemtune.show.progress import Figures, JobView, duration
from gemtune.types import TunedModel

STAMP = {"job": "tunedModels/a", "cursor": "", "observed_at": datetime(2024, 3, 14, tzinfo=UTC)}


def snapshot(step: int, loss: float, attempt: int = 1) -> events.Snapshot:
    return events.Snapshot(**STAMP, step=step, epoch=0, mean_loss=loss, compute_time=None, attempt=attempt)


def progress(done: int, total: int | None, percent: float | None = None, eta: float | None = None) -> events.Progress:
    return events.Progress(**STAMP, completed_steps=done, total_steps=total, percent=percent, eta=eta)


def fed(*happened: events.Event, pace: float = 1.0) -> JobView:
    view = JobView(pace=pace)
    for event in happened:
        view.feed(event)
    return view


@given(
    st.integers(0, 10**6),
    st.none() | st.integers(0, 10**6),
    st.none() | st.floats(),
    st.none() | st.floats(),
    st.none() | st.floats(),
    st.integers(0, 120),
    st.booleans(),
)
def test_a_progress_line_fits_whatever_the_service_reports(done, total, percent, loss, eta, width, unicode):
    line = Figures("CREATING", done, total, percent=percent, loss=loss, eta=eta).line(width, unicode=unicode)
    assert len(line) <= width
    assert line.startswith("CREATING"[:width])
    assert unicode or line.isascii()


def test_a_progress_line_tells_what_is_known():
    assert (
        Figures("CREATING", 19, 38, loss=1.402067, eta=23).line(90, unicode=False)
        == "CREATING  [###############...............]  19/38 steps   50.0 %  loss 1.402  23 s left"
    )
    assert Figures("CREATING", 0, None).line() == "CREATING"
    assert Figures("ACTIVE", 7, None, loss=0.5).line() == "ACTIVE  7 steps  loss 0.5"


def test_a_narrow_line_gives_up_the_bar_first_then_the_percentage_and_then_what_stands_last():
    for width in range(8, 53):
        line = Figures("CREATING", 19, 38, loss=1.4, eta=23).line(width)
        whole = ["CREATING", "19/38 steps", " 50.0 %", "loss 1.4", "23 s left"]
        if width < 51:
            whole.remove(" 50.0 %")
        assert "  ".join(whole).startswith(line)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.2, "1 s"), (59, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_a_duration_is_said_as_people_say_it(seconds, words):
    assert duration(seconds) == words


def test_a_view_adds_up_snapshots_and_progress():
    view = fed(snapshot(2, 4.0), snapshot(1, 5.0), progress(2, 38, 5.26, eta=43.2))
    assert view.curve == [5.0, 4.0]
    assert view.line(100) == "CREATING  [█░░░░░░░░░░░░░░░░░░░░░░░░░░░░░]   2/38 steps    5.3 %  loss 4  44 s left"


def test_an_emulators_fast_time_shortens_the_time_left():
    assert "4 s left" in fed(progress(2, 38, eta=43.2), pace=12).line(100)


def test_a_restart_begins_a_new_curve():
    view = fed(snapshot(1, 5.0), snapshot(2, 4.0), events.Restarted(**STAMP, attempt=2), snapshot(1, 6.0, 2))
    assert view.curve == [6.0]
    assert view.completed == 1


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (events.StateChanged(**STAMP, old=JobState.CREATING, new=JobState("PAUSED")), "PAUSED"),
        (events.Succeeded(**STAMP, model=TunedModel(name="tunedModels/a")), "ACTIVE"),
        (events.Failed(**STAMP, error=None), "FAILED"),
        (events.Cancelled(**STAMP), "CANCELLED"),
        (events.Deleted(**STAMP), "DELETED"),
    ],
)
def test_the_state_is_the_services_word(event, state):
    assert fed(event).line().startswith(state)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("TUNING_JOB_STATE_WAITING_FOR_QUOTA", "waiting for quota"),
        ("TUNING_JOB_STATE_WAITING_FOR_CAPACITY", "waiting for capacity"),
        ("TUNING_JOB_STATE_TUNING", "CREATING"),
        ("TUNING_JOB_STATE_WAITING_FOR_\x1b[2J", "CREATING"),
        (None, "CREATING"),
    ],
)
def test_a_job_that_waits_says_for_what_until_it_waits_no_more(reason, said):
    changed = events.StateChanged(**STAMP, old=JobState.UNKNOWN, new=JobState.CREATING, reason=reason)
    running = attrs.evolve(changed, old=JobState.CREATING, reason="TUNING_JOB_STATE_TUNING")
    assert fed(changed).line() == said
    assert fed(changed, running).line() == "CREATING"
    assert fed(changed, attrs.evolve(changed, new=JobState.CANCELLED)).line() == "CANCELLED"
    assert fed(changed, events.Cancelled(**STAMP)).line() == "CANCELLED"


@pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "ACTIVE", "DELETED"])
def test_nothing_is_left_of_a_job_that_has_ended(state):
    ended = events.StateChanged(**STAMP, old=JobState.CREATING, new=JobState(state))
    assert "left" not in fed(progress(2, 38, eta=43.2), ended).line(100)
    assert "left" not in fed(ended, progress(2, 38, eta=43.2)).line(100)


def test_the_curve_of_a_running_job_leaves_room_for_the_steps_to_come():
    block = fed(snapshot(1, 5.0), snapshot(2, 4.0), progress(2, 100)).block(80, 6)
    assert len(block) == 7
    assert max(map(len, block[1:])) < 20


def test_a_step_without_a_loss_is_drawn_once_it_has_one():
    view = JobView()
    stamp = {"job": "j", "cursor": "", "observed_at": datetime.now(UTC), "epoch": 1, "compute_time": None}
    view.feed(events.Snapshot(**stamp, step=1, mean_loss=float("nan")))
    assert (view.curve, view.completed) == ([], 1)
    view.feed(events.SnapshotUpdated(**stamp, step=1, mean_loss=0.5))
    assert view.curve == [0.5]
