"""What only some services say of a job: their own word for a state, a reason, checkpoints, statistics of the data."""

import attrs

from gemtune import events
from gemtune.events import JobState
from gemtune.story.history import History
from gemtune.story.observation import PLAIN, Listed, Observation, Source
from gemtune.types.training import Checkpoint, DataStats, DroppedExample
from looks import JOB, now, see_model


def see(seconds, state=JobState.CREATING, **facts):
    return Observation(source=Source.JOB, at=now(seconds), state=state, created=1, **facts)


def changes(told):
    return [(each.new, each.service_state, each.reason) for each in told if isinstance(each, events.StateChanged)]


def checkpoint(number, endpoint=""):
    return Checkpoint(checkpoint_id=str(number), epoch=number, step=10 * number, endpoint=endpoint)


def test_another_word_of_the_service_or_another_reason_is_a_change_of_state():
    history = History(JOB)
    told = history.observe(see(1, service_state="PENDING"))
    told += history.observe(see(2, service_state="RUNNING", reason="WAITING_FOR_QUOTA"))
    told += history.observe(see(3, service_state="RUNNING", reason="WAITING_FOR_QUOTA"))
    told += history.observe(Listed(JOB, JobState.CREATING, 1, "RUNNING", "TUNING").seen(now(4)))
    told += history.observe(see(5, service_state="RUNNING"))
    assert changes(told) == [
        (JobState.CREATING, "PENDING", None),
        (JobState.CREATING, "RUNNING", "WAITING_FOR_QUOTA"),
        (JobState.CREATING, "RUNNING", "TUNING"),
        (JobState.CREATING, "RUNNING", None),
    ]


def test_a_reply_without_a_word_of_its_own_takes_none_away():
    history = History(JOB)
    history.observe(see(1, service_state="RUNNING", reason="TUNING"))
    assert changes(history.observe(see(2))) == []
    assert (history.standing.service_state, history.standing.reason) == ("RUNNING", "TUNING")


def test_a_service_that_has_only_states_costs_no_memory_for_the_rest():
    history = History(JOB)
    history.observe(see_model(1))
    assert history.standing is PLAIN


def test_a_checkpoint_that_was_deployed_stays_so_whatever_an_older_reply_says():
    history = History(JOB)
    history.observe(see(1, checkpoints=[checkpoint(2), checkpoint(1, "endpoints/1")]))
    history.observe(see(2, checkpoints=[checkpoint(1)]))
    history.observe(see(3))
    assert history.standing.checkpoints == (checkpoint(1, "endpoints/1"), checkpoint(2))


def test_statistics_and_endpoint_stay_until_a_reply_says_others():
    history, stats = History(JOB), DataStats(examples=9, dropped_examples=[DroppedExample(number=3, reason="too long")])
    history.observe(see(1, data_stats=stats, endpoint="endpoints/1"))
    history.observe(see(2))
    assert (history.standing.data_stats, history.standing.endpoint) == (stats, "endpoints/1")
    assert attrs.evolve(stats, dropped=1) != stats
