"""Steps, epochs, losses and times of a tuning job, as a function of time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.emulated import SAMPLES
from gemtune.emulator import JobFate
from gemtune.emulator.world.tuning import Job, epoch_of, total_steps

SECOND = 10**9


def job(examples=15, epochs=5, batch_size=4, *, step=1.2, refresh=0.0, **fate):
    return Job.plan(
        queue_seconds=0.3, step_seconds=step, refresh_seconds=refresh, name="tunedModels/x", examples=examples,
        epochs=epochs, batch_size=batch_size, created=1_700_000_000 * SECOND, seed=0, fate=JobFate(**fate),
    )  # fmt: skip


def at(plan, seconds, cancelled_at=None):
    return plan.progress(plan.created + round(seconds * SECOND), cancelled_at)


@pytest.mark.parametrize(
    ("examples", "epochs", "batch_size", "steps"),
    [
        (15, 5, 2, 38),
        (15, 5, 4, 19),
        (15, 3, 2, 23),
        (15, 3, 4, 12),
        (15, 50, 4, 188),
        (15, 100, 4, 375),
        (25, 10, 16, 16),
    ],
)
def test_the_number_of_steps_is_the_observed_one(examples, epochs, batch_size, steps):
    assert total_steps(examples, epochs, batch_size) == steps


@pytest.mark.parametrize(
    ("number", "examples", "batch_size"), [(0, 25, 16), (1, 15, 4), (2, 15, 2), (3, 15, 4), (4, 15, 2)]
)
def test_the_epochs_of_the_steps_are_the_observed_ones(number, examples, batch_size):
    task = SAMPLES["list_tuned_models_2023"]["tunedModels"][number]["tuningTask"]
    for snapshot in task["snapshots"]:
        assert snapshot.get("epoch", 0) == epoch_of(snapshot["step"], examples, batch_size)


sizes = st.tuples(st.integers(1, 200), st.integers(1, 20), st.integers(1, 64))


@given(sizes)
def test_the_steps_hold_all_examples_of_all_epochs_and_no_step_is_superfluous(size):
    examples, epochs, batch_size = size
    steps = total_steps(*size)
    assert (steps - 1) * batch_size < examples * epochs <= steps * batch_size
    run = [epoch_of(step, examples, batch_size) for step in range(1, steps + 1)]
    assert run == sorted(run)
    assert run[-1] >= epochs


@given(sizes, st.lists(st.floats(0, 500), min_size=2, max_size=8))
def test_progress_never_goes_back_and_what_was_reported_stays(size, times):
    plan = job(*size)
    seen = [at(plan, time) for time in sorted(times)]
    for earlier, later in itertools.pairwise(seen):
        assert later.snapshots[: len(earlier.snapshots)] == earlier.snapshots
        assert earlier.start_time is None or later.start_time == earlier.start_time
        assert not earlier.done or later == earlier


@given(sizes, st.floats(0, 500))
def test_a_snapshot_lies_between_the_start_and_now_and_the_times_rise(size, time):
    plan = job(*size)
    progress = at(plan, time)
    times = [snapshot.compute_time for snapshot in progress.snapshots]
    assert times == sorted(set(times))
    assert all(plan.started < moment <= plan.created + round(time * SECOND) for moment in times)
    assert [snapshot.step for snapshot in progress.snapshots] == list(range(1, len(times) + 1))


@given(sizes)
def test_a_job_is_over_exactly_when_its_last_step_is(size):
    plan = job(*size)
    end = 0.3 + total_steps(*size) * 1.2
    assert at(plan, end - 0.001).state == "CREATING"
    done = at(plan, end)
    assert done.state == "ACTIVE"
    assert len(done.snapshots) == plan.total_steps
    assert done.complete_time % 1000 == 0
    assert done.complete_time > done.start_time > plan.created


def test_a_job_starts_a_little_after_it_was_created():
    assert at(job(), 0.29).start_time is None
    assert at(job(), 0.3).start_time == job().created + 300_000_000


def test_the_losses_are_those_of_the_seed():
    first, second = (at(job(), 1000).snapshots for _ in range(2))
    assert first == second
    other = Job.plan(
        queue_seconds=0.3, step_seconds=1.2, refresh_seconds=0, name="tunedModels/x", examples=15, epochs=5,
        batch_size=4, created=job().created, seed=1,
    )  # fmt: skip
    assert [s.mean_loss for s in at(other, 1000).snapshots] != [s.mean_loss for s in first]
    assert first[-1].mean_loss < first[0].mean_loss


def test_progress_becomes_visible_once_per_refresh():
    plan = job(15, 50, refresh=60.0)
    assert {len(at(plan, time).snapshots) for time in (0, 30, 59.9)} == {0}
    assert {len(at(plan, time).snapshots) for time in (60, 90, 119.9)} == {49}
    assert len(at(plan, 0.3 + 188 * 1.2).snapshots) == 188


def test_a_job_can_be_told_to_fail_at_a_step():
    plan = job(fail_at_step=6, code=13, message="out of luck")
    assert at(plan, 6.2).state == "CREATING"
    failed = at(plan, 6.3)
    assert (failed.state, failed.error, len(failed.snapshots)) == ("FAILED", (13, "out of luck"), 5)
    assert at(job(fail_at_step=0), 0.3).state == "FAILED"


def test_a_restarted_job_reports_its_steps_again_with_later_times():
    plan = job(restart_at_step=3)
    before, after = at(plan, 3.8).snapshots, at(plan, 3.9 + 3.7).snapshots
    assert [s.step for s in before] == [1, 2]
    assert [s.step for s in after] == [1, 2, 3]
    assert all(new.compute_time > old.compute_time for old, new in zip(before, after, strict=False))
    assert at(plan, 3.9 + 19 * 1.2 - 0.001).state == "CREATING"
    assert at(plan, 3.9 + 19 * 1.2).state == "ACTIVE"


def test_a_stalled_job_never_ends():
    plan = job(stall_at_step=4)
    forever = at(plan, 10**6)
    assert (forever.state, len(forever.snapshots)) == ("CREATING", 4)


def test_a_cancelled_job_stands_still():
    plan = job()
    stopped = plan.created + 5 * SECOND
    assert at(plan, 5, stopped) == at(plan, 500, stopped)
    assert at(plan, 5, stopped).error[0] == 1
    assert len(at(plan, 500, stopped).snapshots) == 3


def test_losses_can_be_given():
    losses = [s.mean_loss for s in at(job(losses=[3.0, 2.0, 1.5]), 1000).snapshots]
    assert losses[:4] == [3.0, 2.0, 1.5, 1.5]


def test_a_job_without_step_time_is_over_as_soon_as_it_starts():
    plan = job(step=0.0)
    assert at(plan, 0.2).snapshots == ()
    assert at(plan, 0.3).state == "ACTIVE"
    assert len(at(plan, 0.3).snapshots) == 19
