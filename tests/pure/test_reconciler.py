"""What each look at a job means: the rules of watching one by one."""

import gc
import tracemalloc

import attrs
import pytest

from costs import operations
from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.events import JobState
from gemtune.looks.gemini import observe_operation
from gemtune.story.cursor import parse_cursor
from gemtune.story.history import History
from gemtune.story.observation import Source
from gemtune.story.replay import cursor_at, replay
from gemtune.types.operations import Operation
from gemtune.types.tuning import TuningSnapshot
from looks import JOB, OPERATION, now, see_list, see_model, see_operation, snapshots, tuned_model

CADENCE = WatchPolicy()


def kinds(told):
    return [event.kind for event in told]


def steps(told):
    return [event.step for event in told if isinstance(event, events.Snapshot)]


def next_look(history, seconds, dice=0.0):
    look = history.next_look(now(seconds), CADENCE, dice)
    return None if look is None else (look.source, look.after)


def following(**facts):
    return History(JOB, OPERATION, **facts)


def test_the_story_of_a_job_from_creation_to_the_model():
    history = following()
    model = tuned_model("ACTIVE", snapshots(1, 2, 3))
    assert kinds(history.observe(see_operation(0, total=3))) == ["state_changed", "progress"]
    assert kinds(history.observe(see_operation(5, snapshots(1, 2), total=3))) == ["snapshot", "snapshot", "progress"]
    told = history.observe(see_operation(9, snapshots(1, 2, 3), total=3, done=True, response=model))
    assert kinds(told) == ["snapshot", "progress", "state_changed", "succeeded"]
    assert told[-1].model == model
    assert (history.outcome.kind, history.outcome.cursor) == ("succeeded", told[-1].cursor)
    assert history.state is JobState.ACTIVE
    assert list(history.snapshots) == list(snapshots(1, 2, 3))
    assert next_look(history, 9) is None
    assert history.observe(see_operation(10, snapshots(1, 2, 3, 4), total=4)) == []


def test_a_look_that_shows_nothing_new_tells_nothing():
    history = following()
    history.observe(see_operation(0, snapshots(1, 2), total=9))
    assert history.observe(see_operation(5, snapshots(1, 2), total=9)) == []
    assert history.observe(see_operation(9, (), total=9, completed=2)) == []


def test_a_hole_is_filled_late_and_in_order_of_steps():
    history = following()
    assert steps(history.observe(see_model(5, shown=snapshots(5, 1, 3)))) == [1, 3, 5]
    told = history.observe(see_model(9, shown=snapshots(1, 2, 3, 4, 5, 6)))
    assert [(event.step, event.late) for event in told[:-1]] == [(2, True), (4, True), (6, False)]


def test_repeated_and_older_snapshots_are_ignored_and_counted():
    history = following()
    history.observe(see_model(5, shown=snapshots(1, 2, 3)))
    older = snapshots(1, (2, 1.5), 2, 3, 3)
    assert history.observe(see_model(9, shown=older)) == []
    assert history.log.ignored == 3


def test_a_revised_loss_of_a_delivered_step_changes_nothing():
    history = following()
    history.observe(see_model(5, shown=snapshots((1, 1, 0.5))))
    assert history.observe(see_model(9, shown=snapshots((1, 1, 0.4)))) == []
    assert history.snapshots[0].mean_loss == 0.5


def test_a_delivered_step_with_a_newer_time_means_a_restart():
    history = following()
    history.observe(see_operation(5, snapshots(1, 2, 3), total=9))
    told = history.observe(see_operation(20, snapshots((1, 11), (2, 12)), total=9))
    assert kinds(told) == ["restarted", "snapshot", "snapshot", "progress"]
    assert {event.attempt for event in told[:3]} == {2}
    assert (told[-1].completed_steps, history.log.now.attempt) == (2, 2)
    assert list(history.snapshots) == list(snapshots((1, 11), (2, 12)))


def test_after_a_restart_a_stale_look_at_the_former_attempt_is_ignored():
    history = following()
    history.observe(see_operation(5, snapshots(1, 2, 3), total=9))
    history.observe(see_operation(20, snapshots((1, 11)), total=9))
    assert history.observe(see_operation(21, snapshots(1, 2, 3, 4, 5), total=9)) == []
    assert history.headway.completed_steps == 1


def test_a_hole_in_the_first_look_at_a_restart_loses_nothing():
    history = following()
    history.observe(see_operation(5, snapshots(1, 2, 3), total=9))
    history.observe(see_operation(20, snapshots((3, 13)), total=9, completed=3))
    told = history.observe(see_operation(22, snapshots((1, 11), (2, 12), (3, 13)), total=9))
    assert [(event.step, event.attempt, event.late) for event in told] == [(1, 2, True), (2, 2, True)]
    assert len(history.snapshots) == 3


def test_after_a_restart_a_shorter_look_at_the_new_attempt_still_counts():
    history = following()
    history.observe(see_model(5, shown=snapshots(1, 2, 3)))
    history.observe(see_model(20, shown=snapshots((1, 11), (3, 13))))
    assert steps(history.observe(see_model(21, shown=snapshots((1, 11), (2, 12))))) == [2]


@pytest.mark.parametrize(
    "shown",
    [snapshots((1, 11), (2, 12), 3, 4, 5), snapshots(1, 2, 3, 4, 5, (1, 11), (2, 12))],
    ids=["overwritten", "appended"],
)
def test_a_list_that_holds_two_attempts_is_understood(shown):
    history = following()
    history.observe(see_operation(5, snapshots(1, 2, 3, 4), total=9))
    told = history.observe(see_operation(20, shown, total=9))
    assert kinds(told)[0] == "restarted"
    assert steps(told)[:2] == [1, 2]
    again = history.observe(see_operation(25, shown, total=9))
    assert "restarted" not in kinds(again)
    assert set(steps(again)) <= {5}


def test_a_snapshot_without_a_time_is_delivered_once_and_never_means_a_restart():
    history = following()
    bare = (TuningSnapshot(1), TuningSnapshot(2))
    assert steps(history.observe(see_model(5, shown=bare))) == [1, 2]
    assert history.observe(see_model(9, shown=bare)) == []
    assert history.observe(see_model(12, shown=snapshots(1, 2))) == []
    assert history.snapshots[0].compute_time is None


def test_a_snapshot_with_impossible_numbers_is_left_out_and_counted():
    history = following()
    shown = (TuningSnapshot(2**31), TuningSnapshot(-1), TuningSnapshot(3, 2**40), *snapshots(4))
    assert steps(history.observe(see_model(5, shown=shown))) == [4]
    assert history.log.malformed == 3


def test_progress_only_goes_forward_within_an_attempt():
    history = following()
    history.observe(see_operation(5, snapshots(1, 2, 3), total=10))
    assert history.observe(see_operation(6, snapshots(1, 2), total=10)) == []
    (progress,) = history.observe(see_operation(7, snapshots(1, 2, 3), total=10, completed=5))
    assert (progress.completed_steps, progress.percent, progress.eta) == (5, 50.0, 5.0)


def test_the_model_alone_tells_no_total():
    (_, _, progress) = History(JOB).observe(see_model(5, shown=snapshots(4)))
    assert (progress.completed_steps, progress.total_steps, progress.percent, progress.eta) == (4, None, None, None)


def test_an_unknown_state_is_told_as_it_is_and_watched_on():
    history = History(JOB)
    (changed,) = history.observe(see_model(0, "VALIDATING"))
    assert (changed.old, changed.new) == ("UNKNOWN", "VALIDATING")
    assert next_look(history, 0) == (Source.JOB, 2.0)
    assert History(JOB).observe(see_model(0, "STATE_UNSPECIFIED")) == []


@pytest.mark.parametrize("word", ["CANCELLED", "DELETED"])
def test_a_state_of_the_service_that_only_we_have_a_name_for_ends_nothing(word):
    history = History(JOB)
    history.observe(see_model(0, word))
    assert not history.finished
    assert not history.state.terminal


# -- the end


def test_a_list_that_says_active_asks_for_the_whole_model_before_the_end_is_told():
    history = following()
    history.observe(see_operation(5, snapshots(1, 2), total=4))
    assert history.observe(see_list(9, "ACTIVE")) == []
    assert history.state is JobState.CREATING
    assert next_look(history, 9) == (Source.JOB, 0.0)
    told = history.observe(see_model(9.1, "ACTIVE", snapshots(1, 2, 3, 4)))
    assert kinds(told) == ["snapshot", "snapshot", "progress", "state_changed", "succeeded"]


def test_an_operation_that_is_done_without_its_last_snapshots_asks_for_the_model():
    history = following()
    done = {"total": 4, "completed": 4, "done": True, "response": tuned_model("ACTIVE")}
    assert kinds(history.observe(see_operation(5, snapshots(1, 2), **done)))[-1] == "progress"
    assert next_look(history, 5) == (Source.JOB, 0.0)
    assert history.observe(see_model(5.1, "CREATING", snapshots(1, 2))) == []
    assert next_look(history, 5.1) == (Source.JOB, 2.0)
    told = history.observe(see_model(7, "ACTIVE", snapshots(1, 2, 3, 4)))
    assert kinds(told) == ["snapshot", "snapshot", "state_changed", "succeeded"]


def test_the_model_of_a_done_operation_outweighs_what_was_seen_of_it_before():
    response = tuned_model("ACTIVE", snapshots(1, 2))
    for first, *then in [
        (see_model(1, "CREATING"),),
        (see_list(1, "ACTIVE"),),
        (see_list(1, "ACTIVE"), see_model(2, "CREATING")),
    ]:
        history = following()
        for seen in (first, *then):
            assert not events.is_terminal((history.observe(seen) or [history.added(now(0))])[-1])
        told = history.observe(see_operation(5, snapshots(1, 2), total=2, done=True, response=response))
        assert told[-1].model == response


def test_a_model_that_failed_is_told_with_the_reason_of_its_operation():
    history = following()
    history.observe(see_model(1))
    assert kinds(history.observe(see_model(5, "FAILED", snapshots(1)))) == ["snapshot", "progress"]
    assert next_look(history, 5) == (Source.WORK, 0.0)
    told = history.observe(see_operation(5.1, snapshots(1), done=True, error=13))
    assert kinds(told) == ["state_changed", "failed"]
    assert told[-1].reason == "said the server"


def test_without_an_operation_a_failure_has_no_reason():
    assert kinds(History(JOB).observe(see_model(5, "FAILED"))) == ["state_changed", "failed"]
    history = following()
    history.observe(see_model(5, "FAILED"))
    told = history.fault(errors.NotFound("gone", status=404), Source.WORK, now(6))
    assert kinds(told) == ["state_changed", "failed"]
    assert told[-1].error is None


@pytest.mark.parametrize("code", [0, 2, 3, 9, 13])
def test_only_code_1_means_cancelled(code):
    history = following()
    history.observe(see_operation(5, done=True, error=code))
    assert kinds(history.observe(see_model(6, "FAILED"))) == ["state_changed", "failed"]
    history = following()
    history.observe(see_operation(5, done=True, error=1))
    assert kinds(history.observe(see_model(6, "FAILED"))) == ["state_changed", "cancelled"]
    assert history.state is JobState.CANCELLED


def test_an_error_outweighs_a_response():
    history = following()
    history.observe(see_operation(5, done=True, error=13, response=tuned_model("ACTIVE")))
    assert kinds(history.observe(see_model(6, "ACTIVE")))[-1] == "failed"


def test_a_cancelled_job_whose_model_never_changes_is_told_after_a_minute():
    history = following()
    history.observe(see_operation(0, snapshots(1), total=9, done=True, error=1))
    seconds, waits = 0.0, []
    while not history.finished and seconds < 600:
        source, after = next_look(history, seconds)
        assert source is Source.JOB
        waits.append(after)
        seconds += after + 0.1
        told = history.observe(see_model(seconds, "CREATING", snapshots(1)))
    assert kinds(told) == ["state_changed", "cancelled"]
    assert waits[:5] == [0.0, 2.0, 4.0, 8.0, 10.0]
    assert 60 <= seconds <= 71


def test_an_operation_that_is_done_and_says_nothing_leaves_it_to_the_model():
    history = following()
    assert kinds(history.observe(see_operation(5, done=True))) == []
    assert next_look(history, 5) == (Source.JOB, 0.0)
    assert kinds(history.observe(see_model(6, "ACTIVE")))[-1] == "succeeded"


def test_a_response_that_is_no_model_leaves_it_to_the_model():
    history = following()
    history.observe(see_operation(5, done=True, response={"@type": "x"}))
    assert next_look(history, 5) == (Source.JOB, 0.0)


def test_metadata_that_is_no_tuning_is_no_progress():
    history = following()
    told = history.observe(observe_operation(Operation(name=OPERATION, metadata={"x": 1}), now(1)))
    assert kinds(told) == ["state_changed"]


# -- failed looks


def unavailable(**facts):
    return errors.Unavailable("503", status=503, **facts)


def test_the_third_failure_in_a_row_is_told_and_so_is_the_recovery():
    history = following()
    assert history.fault(unavailable(), Source.WORK, now(0)) == []
    assert history.fault(unavailable(), Source.WORK, now(2)) == []
    (degraded,) = history.fault(unavailable(), Source.WORK, now(6))
    assert (degraded.error, degraded.status, degraded.failures) == ("Unavailable", 503, 3)
    assert history.fault(unavailable(), Source.WORK, now(14)) == []
    recovered, *_ = history.observe(see_operation(20))
    assert (recovered.kind, recovered.downtime) == ("recovered", 20.0)
    assert history.fault(unavailable(), Source.WORK, now(22)) == []


def test_two_failures_are_nobodys_business():
    history = following()
    history.fault(unavailable(), Source.WORK, now(0))
    history.fault(unavailable(), Source.WORK, now(2))
    assert kinds(history.observe(see_operation(3))) == ["state_changed"]


def test_a_refused_credential_is_told_at_once():
    history = following()
    assert kinds(history.fault(errors.Unauthenticated("401", status=401), Source.WORK, now(0))) == ["degraded"]


def test_a_failed_look_is_repeated_with_growing_pauses_and_never_before_the_server_allows():
    history = following()
    waits = []
    for seconds in range(8):
        history.fault(unavailable(), Source.WORK, now(seconds))
        waits.append(next_look(history, seconds, dice=1.0)[1])
    assert waits == [1, 1.5, 8, 16, 32, 60, 60, 60]
    history.fault(errors.QuotaExhausted("429", status=429, retry_after=90.0), Source.WORK, now(9))
    assert next_look(history, 9)[1] == 90.0
    history.fault(errors.QuotaExhausted("429", status=429, retry_after=1e6), Source.WORK, now(9))
    assert next_look(history, 9)[1] == 120.0


def test_an_operation_that_is_gone_hands_over_to_the_model_at_once():
    history = following()
    history.observe(see_operation(0, snapshots(1), total=9))
    assert history.fault(errors.NotFound("404", status=404), Source.WORK, now(5)) == []
    assert next_look(history, 5) == (Source.JOB, 0.0)
    history.observe(see_model(6, "CREATING", snapshots(1, 2)))
    assert next_look(history, 6)[0] is Source.JOB


def test_a_model_is_deleted_once_it_is_missing_twice_with_ten_seconds_between():
    history = following()
    history.observe(see_model(0))
    gone = errors.NotFound("404", status=404)
    assert history.fault(gone, Source.JOB, now(100)) == []
    assert next_look(history, 100) == (Source.JOB, 10.0)
    assert history.fault(gone, Source.JOB, now(105)) == []
    assert next_look(history, 105) == (Source.JOB, 5.0)
    assert kinds(history.fault(gone, Source.JOB, now(110))) == ["deleted"]
    assert history.state is JobState.DELETED


def test_a_model_that_comes_back_was_never_deleted():
    history = following()
    history.observe(see_model(0))
    gone = errors.NotFound("404", status=404)
    history.fault(gone, Source.JOB, now(100))
    history.observe(see_model(105))
    assert history.fault(gone, Source.JOB, now(111)) == []


def test_a_model_that_a_list_still_shows_is_not_gone():
    history = following()
    history.observe(see_model(0))
    gone = errors.NotFound("404", status=404)
    history.fault(gone, Source.JOB, now(100))
    history.observe(see_list(105))
    assert history.fault(gone, Source.JOB, now(111)) == []
    history.observe(see_operation(112, snapshots(1), total=9))
    assert kinds(history.fault(gone, Source.JOB, now(121))) == ["deleted"]


def test_the_operation_of_another_job_says_nothing():
    history = History(JOB)
    assert history.observe(see_operation(0, snapshots(1), total=9, name="tunedModels/other/operations/abc")) == []
    assert (history.work.name, len(history.snapshots)) == (None, 0)


def test_a_model_younger_than_a_minute_may_be_missing():
    history = History(JOB, born=now(0))
    gone = errors.NotFound("404", status=404)
    for seconds in range(0, 60, 5):
        assert history.fault(gone, Source.JOB, now(seconds)) == []
        assert next_look(history, seconds)[1] <= 10
    assert kinds(history.fault(gone, Source.JOB, now(60))) == ["lost"]


def test_a_job_that_never_was_is_lost_rather_than_deleted():
    history = History(JOB)
    gone = errors.NotFound("404", status=404)
    history.fault(gone, Source.JOB, now(0))
    (lost,) = history.fault(gone, Source.JOB, now(10))
    assert (lost.kind, lost.reason) == ("lost", "not_found")


def test_a_job_is_lost_once_it_is_forbidden_twice_with_thirty_seconds_between():
    history = following()
    history.observe(see_model(0))
    forbidden = errors.PermissionDenied("403", status=403)
    assert history.fault(forbidden, Source.JOB, now(100)) == []
    assert next_look(history, 100) == (Source.JOB, 30.0)
    (lost,) = history.fault(forbidden, Source.JOB, now(130))
    assert (lost.kind, lost.reason) == ("lost", "permission")
    assert history.state is JobState.CREATING


def test_a_model_that_is_now_missing_now_forbidden_is_decided_all_the_same():
    history = following()
    history.observe(see_model(0))
    seconds = 100
    while not history.finished and seconds < 200:
        cls, status = (errors.NotFound, 404) if seconds % 20 else (errors.PermissionDenied, 403)
        told = history.fault(cls("x", status=status), Source.JOB, now(seconds))
        seconds += 10
    assert kinds(told) == ["deleted"]


def test_a_cancelled_job_whose_model_was_deleted_is_cancelled():
    history = following()
    history.observe(see_operation(0, total=9))
    history.observe(see_operation(90, total=9, done=True, error=1))
    gone = errors.NotFound("404", status=404)
    history.fault(gone, Source.JOB, now(91))
    assert kinds(history.fault(gone, Source.JOB, now(101))) == ["state_changed", "cancelled"]


def test_a_request_that_the_service_calls_wrong_is_not_repeated():
    history = following()
    (lost,) = history.fault(errors.BadRequest("400 no such field", status=400), Source.JOB, now(0))
    assert (lost.reason, lost.message) == ("refused", "400 no such field")
    assert next_look(history, 0) is None


def test_losing_a_job_says_nothing_about_the_job_and_happens_once():
    history = following()
    history.observe(see_operation(0))
    assert kinds(history.end(events.Lost, now(9), reason=events.LostReason.DEADLINE)) == ["lost"]
    assert history.end(events.Lost, now(9), reason=events.LostReason.DEADLINE) == []
    assert history.fault(unavailable(), Source.JOB, now(9)) == []
    assert history.state is JobState.CREATING


# -- another model under the same name


def test_a_newer_create_time_ends_one_job_and_adds_another():
    history = following()
    history.observe(see_model(5, "CREATING", snapshots(1, 2)))
    told = history.observe(see_model(60, "CREATING", snapshots((1, 55)), created=50))
    assert kinds(told) == ["deleted", "added", "state_changed", "snapshot", "progress"]
    assert told[1].origin == "recreated"
    assert (told[3].attempt, told[3].late) == (1, False)
    assert not history.finished
    assert list(history.snapshots) == list(snapshots((1, 55)))


def test_what_concerns_the_replaced_job_is_ignored():
    history = following()
    history.observe(see_operation(4, snapshots(1), total=9))
    history.observe(see_model(5, "CREATING", snapshots(1, 2)))
    history.observe(see_model(60, "CREATING", (), created=50))
    assert history.observe(see_model(61, "ACTIVE", snapshots(1, 2, 3))) == []
    assert history.observe(see_operation(62, snapshots(1, 2, 3), done=True, error=13)) == []
    assert next_look(history, 62)[0] is Source.JOB


def test_a_new_job_under_the_name_of_an_ended_one_is_added():
    history = following()
    history.observe(see_model(5, "ACTIVE", snapshots(1)))
    assert kinds(history.observe(see_list(60, "CREATING", created=50))) == ["added", "state_changed"]


# -- cursors


def test_resuming_from_a_cursor_tells_only_what_came_after_it():
    first = following()
    told = first.observe(see_operation(5, snapshots(1, 2, 4), total=9))
    second = History.from_cursor(told[2].cursor, OPERATION)
    assert second.name == JOB
    assert second.added(now(6)).origin == "resumed"
    told = second.observe(see_operation(7, snapshots(1, 2, 3, 4), total=9))
    assert [(event.step, event.replayed, event.late) for event in told[1:-1]] == [(3, True, False), (4, True, False)]
    assert list(second.snapshots) == list(snapshots(1, 2, 3, 4))
    told = second.observe(see_operation(9, snapshots(1, 2, 3, 4, 5, 8), total=9))
    assert [(event.step, event.replayed) for event in told[:-1]] == [(5, True), (8, False)], "5 was there before 7 s"


def test_a_hole_survives_the_cursor():
    first = following()
    told = first.observe(see_model(5, shown=snapshots(1, 2, 4, 5)))
    second = History.from_cursor(told[-1].cursor)
    assert steps(second.observe(see_model(7, shown=snapshots(1, 2, 3, 4, 5)))) == [3]


def test_a_restart_that_nobody_watched_is_noticed_on_resuming():
    first = following()
    told = first.observe(see_model(5, shown=snapshots(1, 2, 3)))
    second = History.from_cursor(told[-1].cursor)
    told = second.observe(see_model(30, shown=snapshots((1, 21), (2, 22))))
    assert kinds(told) == ["state_changed", "restarted", "snapshot", "snapshot", "progress"]
    assert told[2].attempt == 2


def test_a_job_that_was_replaced_while_nobody_watched_is_told_as_deleted_and_added():
    first = following()
    told = first.observe(see_model(5, shown=snapshots(1, 2, 3)))
    second = History.from_cursor(told[-1].cursor)
    assert kinds(second.observe(see_model(60, shown=snapshots((1, 55)), created=50)))[:2] == ["deleted", "added"]


def test_whether_the_model_is_still_the_same_one_is_asked_of_the_model_first():
    first = following()
    told = first.observe(see_model(5, shown=snapshots(1, 2, 3)))
    second = History.from_cursor(told[-1].cursor, f"{JOB}/operations/another")
    assert next_look(second, 50) == (Source.JOB, 0.0)
    second.fault(errors.Unavailable("503", status=503), Source.JOB, now(50))
    assert next_look(second, 50)[0] is Source.JOB
    second.observe(see_model(60, shown=snapshots(1, 2, 3)))
    assert next_look(second, 60)[0] is Source.WORK


def test_the_cursor_of_the_end_says_so():
    told = History(JOB).observe(see_model(5, "ACTIVE", snapshots(1)))
    assert [parse_cursor(event.cursor).ended for event in told] == [False, False, False, True]


def test_every_cursor_of_a_look_is_of_its_own_place():
    told = following().observe(see_model(5, shown=snapshots(1, 2, 3)))
    resumed = [
        steps(History.from_cursor(event.cursor).observe(see_model(6, shown=snapshots(1, 2, 3)))) for event in told
    ]
    assert resumed == [[1, 2, 3], [2, 3], [3], [], []]


def test_a_later_subscriber_reads_the_snapshots_again_from_any_offset():
    history = following()
    told = history.observe(see_model(5, shown=snapshots(1, 3)))
    told += history.observe(see_model(6, shown=snapshots(1, 2, 3)))
    told += history.observe(see_model(30, shown=snapshots((1, 21))))
    live = [event for event in told if isinstance(event, events.Snapshot)]
    for first in range(len(live) + 1):
        again = list(replay(history.log, now(40).utc, first))
        assert all(event.replayed for event in again)
        assert [(event.step, event.attempt, event.late, event.cursor) for event in again] == [
            (event.step, event.attempt, event.late, event.cursor) for event in live[first:]
        ]


def test_a_history_shows_what_matters():
    history = following()
    history.observe(see_operation(5, snapshots(1, 2), total=9))
    assert repr(history) == f"<History {JOB} CREATING step 2/9, attempt 1, 2 snapshots>"
    assert repr(history.snapshots).startswith("<2 snapshots, last TuningSnapshot(")
    assert history.snapshots[0:1] == snapshots(1)


def followed_to_the_last_step():
    history = following()
    for upto in range(0, 376, 25):
        history.observe(see_operation(upto, snapshots(*range(1, upto + 1)), total=375))
    return history


def test_ten_thousand_watched_jobs_fit_into_memory():
    """One job of 375 steps takes under 12 KB, so that 10,000 of them stay below 120 MB."""
    kept = [followed_to_the_last_step()]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept += [followed_to_the_last_step() for _ in range(20)]
    gc.collect()
    each = (tracemalloc.get_traced_memory()[0] - before) / 20
    tracemalloc.stop()
    assert each < 12_000


def test_steps_and_epochs_of_any_size_are_kept():
    history = following()
    history.observe(
        see_model(5, shown=[attrs.evolve(each, epoch=each.step) for each in snapshots(1, 70_000, 2**31 - 1)])
    )
    assert [(each.step, each.epoch) for each in history.snapshots] == [(step, step) for step in (1, 70_000, 2**31 - 1)]


def test_an_operation_that_is_done_and_says_nothing_is_no_end_while_the_model_continues():
    history = following()
    history.observe(see_model(4, "CREATING", snapshots(1)))
    assert kinds(history.observe(see_operation(5, snapshots(1, 2), total=9, done=True))) == ["snapshot", "progress"]
    told, seconds = [], 5.0
    while seconds < 300:
        look = next_look(history, seconds)
        assert look[0] is Source.JOB, "the operation knows no more"
        seconds += look[1] + 0.1
        told += history.observe(see_model(seconds, "CREATING", snapshots(*range(1, min(int(seconds / 30), 8) + 1))))
    assert not history.finished
    told += history.observe(see_model(301, "ACTIVE", snapshots(*range(1, 10))))
    assert steps(told) == list(range(3, 10))
    assert kinds(told)[-2:] == ["state_changed", "succeeded"]


@pytest.mark.parametrize("state", ["FAILED", "gone"])
def test_after_an_operation_that_is_done_and_says_nothing_the_model_alone_says_how_the_job_ended(state):
    history = following()
    history.observe(see_model(4, "CREATING", snapshots(1)))
    history.observe(see_operation(5, snapshots(1), total=9, done=True))
    if state == "FAILED":
        told = history.observe(see_model(200, "FAILED", snapshots(1)))
        assert kinds(told) == ["state_changed", "failed"]
    else:
        gone = errors.NotFound("404", status=404)
        history.fault(gone, Source.JOB, now(200))
        assert kinds(history.fault(gone, Source.JOB, now(210))) == ["deleted"]


@pytest.mark.parametrize("claim", ["5-9999999", "2-9999998/2"])
def test_a_cursor_that_claims_millions_of_steps_costs_nothing_when_its_job_is_looked_at(claim):
    prefix = History(JOB).cursor.rsplit(".", 2)[0]
    honest = History.from_cursor(f"{prefix}.1-4.7{'f' * 15}")
    history = History.from_cursor(f"{prefix}.{claim}.7{'f' * 15}")
    shown = see_model(500, shown=snapshots(*range(1, 200)))
    usual = operations(honest.observe, shown)
    assert operations(history.observe, shown) <= 2 * usual
    utc = now(500).utc
    again = operations(lambda: list(replay(honest.log, utc, 0, based=True)))
    assert operations(lambda: list(replay(history.log, utc, 0, based=True))) <= 2 * again
    assert claim in cursor_at(history.log, 100, based=True), "what was claimed stays claimed"
