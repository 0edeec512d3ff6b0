"""Values that come later than their step, and checkpoints: each is told once, also after a resume from any event."""

import random
from collections import Counter

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.errors import BadRequest, NotFound, Unavailable
from gemtune.events import JobState
from gemtune.story.cursor import parse_cursor
from gemtune.story.history import History
from gemtune.story.measures import MeasuredSteps, checkpoint_number
from gemtune.story.observation import Observation, Source
from gemtune.story.replay import had, replay
from gemtune.types.training import Checkpoint, SnapshotMetrics
from gemtune.types.tuning import MeasuredSnapshot, ServedModel, TuningTask
from looks import now, time

JOB = "projects/1/locations/us-central1/tuningJobs/1234567890123456789"
VALUES = ("accuracy", "eval_loss", "eval_accuracy")
NAN = float("nan")
many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def step(number, loss=0.5, **metrics):
    return MeasuredSnapshot(number, number // 7, loss, time(number), metrics=SnapshotMetrics(**metrics))


def curves(seconds, *steps, work="curves"):
    return Observation(source=Source.WORK, at=now(seconds), state=None, work=work, snapshots=steps)


def job(seconds, state=JobState.CREATING, *, ready=(), **facts):
    checkpoints = [Checkpoint(checkpoint_id=str(each), step=each, endpoint=f"endpoints/{each}") for each in ready]
    facts = {"work": "curves", "checkpoints": checkpoints} | facts
    return Observation(source=Source.JOB, at=now(seconds), state=state, created=1, **facts)


def followed(*looks):
    history = History(JOB, seeks=True)
    return history, [event for look in looks for event in history.observe(look)]


def told(seen):
    """Each value of each step, and each checkpoint, as often as it was told as new."""
    counted, known = Counter(), {}
    for event in seen:
        if isinstance(event, events.Snapshot | events.SnapshotUpdated):
            values = {name for name in VALUES if getattr(event, name) is not None}
            values |= {"loss"} if event.mean_loss == event.mean_loss else set()
            counted.update((event.step, name) for name in values - known.get(event.step, set()))
            known[event.step] = known.get(event.step, set()) | values
        elif isinstance(event, events.CheckpointReady):
            counted["checkpoint", event.checkpoint.checkpoint_id] += 1
    return counted


def test_a_value_that_comes_late_is_an_update_and_never_a_second_snapshot():
    _, seen = followed(job(0), curves(1, step(1), step(2)), curves(2, step(1, eval_loss=0.7), step(2)))
    assert [event.kind for event in seen if not isinstance(event, events.Progress)] == [
        "state_changed", "snapshot", "snapshot", "snapshot_updated",
    ]  # fmt: skip
    update = next(event for event in seen if isinstance(event, events.SnapshotUpdated))
    assert (update.step, update.mean_loss, update.eval_loss, update.accuracy) == (1, 0.5, 0.7, None)


def test_what_was_said_once_neither_changes_nor_goes_away():
    history, _ = followed(job(0), curves(1, step(1, eval_loss=0.7)))
    assert history.observe(curves(2, step(1, eval_loss=0.6))) == []
    assert history.observe(curves(3, step(1))) == []
    assert history.snapshots[0].eval_loss == 0.7


def test_a_loss_that_comes_late_completes_a_step_that_a_checkpoint_has_shown():
    history, _ = followed(job(0), curves(1, attrs.evolve(step(1, loss=NAN), compute_time=None)))
    (update,) = history.observe(curves(2, step(1, loss=0.25, accuracy=0.5)))
    assert (update.kind, update.mean_loss, update.accuracy) == ("snapshot_updated", 0.25, 0.5)
    assert [each.mean_loss for each in history.snapshots] == [0.25]


def test_the_snapshots_of_a_job_show_the_latest_of_each_step():
    history, _ = followed(job(0), curves(1, step(1), step(2)), curves(2, step(1, accuracy=0.1), step(2), step(3)))
    assert [(each.step, each.accuracy) for each in history.snapshots] == [(1, 0.1), (2, None), (3, None)]
    assert len(history.snapshots) == 3
    assert [each.step for each in history.snapshots[1:]] == [2, 3]
    assert history.snapshots.to_dicts()[0]["accuracy"] == 0.1


def test_a_checkpoint_is_ready_once_it_has_an_endpoint():
    history, seen = followed(job(0, checkpoints=[Checkpoint(checkpoint_id="1", step=5)]), job(1, ready=[1]))
    assert [event.checkpoint.endpoint for event in seen if isinstance(event, events.CheckpointReady)] == ["endpoints/1"]
    assert history.observe(job(2, checkpoints=[])) == []
    assert history.observe(job(3, ready=[1])) == []


def test_the_job_and_its_curves_are_looked_at_in_turn_and_the_curves_most():
    history, _ = followed(job(0))
    looks, clock, at = [], 0.0, 0
    while clock < 100:
        look = history.next_look(now(clock), WatchPolicy(jitter=0.0), 0.5, 2.0)
        clock += look.after
        looks.append(look.source)
        if look.source is Source.WORK:
            at += 1
            history.observe(curves(clock, *(step(each) for each in range(1, at))))
        else:
            history.observe(job(clock))
    assert 5 <= looks.count(Source.JOB) <= 11, "every ten seconds"
    assert looks.count(Source.WORK) > 3 * looks.count(Source.JOB)
    nobody = history.next_look(now(clock), WatchPolicy(), 0.5, 2.0, steps=False)
    assert nobody.source is Source.JOB, "nobody wants the steps"


def ended(seconds, **facts):
    model = ServedModel(name="models/1", endpoint="endpoints/0", tuning_task=TuningTask())
    return job(seconds, JobState.ACTIVE, model=model, endpoint="endpoints/0", **facts)


def test_the_end_waits_for_the_curves_that_were_seen_after_it():
    history, seen = followed(job(0, total_steps=2), curves(1, step(1)), ended(2))
    assert not any(events.is_terminal(event) for event in seen)
    look = history.next_look(now(2), WatchPolicy(), 0.0)
    assert (look.source, look.after) == (Source.WORK, 0.0)
    *rest, end = history.observe(curves(3, step(1, eval_loss=1.0), step(2)))
    assert [event.kind for event in rest] == ["snapshot", "snapshot_updated", "progress", "state_changed"]
    assert (end.model.endpoint, [each.step for each in end.model.tuning_task.snapshots]) == ("endpoints/0", [1, 2])


@pytest.mark.parametrize("error", [NotFound("x", status=404), BadRequest("x", status=400)])
def test_a_job_ends_also_where_its_curves_are_gone(error):
    history, _ = followed(job(0), curves(1, step(1)), ended(2))
    seen = history.fault(error, Source.WORK, now(3))
    assert [event.kind for event in seen] == ["state_changed", "succeeded"]


def test_curves_that_were_not_there_are_looked_for_again_after_ever_more_looks():
    history, _ = followed(job(0))
    assert history.work.there
    for rests in (2, 4, 8):
        history.fault(NotFound("x", status=404), Source.WORK, now(1))
        for _ in range(rests):
            assert not history.work.there
            history.observe(job(2))
        assert history.work.there


def test_in_an_outage_after_the_end_the_last_steps_are_waited_for():
    history, _ = followed(job(0, total_steps=2), curves(1, step(1)), ended(2))
    for seconds in range(3, 600, 60):
        source = history.next_look(now(seconds), WatchPolicy(), 0.0).source
        assert not any(map(events.is_terminal, history.fault(Unavailable("x", status=503), source, now(seconds))))
    assert events.is_terminal(history.observe(curves(601, step(1), step(2)))[-1])


@pytest.mark.parametrize("shown", [None, ()], ids=["apart", "in one place"])
def test_a_job_that_is_trained_and_cannot_be_asked_has_failed_in_the_end(shown):
    why = {"done": True, "error": events.Status(code=13, message="no endpoint"), "work": None, "snapshots": shown}
    history, seen = followed(job(0, **why), job(599, **why))
    assert not any(events.is_terminal(event) for event in seen)
    end = history.observe(job(601, **why))[-1]
    assert (end.kind, end.reason) == ("failed", "no endpoint")
    assert followed(job(0, **why), ended(300, work=None))[1][-1].kind == "succeeded"


class Truth:
    """A job whose values are filled in one after the other."""

    def __init__(self, dice, steps):
        self.dice, self.steps, self.shown = dice, steps, {}

    def look(self, seconds):
        """Some more values than the last time, of which a stale look may show fewer."""
        dice = self.dice
        for each in range(1, self.steps + 1):
            if (each == 1 or each - 1 in self.shown or dice.random() < 0.1) and dice.random() < 0.5:
                values = self.shown.setdefault(each, {})
                values |= {name: each / 10 for name in VALUES if dice.random() < 0.3}
        kept = {each: values for each, values in self.shown.items() if dice.random() < 0.8}
        stale = {
            each: {name: value for name, value in values.items() if dice.random() < 0.8}
            for each, values in kept.items()
        }
        return curves(seconds, *(step(each, **values) for each, values in sorted(stale.items())))

    def all(self):
        return curves(999, *(step(each, **values) for each, values in sorted(self.shown.items())))


@many
@given(st.integers(0, 2**32).map(random.Random), st.integers(1, 12), st.integers(1, 20), st.integers(0, 10**6))
def test_after_a_resume_from_any_event_nothing_is_lost_and_nothing_told_twice(dice, steps, looks, cut):
    truth, history, seen = Truth(dice, steps), History(JOB, seeks=True), []

    def follow(history, count):
        for number in range(count):
            if dice.random() < 0.3:
                yield from history.observe(job(number, ready=[n for n in range(1, steps + 1) if dice.random() < 0.5]))
            else:
                yield from history.observe(truth.look(number))

    history.observe(job(0))
    seen = list(follow(history, looks))
    first = told(seen)
    assert max(first.values(), default=1) == 1
    if not seen:
        return
    before = seen[: cut % len(seen) + 1]
    assert len(before[-1].cursor) < 256
    assert str(parse_cursor(before[-1].cursor)) == before[-1].cursor
    resumed = History.from_cursor(before[-1].cursor, seeks=True)
    rest = list(follow(resumed, 3))
    rest += resumed.observe(job(998, ready=range(1, steps + 1))) + resumed.observe(truth.all())
    both = told(before)
    for event in rest:  # an update says all that is known; what of that is new is what was not told before
        if isinstance(event, events.SnapshotUpdated):
            assert told([*before, *rest[: rest.index(event) + 1]]) != told([*before, *rest[: rest.index(event)]])
    both = told([*before, *rest])
    wanted = {(each, name) for each, values in truth.shown.items() for name in (*values, "loss")}
    wanted |= {("checkpoint", str(each)) for each in range(1, steps + 1)}
    assert both.keys() == wanted
    assert max(both.values()) == 1
    snapshots = Counter(event.step for event in [*before, *rest] if isinstance(event, events.Snapshot))
    assert max(snapshots.values(), default=1) == 1


@many
@given(st.integers(0, 2**32).map(random.Random), st.integers(1, 12), st.integers(1, 20))
def test_a_later_reader_is_told_the_same_story(dice, steps, looks):
    truth, history, live = Truth(dice, steps), History(JOB, seeks=True), []
    history.observe(job(0))
    for number in range(looks):
        live += history.observe(truth.look(number))
    rows = [event for event in live if isinstance(event, events.Snapshot | events.SnapshotUpdated)]
    again = list(replay(history.log, now(0).utc, 0))
    forget = {"observed_at": now(0).utc, "replayed": False}
    assert [attrs.evolve(each, **forget) for each in again] == [attrs.evolve(each, **forget) for each in rows]
    for place, event in enumerate(rows):
        cursor = parse_cursor(event.cursor)
        assert all(had(history.log, index, cursor) for index in range(place + 1))
        later = [index for index in range(place + 1, len(rows)) if had(history.log, index, cursor)]
        assert later == [], "a cursor claims no more than was told"


def test_a_cursor_of_a_job_without_such_values_is_as_it_always_was():
    history = History("tunedModels/abc")
    history.observe(job(0))
    assert ".m" not in history.cursor
    assert ".k" not in history.cursor
    old = "j1.dHVuZWRNb2RlbHMvYWJj.18a2f3c4d5e6f700.1.1-40,42.18a2f3e91b2c3d00.end"
    assert str(parse_cursor(old)) == old
    assert parse_cursor(old).values(3) == 0


@pytest.mark.parametrize(
    "tail", [".m0~1", ".m3~1.m1~2", ".m3~", ".m3~2-1", ".k~", ".k~x", ".m3", ".k~1.m3~1", ".m111~1", ".k~1-2000000000"]
)
def test_a_damaged_tail_of_a_cursor_is_refused(tail):
    with pytest.raises(Exception, match="not a cursor"):
        parse_cursor(f"j1.dHVuZWRNb2RlbHMvYWJj.1.1.1-4.5{tail}")


def test_the_sets_of_steps_that_values_share_are_said_once():
    measured = MeasuredSteps()
    for each in range(1, 101):
        measured.add(each, 0b100011 if each % 10 else 0b111111)
    assert [(bits, runs.text()) for bits, runs in measured.groups()] == [(0b100011, "1-100"), (0b11100, "10-100/10")]
    assert (measured.bits(9), measured.bits(10), measured.bits(101)) == (0b100011, 0b111111, 0)


def test_a_checkpoint_stands_for_its_id_whatever_that_is():
    assert [checkpoint_number(each) for each in ("1", "12")] == [1, 12]
    others = {checkpoint_number(each) for each in ("01", "final", "²", "1" * 30, "-1", "")}
    assert len(others) == 6
    assert all(2**30 <= each < 2**31 for each in others)
