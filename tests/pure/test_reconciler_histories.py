"""Random histories of a job against a brute-force oracle: nothing lost, nothing twice, the end once and last.

A history is what a server with faults of its own might show: strides, stale replicas, holes, duplicates, empty lists,
reordered lists, restarts and re-creations, through the operation, the model and a light list, with failed looks in
between. ``GEMTUNE_DEEP=100`` makes a hundred times as many.
"""

import os
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemtune import errors, events
from gemtune.story.cursor import parse_cursor
from gemtune.story.history import History
from gemtune.story.observation import Source
from looks import JOB, OPERATION, now, see_list, see_model, see_operation, snapshots, tuned_model

DEEP = int(os.environ.get("GEMTUNE_DEEP", "1"))
many = settings(max_examples=1000 * DEEP, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class World:
    """The truth about a job: its runs, each a list of (step, seconds), and how far the current one has come."""

    def __init__(self, dice, *, runs, total, stride):
        self.dice, self.total = dice, total
        self.seconds = 0.0
        self.runs = []
        begin = 0.0
        for _ in range(runs):
            gaps = [dice.uniform(0.01, 5) for _ in range(0, total, stride)]
            times = [begin + sum(gaps[: place + 1]) for place in range(len(gaps))]
            self.runs.append(list(zip(range(stride, total + stride, stride), times, strict=False)))
            begin = times[-1] + 10
        self.current, self.place = 0, 0
        self.shown_runs = set()

    def advance(self):
        """Let some steps be done; perhaps the run breaks off and another begins."""
        run = self.runs[self.current]
        self.seconds += 5
        if self.place and self.current + 1 < len(self.runs) and self.dice.random() < 0.3:
            self.current, self.place = self.current + 1, self.dice.randrange(3)
        else:
            self.place = min(len(run), self.place + self.dice.randrange(4))

    def view(self):
        """What one look shows: the list of some moment up to now, with holes and in disorder."""
        dice = self.dice
        current, place = self.current, self.place
        if dice.random() < 0.25:  # a stale replica
            current = dice.randrange(current + 1)
            place = dice.randrange(len(self.runs[current]) + 1 if current < self.current else place + 1)
        shown = self.runs[current][:place]
        if dice.random() < 0.1:
            shown = []
        if dice.random() < 0.3:
            shown = [item for item in shown if dice.random() < 0.7]
        if dice.random() < 0.2:
            shown += [item for item in shown if dice.random() < 0.3]
        if dice.random() < 0.2:
            dice.shuffle(shown)
        if shown:
            self.shown_runs.add(current)
        return shown

    def final(self):
        """The last run, complete."""
        return self.runs[-1]


def look(world, shown):
    """A look of a random kind at what is shown."""
    kind = world.dice.randrange(4)
    world.seconds += 0.1
    if kind == 0:
        return see_list(world.seconds)
    if kind == 1:
        return see_model(world.seconds, "CREATING", snapshots(*shown))
    return see_operation(world.seconds, snapshots(*shown), total=world.total)


def followed(world, history, looks):
    """Yield each look's list and events."""
    for _ in range(looks):
        world.advance()
        shown = world.view()
        if world.dice.random() < 0.1:
            source = world.dice.choice([Source.WORK, Source.JOB])
            yield [], history.fault(errors.Unavailable("503", status=503), source, now(world.seconds))
            continue
        seen = look(world, shown)
        yield (shown if seen.snapshots is not None else []), history.observe(seen)


def the_end(world, history):
    """Finish the last run: a light list or a done operation says so first, the whole model last."""
    world.current, world.place = len(world.runs) - 1, len(world.final())
    told = []
    if world.dice.random() < 0.5:
        told += history.observe(see_list(world.seconds + 1, "ACTIVE"))
    if world.dice.random() < 0.5:
        done = {"total": world.total, "done": True, "response": tuned_model("ACTIVE", created=None)}
        shown = [item for item in world.final() if world.dice.random() < 0.9]
        told += history.observe(see_operation(world.seconds + 2, snapshots(*shown), **done))
    if world.dice.random() < 0.3:
        told += history.observe(see_model(world.seconds + 3, "CREATING", snapshots(*world.view())))
    told += history.observe(see_model(world.seconds + 4, "ACTIVE", snapshots(*world.final())))
    told += history.observe(see_operation(world.seconds + 5, snapshots(*world.view()), total=world.total))
    return told


def pairs(told):
    return [(event.step, event.compute_time) for event in told if isinstance(event, events.Snapshot)]


def facts(shown):
    return {(item.step, item.compute_time) for item in snapshots(*shown)}


worlds = st.fixed_dictionaries(
    {"dice": st.integers(0, 2**32).map(random.Random), "total": st.integers(1, 24), "stride": st.integers(1, 5)}
)


@many
@given(worlds, st.integers(0, 25))
def test_of_a_job_that_never_restarts_each_snapshot_is_told_when_it_is_first_seen_and_never_again(facts_, looks):
    world = World(runs=1, **facts_)
    history = History(JOB, OPERATION)
    union, told = set(), []
    for shown, new in followed(world, history, looks):
        union |= facts(shown)
        told += new
        assert set(pairs(told)) == union
    told += the_end(world, history)
    assert len(pairs(told)) == len(set(pairs(told)))
    assert set(pairs(told)) == facts(world.final())
    assert history.log.now.attempt == 1
    assert_story(told)
    late = 0
    for event in told:
        if isinstance(event, events.Snapshot):
            assert event.late == (event.step < late)
            late = max(late, event.step)


def assert_story(told):
    """The end comes once and last; states and progress go forward; cursors parse and grow."""
    assert [events.is_terminal(event) for event in told] == [False] * (len(told) - 1) + [True]
    assert isinstance(told[-1], events.Succeeded)
    states = [event.new for event in told if isinstance(event, events.StateChanged)]
    assert states in (["CREATING", "ACTIVE"], ["ACTIVE"])
    attempt, done, seen = 1, 0, set()
    for event in told:
        parsed = parse_cursor(event.cursor)
        assert len(event.cursor) < 256
        if isinstance(event, events.Restarted):
            assert event.attempt == attempt + 1
            attempt, done = event.attempt, 0
        if isinstance(event, events.Snapshot):
            assert event.attempt == attempt
            assert (attempt, event.step) not in seen
            assert any(event.step in claim for claim in parsed.claims)
            seen.add((attempt, event.step))
        if isinstance(event, events.Progress):
            assert event.completed_steps >= done
            done = event.completed_steps
        assert parsed.attempt == attempt


@many
@given(worlds, st.integers(2, 4), st.integers(0, 30))
def test_of_a_job_that_restarts_the_last_attempt_is_told_completely(facts_, runs, looks):
    world = World(runs=runs, **facts_)
    history = History(JOB, OPERATION)
    told, union = [], set()
    for shown, new in followed(world, history, looks):
        union |= facts(shown)
        told += new
    told += the_end(world, history)
    union |= facts(world.final())
    union |= {pair for run in world.runs for pair in facts(run)}
    assert_story(told)
    assert set(pairs(told)) <= union
    assert {(item.step, item.compute_time) for item in history.snapshots} == facts(world.final())
    assert len(history.snapshots) == len(world.final())
    assert history.log.now.attempt <= len(world.shown_runs | {runs - 1})


def told_until(world, looks, cut):
    """What was told of a job up to some event; nothing where there was none."""
    told = [event for _, new in followed(world, History(JOB, OPERATION), looks) for event in new]
    return told[: cut % len(told) + 1] if told else []


@many
@given(worlds, st.integers(1, 25), st.integers(0, 10**6))
def test_resuming_from_any_event_tells_the_rest_and_nothing_twice(facts_, looks, cut):
    world = World(runs=1, **facts_)
    told = told_until(world, looks, cut)
    if not told:
        return
    resumed = History.from_cursor(told[-1].cursor, OPERATION)
    rest = [event for _, new in followed(world, resumed, 3) for event in new]
    rest += the_end(world, resumed)
    assert set(pairs(told)) | set(pairs(rest)) == facts(world.final())
    assert not set(pairs(told)) & set(pairs(rest))
    assert len(pairs(rest)) == len(set(pairs(rest)))
    assert facts(world.final()) == {(item.step, item.compute_time) for item in resumed.snapshots}
    assert events.is_terminal(rest[-1])


@many
@given(worlds, st.integers(1, 20), st.integers(0, 10**6))
def test_resuming_after_a_restart_that_nobody_watched_tells_the_new_attempt_completely(facts_, looks, cut):
    world = World(runs=2, **facts_)
    second = world.runs.pop()
    history = History(JOB, OPERATION)
    told = [event for _, new in followed(world, history, looks) for event in new]
    if not told:
        return
    had = parse_cursor(told[cut % len(told)].cursor)
    world.runs.append(second)
    resumed = History.from_cursor(str(had), OPERATION)
    rest = the_end(world, resumed)
    new_attempt = {(event.step, event.compute_time) for event in rest if isinstance(event, events.Snapshot)}
    assert facts(second) <= new_attempt
    if had.begun:
        assert resumed.log.now.attempt == 2


@many
@given(worlds, st.integers(2, 3), st.integers(1, 25), st.integers(0, 10**6))
def test_resuming_from_any_event_of_a_job_that_restarts_loses_nothing_of_its_last_attempt(facts_, runs, looks, cut):
    world = World(runs=runs, **facts_)
    told = told_until(world, looks, cut)
    if not told:
        return
    resumed = History.from_cursor(told[-1].cursor, OPERATION)
    rest = [event for _, new in followed(world, resumed, 3) for event in new] + the_end(world, resumed)
    assert facts(world.final()) <= set(pairs(told)) | set(pairs(rest))
    assert events.is_terminal(rest[-1])


@many
@given(worlds, st.integers(0, 12), st.integers(0, 12))
def test_a_re_created_job_is_two_stories(facts_, before, after):
    world = World(runs=1, **facts_)
    history = History(JOB, OPERATION)
    history.observe(see_model(0, created=1))
    told = [event for _, new in followed(world, history, before) for event in new]
    again = World(runs=1, **facts_)
    shift = world.seconds + 1000
    born = [(step, seconds + shift) for step, seconds in again.final()]
    told = []
    for place in range(after + 1):
        shown = [item for item in born[:place] if again.dice.random() < 0.8]
        told += history.observe(see_model(shift + place, "CREATING", snapshots(*shown), created=shift))
        if again.dice.random() < 0.3:  # what still shows the former model
            told += history.observe(see_model(shift + place, "ACTIVE", snapshots(*world.view()), created=1))
            told += history.observe(see_operation(shift + place, snapshots(*world.view()), done=True, error=13))
    told += history.observe(see_model(shift + 99, "ACTIVE", snapshots(*born), created=shift))
    assert [event.kind for event in told[:2]] == ["deleted", "added"]
    assert_story(told[1:])
    assert sorted(pairs(told)) == sorted(facts(born))


def test_random_histories_do_show_what_they_are_made_for():
    """The generator itself: stale, holed, repeated, reordered and empty lists and several runs do occur."""
    dice = random.Random(1)
    seen = set()
    for _ in range(60):
        world = World(dice, runs=3, total=12, stride=2)
        former = []
        for _ in range(20):
            world.advance()
            shown = world.view()
            steps = [step for step, _ in shown]
            seen |= {"empty"} if not shown and world.place else set()
            seen |= {"repeated"} if len(set(steps)) < len(steps) else set()
            seen |= {"reordered"} if steps != sorted(steps) else set()
            seen |= {"holed"} if shown and set(steps) != set(range(2, max(steps) + 1, 2)) else set()
            seen |= {"shorter"} if 0 < len(shown) < len(former) else set()
            former = shown
        seen |= {f"{len(world.shown_runs)} runs"}
    assert seen >= {"empty", "repeated", "reordered", "holed", "shorter", "3 runs"}
