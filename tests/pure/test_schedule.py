"""The schedule keeps its promise and wastes no look: properties of a pure function, and a job played through."""

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.config import WatchPolicy
from gemtune.story.history import History
from gemtune.story.schedule import Pace, backoff, next_due
from looks import JOB, OPERATION, now, see_operation, snapshots

SECONDS = st.floats(0, 1e6, allow_nan=False)
DICE = st.floats(0, 1, exclude_max=True)
cadences = st.builds(
    WatchPolicy,
    freshness=st.floats(0.1, 3600),
    terminal_freshness=st.floats(0.1, 3600),
    queued_interval=st.floats(0.1, 3600),
    min_interval=st.floats(0.01, 60),
    jitter=st.floats(0, 1),
)
paces = st.builds(
    Pace,
    snapshots=st.integers(0, 1000),
    idle=st.integers(0, 10**6),
    remaining=st.none() | st.integers(0, 10**6),
    per_step=st.none() | SECONDS,
    shortest_gap=st.none() | SECONDS,
    age=st.floats(-1e6, 1e9),
    lag=SECONDS,
    failures=st.integers(0, 10**6),
    hint=st.floats(0, 120),
)


@given(paces, cadences, DICE)
def test_it_is_never_too_early(pace, cadence, dice):
    assert next_due(pace, cadence, dice) >= cadence.min_interval


@given(paces, cadences, DICE)
def test_it_is_never_later_than_promised(pace, cadence, dice):
    due = next_due(pace, cadence, dice)
    if pace.failures:
        assert due <= max(60.0, pace.hint, cadence.min_interval)
    elif pace.snapshots == 0:
        assert due <= max(cadence.queued_interval, cadence.min_interval)
    else:
        # Later than the freshness only where nothing can be new before, and then with an end.
        unseen = 0.9 * (pace.shortest_gap or 0.0) + pace.lag - pace.age
        assert due <= max(cadence.freshness, cadence.min_interval, min(unseen, 4 * cadence.freshness))


@given(paces, cadences, DICE)
def test_jitter_only_takes_off_and_never_more_than_its_part(pace, cadence, dice):
    if not pace.failures:
        longest = next_due(pace, cadence, 0.0)
        assert longest * (1 - cadence.jitter) - 1e-9 <= next_due(pace, cadence, dice) <= longest


@given(st.integers(1, 10**6), DICE)
def test_the_backoff_doubles_to_a_minute(failures, dice):
    longest = min(60, 2 ** min(failures, 10))
    assert longest / 2 <= backoff(failures, dice) < longest + 1e-9


@given(paces, cadences, DICE)
def test_the_look_is_there_when_the_last_step_is_due(pace, cadence, dice):
    if pace.remaining and pace.per_step is not None and not pace.failures and not pace.idle:
        ready = pace.remaining * pace.per_step + pace.lag + 1
        assert next_due(pace, cadence, dice) <= max(ready, cadence.min_interval)


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        (Pace(), 7.5),
        (Pace(idle=1), 12.0),
        (Pace(idle=9), 30.0),
        (Pace(snapshots=1), 7.5),
        (Pace(snapshots=1, idle=5), 15.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0, remaining=100), 15.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0, remaining=2, lag=1.0), 10.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0, remaining=2, lag=1.0, idle=9), 15.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0, remaining=0), 10.0),
        (Pace(snapshots=9, shortest_gap=40.0, per_step=40.0, remaining=9, lag=2.0, age=3.0), 35.0),
        (Pace(snapshots=9, shortest_gap=40.0, per_step=40.0, remaining=9, lag=2.0, age=3.0, idle=1), 15.0),
        (Pace(snapshots=9, shortest_gap=900.0, per_step=900.0, remaining=9), 60.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0), 15.0),
        (Pace(failures=1), 1.0),
        (Pace(failures=3, hint=20.0), 20.0),
        (Pace(snapshots=9, shortest_gap=0.001, per_step=0.001, remaining=3), 2.0),
    ],
)
def test_with_the_default_cadence(pace, seconds):
    """The worked numbers of the promise: freshness 15 s, end 10 s, queued 30 s, shortest 2 s."""
    cadence = WatchPolicy(jitter=0.0, min_interval=1.0 if pace.failures else 2.0)
    assert next_due(pace, cadence, 0.0) == pytest.approx(seconds)


def played(gap, count, *, queue, seed):
    """Play one job through on a server with 1 to 4 s of publishing lag; return delays, end delay and looks."""
    dice = random.Random(seed)
    times = [queue + sum(gaps) for gaps in accumulate([gap * dice.uniform(0.95, 1.05)] for _ in range(count))]
    visible = [time + dice.uniform(1, 4) for time in times]
    visible = [max(visible[: place + 1]) for place in range(count)]
    history, seconds, looks, delays = History(JOB, OPERATION), 0.0, 0, []
    while True:
        shown = sum(time <= seconds for time in visible)
        known = len(history.snapshots)
        history.observe(see_operation(seconds, snapshots(*zip(range(1, shown + 1), times, strict=False)), total=count))
        looks += 1
        delays += [seconds - time for time in visible[known:shown]]
        if shown == count:
            return delays, seconds - visible[-1], looks, seconds / 60
        seconds += history.next_look(now(seconds), WatchPolicy(), dice.random()).after


@pytest.mark.parametrize(("gap", "count"), [(1, 100), (4, 100), (20, 60), (120, 20)])
def test_a_job_played_through_is_followed_as_promised(gap, count):
    delays, ends, looks, minutes = [], [], 0, 0.0
    for seed in range(8):
        late, end, asked, lasted = played(gap, count, queue=60 + 40 * seed, seed=seed)
        delays += late[1:]
        ends.append(end)
        looks += asked
        minutes += lasted
    delays.sort()
    assert delays[int(0.95 * len(delays))] <= 15.0
    assert max(ends) <= 15.0
    assert looks / minutes <= 6.0
