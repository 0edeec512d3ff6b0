"""What Vertex AI says, in the words of all services: states, ends, statistics, models."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gemtune.events import JobState
from gemtune.looks.vertex_words import TrainingFacts, data_stats, listed, observe_job, served_model
from gemtune.protocol.codec import decode_lenient
from gemtune.story.observation import Moment
from gemtune.types.vertex import VertexJobState, VertexTuningJob

DOCUMENT = json.loads((Path(__file__).parents[1] / "golden" / "vertex_observed.json").read_text(encoding="utf-8"))
SAMPLES = {sample["id"]: sample["body"] for sample in DOCUMENT["samples"]}
NOW = Moment(0.0, datetime(2026, 10, 1, 20, tzinfo=UTC))
AT = "projects/1/locations/us-central1"


def job(**fields):
    return decode_lenient(VertexTuningJob, fields)


def observed(name):
    return decode_lenient(VertexTuningJob, SAMPLES[name])


@pytest.mark.parametrize(
    ("state", "ours"),
    [
        ("QUEUED", "CREATING"), ("PENDING", "CREATING"), ("RUNNING", "CREATING"), ("CANCELLING", "CREATING"),
        ("PAUSED", "CREATING"), ("UPDATING", "CREATING"), ("SUCCEEDED", "ACTIVE"), ("FAILED", "FAILED"),
        ("EXPIRED", "FAILED"), ("CANCELLED", "CANCELLED"), ("PARTIALLY_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"),
        ("THINKING", "JOB_STATE_THINKING"),
    ],
)  # fmt: skip
def test_every_state_has_its_word_and_keeps_the_service_s_own(state, ours):
    seen = observe_job(job(state=f"JOB_STATE_{state}", tunedModel={"model": f"{AT}/models/1@1", "endpoint": "e"}), NOW)
    assert seen.state == ours
    assert seen.service_state == f"JOB_STATE_{state}"
    assert seen.state.terminal is VertexJobState(f"JOB_STATE_{state}").ended


def test_what_the_service_does_not_say_is_not_made_up():
    seen = observe_job(job(), NOW)
    assert (seen.state, seen.service_state, seen.reason, seen.error, seen.model) == (None,) * 5
    assert (seen.total_steps, seen.completed_steps, seen.percent, seen.checkpoints, seen.data_stats) == (None,) * 5


def test_success_without_an_endpoint_is_not_the_end_yet_and_says_what_it_means_if_it_stays_so():
    left = {"tunedModel": {"model": f"{AT}/models/1@1"}}
    done = job(state="JOB_STATE_SUCCEEDED", endTime="2026-10-01T20:00:00Z", **left)
    seen = observe_job(done, NOW)
    assert seen.state is listed(done, "n").state is JobState.CREATING
    assert seen.done
    assert "models/1@1 was tuned, but has no endpoint" in seen.error.message


def test_a_failed_job_may_have_a_model_and_says_why_nobody_serves_it():
    failed = observed("get_failed_after_training_2024")
    seen = observe_job(failed, NOW)
    assert seen.state is JobState.FAILED
    assert seen.error.code == 13
    assert seen.error.message.startswith("Failed to create endpoint.")
    assert seen.model is None
    assert seen.endpoint is None
    assert served_model(failed).name.endswith("/models/1402067540926005248@1")


def test_a_cancelled_job_says_so_by_its_state_and_not_by_what_it_leaves_behind():
    (_, cancelled, *_) = (
        decode_lenient(VertexTuningJob, SAMPLES["list_all"]["tuningJobs"][0]),
        *(decode_lenient(VertexTuningJob, each) for each in SAMPLES["list_all"]["tuningJobs"][1:]),
    )
    seen = observe_job(cancelled, NOW)
    assert seen.state is JobState.CANCELLED
    assert seen.error.code == 1
    assert seen.model is None


def test_a_job_that_succeeded_is_a_model_that_can_be_asked():
    seen = observe_job(observed("get_succeeded_2024"), NOW)
    assert seen.state is JobState.ACTIVE
    assert seen.model.endpoint == seen.endpoint
    assert seen.model.endpoint.endswith("/endpoints/5693131570647400448")
    assert seen.model.name.endswith("/models/1582035604160380928@1")
    assert seen.model.display_name == seen.about.display_name == "my-tuned-flash"
    assert seen.about.base_model == "gemini-1.5-flash-002"
    assert seen.about.hyperparameters.epoch_count == 10
    assert seen.about.hyperparameters.adapter_size == 8
    assert seen.about.completed > seen.created > 0


def test_what_a_running_job_waits_for_and_how_far_it_is_is_read_where_v1beta1_says_it():
    seen = observe_job(
        job(
            state="JOB_STATE_RUNNING",
            tuningJobState="TUNING_JOB_STATE_WAITING_FOR_QUOTA",
            supervisedTuningSpec={"hyperParameters": {"epochCount": "4"}},
            tuningJobMetadata={"completedEpochCount": "1"},
            tuningDataStats={"supervisedTuningDataStats": {"tuningStepCount": "120"}},
        ),
        NOW,
    )
    assert seen.reason == "TUNING_JOB_STATE_WAITING_FOR_QUOTA"
    assert seen.total_steps == 120


@pytest.mark.parametrize(
    ("state", "stats", "percent"),
    [
        ("JOB_STATE_RUNNING", {}, 25.0),
        # The steps say how far it is; the epochs run ahead of them, and a bar would be full before its time.
        ("JOB_STATE_RUNNING", {"supervisedTuningDataStats": {"tuningStepCount": "120"}}, None),
        ("JOB_STATE_SUCCEEDED", {"supervisedTuningDataStats": {"tuningStepCount": "120"}}, 100.0),
    ],
)
def test_the_epochs_say_how_far_a_job_is_only_while_its_steps_are_not_counted(state, stats, percent):
    seen = observe_job(
        job(
            state=state,
            supervisedTuningSpec={"hyperParameters": {"epochCount": "4"}},
            tuningJobMetadata={"completedEpochCount": "1"},
            tuningDataStats=stats,
        ),
        NOW,
    )
    assert seen.percent == percent


def test_statistics_name_what_was_dropped():
    stats = data_stats(
        job(
            tuningDataStats={
                "supervisedTuningDataStats": {
                    "tuningDatasetExampleCount": "500", "totalBillableTokenCount": "96894", "tuningStepCount": "120",
                    "totalTruncatedExampleCount": "3", "truncatedExampleIndices": ["7", "9"],
                    "droppedExampleReasons": ["too long"],
                }
            }
        )
    )  # fmt: skip
    assert (stats.examples, stats.billable_tokens, stats.steps, stats.dropped) == (500, 96894, 120, 3)
    assert [(each.number, each.reason) for each in stats.dropped_examples] == [(7, "too long"), (9, "")]


def test_statistics_of_preferences_count_their_dropped_examples():
    stats = data_stats(
        job(
            tuningDataStats={
                "preferenceOptimizationDataStats": {"droppedExampleIndices": ["2"], "tuningStepCount": "5"}
            }
        )
    )
    assert (stats.dropped, stats.steps, stats.dropped_examples[0].number) == (1, 5, 2)


def test_what_is_kept_of_a_job_for_its_curves_is_what_they_need():
    known = TrainingFacts.of(observed("get_succeeded_2024"))
    assert (known.expected, known.epochs, known.steps) == ({"loss", "eval_loss"}, 10, None)
    assert TrainingFacts.of(observed("create_pending")).expected == {"loss"}
    assert TrainingFacts.of(job()) == TrainingFacts(frozenset({"loss"}), None, None, ())


@pytest.mark.parametrize("name", ["create_pending", "get_running_early", "get_cancelling"])
def test_the_observed_life_of_a_job_is_one_story_of_waiting(name):
    seen = observe_job(observed(name), NOW)
    assert seen.state is JobState.CREATING
    assert seen.created > 0
