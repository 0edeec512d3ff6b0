"""The schedule keeps its promise and wastes no look: properties of a pure function, and a job played through."""

import random
from itertools import accumulate

import attrs
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
    lag=st.floats(-1e6, 1e6),
    silence=SECONDS,
    share=SECONDS,
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
        # Later than the freshness only where the requests do not buy it, and nothing can be new before.
        unseen = 0.9 * (pace.shortest_gap or 0.0) + pace.lag - pace.age
        bought = min(pace.share, 4 * cadence.freshness)
        assert due <= max(cadence.freshness, cadence.min_interval, min(unseen, bought))


@given(paces, cadences, DICE)
def test_no_clock_stretches_it(pace, cadence, dice):
    alone = attrs.evolve(pace, share=0.0)
    if not pace.failures and pace.snapshots:
        assert next_due(alone, cadence, dice) <= max(cadence.freshness, cadence.min_interval)


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
        ready = pace.remaining * pace.per_step + max(pace.lag, 0.0) + 1
        assert next_due(pace, cadence, dice) <= max(ready, cadence.min_interval)


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        (Pace(), 2.0),
        (Pace(silence=100.0), 5.0),
        (Pace(silence=1e5), 30.0),
        (Pace(share=10.0), 10.0),
        (Pace(share=500.0), 30.0),
        (Pace(snapshots=1), 2.0),
        (Pace(snapshots=1, silence=100.0), 5.0),
        (Pace(snapshots=1, silence=1e5), 15.0),
        (Pace(snapshots=9, shortest_gap=1.0, per_step=1.0, remaining=100), 2.0),
        (Pace(snapshots=9, shortest_gap=1.0, per_step=1.0, remaining=100, share=6.5), 6.5),
        (Pace(snapshots=9, shortest_gap=1.0, per_step=1.0, remaining=100, share=500.0), 15.0),
        (Pace(snapshots=9, shortest_gap=10.0, per_step=10.0, remaining=100, lag=1.0, age=4.0), 6.0),
        (Pace(snapshots=9, shortest_gap=10.0, per_step=10.0, remaining=100, lag=-59.0, age=-56.0), 6.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0, remaining=2, lag=1.0, share=15.0), 10.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0, remaining=2, lag=1.0, share=15.0, idle=9), 15.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0, remaining=0), 2.0),
        (Pace(snapshots=9, shortest_gap=4.0, per_step=4.0, remaining=0, silence=1e5), 10.0),
        (Pace(snapshots=9, shortest_gap=40.0, per_step=40.0, remaining=9, lag=2.0, age=3.0), 15.0),
        (Pace(snapshots=9, shortest_gap=40.0, per_step=40.0, remaining=9, lag=2.0, age=33.0), 5.0),
        (Pace(snapshots=9, shortest_gap=40.0, per_step=40.0, remaining=9, lag=2.0, age=3.0, share=50.0), 35.0),
        (Pace(snapshots=9, shortest_gap=900.0, per_step=900.0, remaining=9, share=100.0), 60.0),
        (Pace(failures=1), 1.0),
        (Pace(failures=3, hint=20.0), 20.0),
        (Pace(snapshots=9, shortest_gap=0.001, per_step=0.001, remaining=3), 2.0),
    ],
)
def test_with_the_default_cadence(pace, seconds):
    """The worked numbers: freshness 15 s, end 10 s, queued 30 s, shortest 2 s."""
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
    assert delays[int(0.5 * len(delays))] <= 2.0 + 2.5  # the service shows a snapshot after 2.5 s
    assert delays[int(0.95 * len(delays))] <= 8.0
    assert max(ends) <= 5.0
    assert looks / minutes <= 30.0


@pytest.mark.parametrize("ahead", [-3600.0, -60.0, 0.0, 60.0, 3600.0])
@pytest.mark.parametrize("speed", [0.3, 1.0, 3.0, 20.0, 1000.0])
@pytest.mark.parametrize("gap", [1.0, 6.0, 30.0])
def test_a_clock_that_is_wrong_or_of_another_speed_stretches_nothing(ahead, speed, gap):
    """A step every ``gap`` seconds of ours, which the server takes for ``speed`` times as long."""
    history, seconds, late, pauses = History(JOB, OPERATION), 0.0, [], []
    while seconds < 30 * gap:
        done, known = int(seconds / gap), len(history.snapshots)
        shown = snapshots(*((step, ahead + step * gap * speed) for step in range(1, done + 1)))
        history.observe(see_operation(seconds, shown, total=100))
        late += [seconds - step * gap for step in range(known + 1, done + 1)]
        pauses.append(history.next_look(now(seconds), WatchPolicy(), 0.0).after)
        seconds += pauses[-1]
    assert max(late) <= 4.0
    assert max(pauses) <= WatchPolicy().freshness
