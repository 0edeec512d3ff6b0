"""A batch as a function of time: when it is where, and which of its requests become what."""

import attrs
import pytest

from gemtune.emulator import JobFate
from gemtune.emulator.world.batches.plan import BatchCourse, batch_life
from gemtune.emulator.world.clock import SECOND
from gemtune.emulator.world.settings import Settings

HOUR = 3600 * SECOND


def plan(requests=10, *, settings=None, **facts):
    given = {"name": "batches/1", "requests": requests, "created": 0} | facts
    return BatchCourse.of(settings or Settings(), cancelling=2, hours=(72, 24), **given)


def seen(life, *seconds):
    return [(life.state(at * SECOND), life.finished(at * SECOND)) for at in seconds]


def test_requests_are_answered_one_after_the_other():
    life = batch_life(plan(), None)
    assert seen(life, 0, 0.9, 1, 2.5, 10.9, 11, 99) == [
        ("PENDING", 0), ("PENDING", 0), ("RUNNING", 0), ("RUNNING", 1), ("RUNNING", 9), ("SUCCEEDED", 10),
        ("SUCCEEDED", 10),
    ]  # fmt: skip


def test_a_cancelled_batch_keeps_what_is_finished():
    life = batch_life(plan(), round(4.5 * SECOND))
    assert seen(life, 4, 4.5, 6, 6.5, 99) == [
        ("RUNNING", 3), ("CANCELLING", 3), ("CANCELLING", 3), ("CANCELLED", 3), ("CANCELLED", 3),
    ]  # fmt: skip
    assert batch_life(plan(), round(0.5 * SECOND)).started is None
    assert batch_life(plan(), 12 * SECOND).state(99 * SECOND) == "SUCCEEDED"  # it was over


def test_a_batch_that_is_never_begun_expires_in_the_queue():
    life = batch_life(plan(fate=JobFate(stuck_ingestion=True)), None)
    assert seen(life, 3600 * 71, 3600 * 72) == [("PENDING", 0), ("EXPIRED", 0)]


def test_a_batch_that_is_stuck_expires_and_keeps_what_is_finished():
    life = batch_life(plan(fate=JobFate(stall_at_step=4)), None)
    assert seen(life, 3600 * 24, 3600 * 24 + 1) == [("RUNNING", 4), ("EXPIRED", 4)]


def test_a_batch_may_fail_as_a_whole():
    life = batch_life(plan(fate=JobFate(fail_at_step=3, code=8)), None)
    assert seen(life, 3.9, 4) == [("RUNNING", 2), ("FAILED", 3)]
    assert life.error == (8, "Internal error occurred. Please try again.")
    assert batch_life(plan(error=(5, "gone")), None).error == (5, "gone")


@pytest.mark.parametrize("seed", range(5))
def test_what_is_drawn_has_the_share_that_was_asked_for_and_is_always_the_same(seed):
    drawn = plan(2000, settings=Settings(seed=seed, batch_failed=0.1, batch_missing=0.3))
    assert 150 < sum(map(drawn.fails, range(2000))) < 250
    assert 520 < sum(map(drawn.is_missing, range(2000))) < 680
    assert list(drawn.order()) == list(attrs.evolve(drawn).order()) != sorted(drawn.order())
    assert sorted(drawn.order()) == list(range(2000))
    assert list(attrs.evolve(drawn, shuffled=False).order()) == list(range(2000))


def test_an_impossible_plan_is_refused():
    for facts in ({"requests": -1}, {"created": -1}, {"requests": 1 << 25}, {"failed": "x"}):
        with pytest.raises(ValueError):
            attrs.evolve(plan(), **facts)
