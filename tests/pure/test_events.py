"""Events are values: matched by class, told apart by kind, and plain JSON on demand."""

import json
from datetime import UTC, datetime
from typing import get_args

import pytest

from gemtune import events
from gemtune.events import JobState
from gemtune.types.batches import BatchState, GenerateContentBatch
from gemtune.types.operations import Status
from gemtune.types.training import Checkpoint, SnapshotMetrics
from looks import JOB, time, tuned_model

AT = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
STAMP = {"job": JOB, "cursor": "j1.x", "observed_at": AT}

EXAMPLES = [
    events.Added(**STAMP),
    events.StateChanged(**STAMP, old=JobState.UNKNOWN, new=JobState("PAUSED")),
    events.Snapshot(**STAMP, step=3, epoch=1, mean_loss=0.25, compute_time=time(3)),
    events.Progress(**STAMP, completed_steps=3, total_steps=38, percent=7.89, eta=70.0),
    events.Restarted(**STAMP, attempt=2),
    events.Succeeded(**STAMP, model=tuned_model("ACTIVE")),
    events.Failed(**STAMP, error=Status(code=13, message="out of memory", details=({"secret": "x"},))),
    events.Cancelled(**STAMP),
    events.Deleted(**STAMP),
    events.Lost(**STAMP, reason=events.LostReason.PERMISSION, message="403"),
    events.Degraded(**STAMP, error="Unavailable", message="503", status=503, failures=3),
    events.Recovered(**STAMP, downtime=12.5),
    events.Bookmark(**STAMP),
    events.SnapshotUpdated(
        **STAMP, step=3, epoch=1, mean_loss=0.25, compute_time=time(3), metrics=SnapshotMetrics(eval_loss=0.5)
    ),
    events.Completed(**STAMP, batch=GenerateContentBatch(name=JOB, state=BatchState.SUCCEEDED)),
    events.CheckpointReady(**STAMP, checkpoint=Checkpoint(checkpoint_id="2", epoch=2, step=80, endpoint="endpoints/7")),
]


def test_there_is_an_example_of_every_event():
    assert {type(event) for event in EXAMPLES} == set(get_args(events.Event))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.kind)
def test_every_event_is_json(event):
    plain = json.loads(json.dumps(event.to_dict(), allow_nan=False))
    assert plain["kind"] == event.kind
    assert plain["job"] == JOB
    assert plain["observed_at"] == "2026-03-14T09:26:53.589793Z"


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.kind)
def test_the_kind_is_the_class_name_in_snake_case(event):
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(event).__name__)
    assert event.kind == words.removeprefix("_")


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.kind)
def test_exactly_six_events_are_terminal(event):
    terminal = {"succeeded", "completed", "failed", "cancelled", "deleted", "lost"}
    assert events.is_terminal(event) == isinstance(event, events.TERMINAL) == (event.kind in terminal)


def test_a_snapshot_keeps_nanoseconds_in_json():
    computed = events.Timestamp.parse("2026-03-14T09:26:56.123456789Z")
    event = events.Snapshot(**STAMP, step=3, epoch=1, mean_loss=0.25, compute_time=computed)
    assert event.to_dict()["compute_time"] == "2026-03-14T09:26:56.123456789Z"


@pytest.mark.parametrize(
    ("loss", "word"), [(float("nan"), "NaN"), (float("inf"), "Infinity"), (-float("inf"), "-Infinity")]
)
def test_a_loss_that_is_no_number_is_a_word_in_json(loss, word):
    event = events.Snapshot(**STAMP, step=3, epoch=1, mean_loss=loss, compute_time=None)
    assert event.to_dict()["mean_loss"] == word
    assert event.to_dict()["compute_time"] is None


def test_a_model_is_told_by_its_plain_facts_and_without_its_snapshots():
    facts = EXAMPLES[5].to_dict()["model"]
    assert facts["name"] == JOB
    assert facts["state"] == "ACTIVE"
    assert facts["create_time"] == "2026-03-14T09:26:53Z"
    assert not {"tuning_task", "snapshots"} & set(facts)


def test_a_failure_tells_the_servers_reason_but_not_its_details():
    failed = EXAMPLES[6]
    assert failed.reason == "out of memory"
    assert failed.to_dict()["error"] == {"code": 13, "message": "out of memory"}
    assert events.Failed(**STAMP, error=None).reason == ""


def test_events_are_matched_by_their_fields():
    match EXAMPLES[2]:
        case events.Snapshot(step=step, mean_loss=loss):
            assert (step, loss) == (3, 0.25)
        case _:
            pytest.fail("a snapshot matches its own class")


@pytest.mark.parametrize("state", JobState)
def test_active_failed_cancelled_and_deleted_are_terminal(state):
    assert state.terminal == (state in {"ACTIVE", "FAILED", "CANCELLED", "DELETED"})


def test_an_unknown_state_is_kept_and_is_not_terminal():
    state = JobState("VALIDATING_DATA")
    assert state == "VALIDATING_DATA"
    assert not state.terminal


def test_what_only_some_services_say_is_left_out_by_the_others():
    plain = EXAMPLES[1].to_dict() | EXAMPLES[2].to_dict()
    assert not {"service_state", "reason", "metrics", "accuracy", "eval_loss"} & set(plain)
    said = events.StateChanged(**STAMP, old=JobState.CREATING, new=JobState.CREATING, service_state="PENDING")
    assert said.to_dict()["service_state"] == "PENDING"
    assert "reason" not in said.to_dict()


def test_the_metrics_of_a_snapshot_are_columns_beside_its_loss():
    event = events.Snapshot(
        **STAMP, step=3, epoch=1, mean_loss=0.25, compute_time=time(3), metrics=SnapshotMetrics(accuracy=0.75)
    )
    assert (event.accuracy, event.eval_loss, EXAMPLES[2].accuracy) == (0.75, None, None)
    row = event.to_dict()
    assert (row["accuracy"], row["eval_loss"], row["epoch_estimated"]) == (0.75, None, False)


def test_a_checkpoint_is_told_with_its_endpoint():
    checkpoint = {"checkpoint_id": "2", "epoch": 2, "step": 80, "endpoint": "endpoints/7"}
    assert EXAMPLES[-1].to_dict()["checkpoint"] == checkpoint
    assert Checkpoint(checkpoint_id="3").to_dict()["endpoint"] is None
