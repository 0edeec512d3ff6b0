"""What Vertex AI says of a job, in the words that all services share; pure.

=========================================  ==========  =====================================================
the service's state                        ours        why
=========================================  ==========  =====================================================
QUEUED PENDING RUNNING PAUSED UPDATING     CREATING    the word itself, and what it waits for, are kept
CANCELLING                                 CREATING    it may still end in another way
SUCCEEDED, with an endpoint                ACTIVE      the model can be asked
SUCCEEDED, without                         CREATING    the endpoint comes last; how long it is awaited is for the
                                                       story to say, and ``error`` what it means if it stays away
FAILED EXPIRED                             FAILED      either may have left a model, which is not served
CANCELLED                                  CANCELLED
any other                                  that word   is kept, and never an end
=========================================  ==========  =====================================================

Neither ``tunedModel`` nor ``error`` tells an end: failed and cancelled jobs can have a model.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, Self, TypeVar

import attrs

from gemtune.events import JobState
from gemtune.resources.vertex.curves import CurveStep
from gemtune.story.observation import About, Listed, Moment, Observation, Source, nanoseconds
from gemtune.types.operations import Status
from gemtune.types.training import Checkpoint, DataStats, DroppedExample, SnapshotMetrics
from gemtune.types.tuning import (
    Hyperparameters,
    MeasuredSnapshot,
    ServedModel,
    TunedModelSource,
    TunedModelState,
    TuningSnapshot,
    TuningTask,
)
from gemtune.types.vertex import (
    PreferenceOptimizationDataStats,
    PreferenceOptimizationHyperParameters,
    PreferenceOptimizationSpec,
    SupervisedTuningSpec,
    TuningJobPhase,
    VertexJobState,
    VertexTuningJob,
)

T = TypeVar("T", int, float)

_WAITS: Final = frozenset(
    {
        VertexJobState.JOB_STATE_QUEUED,
        VertexJobState.JOB_STATE_PENDING,
        VertexJobState.JOB_STATE_RUNNING,
        VertexJobState.JOB_STATE_CANCELLING,
        VertexJobState.JOB_STATE_PAUSED,
        VertexJobState.JOB_STATE_UPDATING,
    }
)
_FAILED_PRECONDITION: Final = 9
_LOSS: Final = frozenset({"loss"})
_BOTH: Final = frozenset({"loss", "eval_loss"})


def state_of(job: VertexTuningJob) -> JobState | None:
    """Return a job's state; None if the reply does not say."""
    match job.state:
        case VertexJobState.JOB_STATE_UNSPECIFIED:
            return None
        case VertexJobState.JOB_STATE_SUCCEEDED:
            served = job.tuned_model is not None and bool(job.tuned_model.endpoint)
            return JobState.ACTIVE if served else JobState.CREATING
        case VertexJobState.JOB_STATE_FAILED | VertexJobState.JOB_STATE_EXPIRED:
            return JobState.FAILED
        case VertexJobState.JOB_STATE_CANCELLED:
            return JobState.CANCELLED
    return JobState.CREATING if job.state in _WAITS else JobState(str(job.state))


def observe_job(job: VertexTuningJob, now: Moment) -> Observation:
    """Return what a job says, but for its curves."""
    state, total, reached = state_of(job), total_steps(job), checkpoints(job)
    done = job.tuning_job_metadata.completed_step_count if job.tuning_job_metadata is not None else 0
    return Observation(
        source=Source.JOB,
        at=now,
        state=state,
        created=nanoseconds(job.create_time),
        # A job that ended without an experiment has no curves; all that is known of its steps are the checkpoints.
        snapshots=from_checkpoints(reached) if job.state.ended and not job.experiment else None,
        completed_steps=max([done, *(each.step for each in reached)]) or None,
        total_steps=total,
        percent=_percent(job),
        done=job.state.ended,
        error=_error(job) if job.state.ended and state is not JobState.ACTIVE else None,
        model=served_model(job) if state is JobState.ACTIVE else None,
        about=about(job),
        service_state=_word(job),
        reason=_reason(job),
        checkpoints=reached if job.tuned_model is not None else None,
        data_stats=data_stats(job),
        endpoint=(job.tuned_model.endpoint or None) if job.tuned_model is not None else None,
    )


def listed(job: VertexTuningJob, name: str) -> Listed:
    """Return a job as a list shows it."""
    created = nanoseconds(job.create_time)
    return Listed(name, state_of(job), created, service_state=_word(job), reason=_reason(job))


def about(job: VertexTuningJob) -> About:
    """Return what a job is."""
    source = job.pre_tuned_model
    return About(
        display_name=job.tuned_model_display_name or None,
        base_model=job.base_model or (source.tuned_model_name or None if source is not None else None),
        hyperparameters=hyperparameters(job),
        completed=nanoseconds(job.end_time),
    )


def hyperparameters(job: VertexTuningJob) -> Hyperparameters | None:
    """Return what controls the training, as far as the service says."""
    given = spec_of(job).hyper_parameters
    if given is None:
        return None
    beta = given.beta if isinstance(given, PreferenceOptimizationHyperParameters) else None
    return Hyperparameters(
        epoch_count=_positive(given.epoch_count),
        learning_rate_multiplier=_positive(given.learning_rate_multiplier),
        adapter_size=given.adapter_size.size,
        beta=_positive(beta),
    )


def spec_of(job: VertexTuningJob) -> SupervisedTuningSpec | PreferenceOptimizationSpec:
    """Return how a job is tuned."""
    return job.supervised_tuning_spec or job.preference_optimization_spec or SupervisedTuningSpec()


@attrs.frozen
class TrainingFacts:
    """What of a job must be known to read its curves.

    Args:
        expected: What is measured in its course.
        epochs: How often the data is gone through; None while unknown.
        steps: How many steps there are; None while unknown.
        reached: The checkpoints so far, by step.
        ended: Whether no curve will come any more.
    """

    expected: frozenset[str]
    epochs: int | None
    steps: int | None
    reached: tuple[Checkpoint, ...]
    ended: bool = False

    @classmethod
    def of(cls, job: VertexTuningJob) -> Self:
        """Return what a job says."""
        spec = spec_of(job)
        epochs = spec.hyper_parameters.epoch_count if spec.hyper_parameters is not None else None
        expected = _BOTH if spec.validation_dataset_uri else _LOSS
        ended = (state := state_of(job)) is not None and (
            state.terminal or job.state == VertexJobState.JOB_STATE_SUCCEEDED
        )
        return cls(expected, epochs, total_steps(job), tuple(sorted(checkpoints(job), key=_step)), ended)


def total_steps(job: VertexTuningJob) -> int | None:
    """Return the number of steps; None until the service has read the data."""
    counted = job.tuning_data_stats.counted if job.tuning_data_stats is not None else None
    return (counted.tuning_step_count or None) if counted is not None else None


def checkpoints(job: VertexTuningJob) -> tuple[Checkpoint, ...]:
    """Return the checkpoints so far."""
    return job.tuned_model.checkpoints if job.tuned_model is not None else ()


def data_stats(job: VertexTuningJob) -> DataStats | None:
    """Return what the service has made of the data."""
    counted = job.tuning_data_stats.counted if job.tuning_data_stats is not None else None
    if counted is None:
        return None
    if isinstance(counted, PreferenceOptimizationDataStats):
        indices, characters, dropped = counted.dropped_example_indices, None, len(counted.dropped_example_indices)
    else:
        indices, characters = counted.truncated_example_indices, counted.total_tuning_character_count or None
        dropped = max(counted.total_truncated_example_count, len(indices))
    reasons = counted.dropped_example_reasons
    return DataStats(
        examples=counted.tuning_dataset_example_count or None,
        characters=characters,
        billable_tokens=counted.total_billable_token_count or None,
        steps=counted.tuning_step_count or None,
        dropped=dropped,
        dropped_examples=[
            DroppedExample(number=number, reason=reasons[place] if place < len(reasons) else "")
            for place, number in enumerate(indices)
        ],
        raw=counted,
    )


def snapshots(steps: Iterable[CurveStep], known: TrainingFacts) -> tuple[TuningSnapshot, ...]:
    """Return the snapshots that curves show: one for each step whose loss is known.

    Whatever else was measured at a step comes with it, or later: then it completes the snapshot.
    """
    found = []
    for at in steps:
        if "loss" not in at.values:
            continue
        epoch, estimated = _epoch(at.step, known)
        measured = {name: value for name, value in at.values.items() if name != "loss"}
        metrics = SnapshotMetrics(**measured, epoch_estimated=estimated)
        found.append(MeasuredSnapshot(at.step, epoch, at.values["loss"], at.time, metrics=metrics))
    return tuple(found)


def from_checkpoints(reached: Iterable[Checkpoint]) -> tuple[TuningSnapshot, ...]:
    """Return a snapshot without a loss for each checkpoint: when it was computed is unknown as well."""
    return tuple(MeasuredSnapshot(each.step, each.epoch, math.nan) for each in sorted(reached, key=_step) if each.step)


def served_model(job: VertexTuningJob, found: tuple[TuningSnapshot, ...] = ()) -> ServedModel | None:
    """Return the model that a job has made; None if it has made none."""
    made, source = job.tuned_model, job.pre_tuned_model
    if made is None or not made.model:
        return None
    return ServedModel(
        name=made.model,
        tuned_model_source=None
        if source is None
        else TunedModelSource(tuned_model=source.tuned_model_name, base_model=source.base_model),
        base_model=job.base_model,
        display_name=job.tuned_model_display_name,
        description=job.description,
        state=TunedModelState.ACTIVE if made.endpoint else TunedModelState.STATE_UNSPECIFIED,
        create_time=job.create_time,
        update_time=job.update_time,
        tuning_task=TuningTask(
            start_time=job.start_time,
            complete_time=job.end_time,
            snapshots=found,
            hyperparameters=hyperparameters(job),
        ),
        endpoint=made.endpoint,
        checkpoints=made.checkpoints,
    )


def _epoch(step: int, known: TrainingFacts) -> tuple[int, bool]:
    """Return the epoch of a step, and whether that is an estimate; 0 if nothing is known to estimate it by."""
    reached = known.reached
    place = bisect_left(reached, step, key=_step)
    first = reached[place] if place < len(reached) else None
    # Where there are fewer checkpoints than epochs, one may stand for the end of several.
    if first is not None and first.epoch - (reached[place - 1].epoch if place else 0) <= 1:
        return first.epoch, False
    if known.steps and known.epochs:
        return min(math.ceil(step * known.epochs / known.steps), known.epochs), True
    return (first.epoch if first is not None else 0), True


def _positive(value: T | None) -> T | None:
    """Return a number of the service's unless our own check of arguments would refuse it."""
    return value if value is not None and 0 < value < math.inf else None


def _step(checkpoint: Checkpoint) -> int:
    return checkpoint.step


def _percent(job: VertexTuningJob) -> float | None:
    if job.state == VertexJobState.JOB_STATE_SUCCEEDED:
        return 100.0
    if total_steps(job) is not None:
        # Epochs are counted ahead of the steps: of the two, a bar beside "2/3 steps" has to show the steps.
        return None
    given, done = spec_of(job).hyper_parameters, job.tuning_job_metadata
    if given is None or not given.epoch_count or done is None or not done.completed_epoch_count:
        return None
    return min(100.0 * done.completed_epoch_count / given.epoch_count, 100.0)


def _word(job: VertexTuningJob) -> str | None:
    return None if job.state == VertexJobState.JOB_STATE_UNSPECIFIED else str(job.state)


def _reason(job: VertexTuningJob) -> str | None:
    phase = job.tuning_job_state
    return None if phase == TuningJobPhase.TUNING_JOB_STATE_UNSPECIFIED else str(phase)


def _error(job: VertexTuningJob) -> Status | None:
    """Return why a job has failed; if it has a model that nobody serves, in our words."""
    if job.error is not None:
        return job.error
    if job.state == VertexJobState.JOB_STATE_SUCCEEDED:
        model = job.tuned_model.model if job.tuned_model is not None else ""
        what = f"{model or 'the model'} was tuned, but has no endpoint: deploy it from the model registry"
        return Status(code=_FAILED_PRECONDITION, message=what)
    if job.state == VertexJobState.JOB_STATE_EXPIRED:
        return Status(code=4, message="the job expired before it was done")
    return None
