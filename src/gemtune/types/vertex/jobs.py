"""Tuning jobs of Vertex AI, in the API's words (resource ``tuningJobs`` of ``aiplatform``, v1 and v1beta1).

A job is a resource that one reads again and again: no operation stands behind it, and it cannot be deleted. The order
of the fields is that of the service's answers. What a job leaves behind (models with versions, endpoints, curves)
stands in ``registry``.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from gemtune.types.content import Content
from gemtune.types.message import EMPTY, Int64, Json, Message, as_html, as_tuple
from gemtune.types.openenum import OpenEnum
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp
from gemtune.types.training import Checkpoint


class VertexJobState(OpenEnum):
    """Where a job of Vertex AI stands, in the service's words."""

    JOB_STATE_UNSPECIFIED = "JOB_STATE_UNSPECIFIED"
    JOB_STATE_QUEUED = "JOB_STATE_QUEUED"
    JOB_STATE_PENDING = "JOB_STATE_PENDING"
    JOB_STATE_RUNNING = "JOB_STATE_RUNNING"
    JOB_STATE_SUCCEEDED = "JOB_STATE_SUCCEEDED"
    JOB_STATE_FAILED = "JOB_STATE_FAILED"
    JOB_STATE_CANCELLING = "JOB_STATE_CANCELLING"
    JOB_STATE_CANCELLED = "JOB_STATE_CANCELLED"
    JOB_STATE_PAUSED = "JOB_STATE_PAUSED"
    JOB_STATE_EXPIRED = "JOB_STATE_EXPIRED"
    JOB_STATE_UPDATING = "JOB_STATE_UPDATING"
    JOB_STATE_PARTIALLY_SUCCEEDED = "JOB_STATE_PARTIALLY_SUCCEEDED"

    @property
    def ended(self) -> bool:
        """Whether a job in this state stays in it."""
        return self in _ENDED


_ENDED = frozenset(
    {
        VertexJobState.JOB_STATE_SUCCEEDED,
        VertexJobState.JOB_STATE_FAILED,
        VertexJobState.JOB_STATE_CANCELLED,
        VertexJobState.JOB_STATE_EXPIRED,
    }
)


class TuningJobPhase(OpenEnum):
    """What a running job is doing (``tuningJobState``, which only v1beta1 shows)."""

    TUNING_JOB_STATE_UNSPECIFIED = "TUNING_JOB_STATE_UNSPECIFIED"
    TUNING_JOB_STATE_WAITING_FOR_QUOTA = "TUNING_JOB_STATE_WAITING_FOR_QUOTA"
    TUNING_JOB_STATE_PROCESSING_DATASET = "TUNING_JOB_STATE_PROCESSING_DATASET"
    TUNING_JOB_STATE_WAITING_FOR_CAPACITY = "TUNING_JOB_STATE_WAITING_FOR_CAPACITY"
    TUNING_JOB_STATE_TUNING = "TUNING_JOB_STATE_TUNING"
    TUNING_JOB_STATE_POST_PROCESSING = "TUNING_JOB_STATE_POST_PROCESSING"


class AdapterSize(OpenEnum):
    """The rank of the adapter that is trained; ``AdapterSize.of(4)`` is ``ADAPTER_SIZE_FOUR``."""

    ADAPTER_SIZE_UNSPECIFIED = "ADAPTER_SIZE_UNSPECIFIED"
    ADAPTER_SIZE_ONE = "ADAPTER_SIZE_ONE"
    ADAPTER_SIZE_TWO = "ADAPTER_SIZE_TWO"
    ADAPTER_SIZE_FOUR = "ADAPTER_SIZE_FOUR"
    ADAPTER_SIZE_EIGHT = "ADAPTER_SIZE_EIGHT"
    ADAPTER_SIZE_SIXTEEN = "ADAPTER_SIZE_SIXTEEN"
    ADAPTER_SIZE_THIRTY_TWO = "ADAPTER_SIZE_THIRTY_TWO"

    @property
    def size(self) -> int | None:
        """The number; None for a string that this version does not know."""
        return _SIZES.get(str(self))

    @classmethod
    def of(cls, size: int) -> AdapterSize:
        """Return the member of a number.

        Raises:
            KeyError: There is no such adapter.
        """
        return cls({number: name for name, number in _SIZES.items()}[size])


_SIZES = {
    "ADAPTER_SIZE_ONE": 1,
    "ADAPTER_SIZE_TWO": 2,
    "ADAPTER_SIZE_FOUR": 4,
    "ADAPTER_SIZE_EIGHT": 8,
    "ADAPTER_SIZE_SIXTEEN": 16,
    "ADAPTER_SIZE_THIRTY_TWO": 32,
}


@attrs.frozen(kw_only=True)
class SupervisedHyperParameters(Message):
    """What controls supervised tuning; the service chooses what is left out, from the data.

    Args:
        epoch_count: How often the whole data is gone through.
        learning_rate_multiplier: A factor on the recommended learning rate.
        adapter_size: The rank of the adapter.
        batch_size: Only for open models, like ``learning_rate`` (v1beta1).
    """

    epoch_count: Int64 | None = None
    learning_rate_multiplier: float | None = None
    adapter_size: AdapterSize = attrs.field(default=AdapterSize.ADAPTER_SIZE_UNSPECIFIED, converter=AdapterSize)
    batch_size: Int64 | None = None
    learning_rate: float | None = None


@attrs.frozen(kw_only=True)
class SupervisedTuningSpec(Message):
    """Supervised tuning: what to learn from, and how.

    Args:
        training_dataset_uri: A ``gs://`` object ending in ``.jsonl``, or a multimodal dataset.
        validation_dataset_uri: The same, for the eval curves.
        hyper_parameters: What controls the training.
        export_last_checkpoint_only: Whether only the last checkpoint is kept.
        evaluation_config: How checkpoints are evaluated, as plain JSON.
    """

    training_dataset_uri: str = ""
    validation_dataset_uri: str = ""
    hyper_parameters: SupervisedHyperParameters | None = None
    export_last_checkpoint_only: bool = False
    evaluation_config: Json = attrs.field(default=EMPTY, hash=False)
    tuning_mode: str = ""


@attrs.frozen(kw_only=True)
class PreferenceOptimizationHyperParameters(Message):
    """What controls preference tuning.

    Args:
        epoch_count: How often the whole data is gone through.
        learning_rate_multiplier: A factor on the recommended learning rate.
        adapter_size: The rank of the adapter.
        beta: How strongly the tuned model is held to the base model.
    """

    epoch_count: Int64 | None = None
    learning_rate_multiplier: float | None = None
    adapter_size: AdapterSize = attrs.field(default=AdapterSize.ADAPTER_SIZE_UNSPECIFIED, converter=AdapterSize)
    beta: float | None = None


@attrs.frozen(kw_only=True)
class PreferenceOptimizationSpec(Message):
    """Preference tuning (DPO): pairs of a better and a worse completion."""

    training_dataset_uri: str = ""
    validation_dataset_uri: str = ""
    hyper_parameters: PreferenceOptimizationHyperParameters | None = None
    export_last_checkpoint_only: bool = False


@attrs.frozen(kw_only=True)
class PreTunedModel(Message):
    """A tuned model to continue from.

    Args:
        tuned_model_name: ``projects/…/models/ID``, with ``@version`` or an alias.
        checkpoint_id: One of its checkpoints; by default its default one.
        base_model: What it was tuned from; set by the service.
    """

    tuned_model_name: str = ""
    checkpoint_id: str = ""
    base_model: str = ""


@attrs.frozen(kw_only=True)
class VertexTunedModel(Message):
    """What a job leaves behind (the API calls it TunedModel).

    Args:
        model: ``projects/…/models/ID@VERSION``; even failed and cancelled jobs can have one.
        endpoint: Who serves its default checkpoint; empty until that is deployed, or if it could not be.
        checkpoints: The checkpoints so far, each once it is deployed.
    """

    model: str = ""
    endpoint: str = ""
    checkpoints: tuple[Checkpoint, ...] = attrs.field(default=(), converter=as_tuple)


@attrs.frozen(kw_only=True)
class SupervisedTuningDatasetDistribution(Message):
    """How a count is spread over the examples.

    Args:
        sum: The sum over all of them.
        billable_sum: The part of it that is billed.
        buckets: A histogram of plain JSON ``{count, left, right}``; empty buckets are left out.
    """

    sum: Int64 = 0
    billable_sum: Int64 = 0
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    median: float | None = None
    p5: float | None = None
    p95: float | None = None
    buckets: tuple[Json, ...] = attrs.field(default=(), hash=False)


@attrs.frozen(kw_only=True)
class SupervisedTuningDataStats(Message):
    """What the service counted in the training data.

    Args:
        tuning_dataset_example_count: Examples.
        total_tuning_character_count: Characters.
        total_billable_token_count: Tokens of one pass; what is billed is this times the epochs.
        tuning_step_count: Steps in all.
        user_dataset_examples: Three examples, one content after the other, their texts cut.
        total_truncated_example_count: Examples that were dropped because they are too long.
        truncated_example_indices: Some of them, counted from 1.
        dropped_example_reasons: Why, for each of these.
    """

    tuning_dataset_example_count: Int64 = 0
    total_tuning_character_count: Int64 = 0
    total_billable_character_count: Int64 = 0
    tuning_step_count: Int64 = 0
    user_input_token_distribution: SupervisedTuningDatasetDistribution | None = None
    user_output_token_distribution: SupervisedTuningDatasetDistribution | None = None
    user_message_per_example_distribution: SupervisedTuningDatasetDistribution | None = None
    user_dataset_examples: tuple[Content, ...] = ()
    total_billable_token_count: Int64 = 0
    total_truncated_example_count: Int64 = 0
    truncated_example_indices: tuple[Int64, ...] = ()
    dropped_example_reasons: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class PreferenceOptimizationDataStats(Message):
    """What the service counted in pairs of completions; distributions stay plain JSON."""

    tuning_dataset_example_count: Int64 = 0
    total_billable_token_count: Int64 = 0
    tuning_step_count: Int64 = 0
    user_input_token_distribution: Json = attrs.field(default=EMPTY, hash=False)
    user_output_token_distribution: Json = attrs.field(default=EMPTY, hash=False)
    scores_distribution: Json = attrs.field(default=EMPTY, hash=False)
    score_variance_per_example_distribution: Json = attrs.field(default=EMPTY, hash=False)
    user_dataset_examples: tuple[Json, ...] = attrs.field(default=(), hash=False)
    dropped_example_indices: tuple[Int64, ...] = ()
    dropped_example_reasons: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class TuningDataStats(Message):
    """What the service counted in the data; one of its fields is set, by the kind of tuning."""

    supervised_tuning_data_stats: SupervisedTuningDataStats | None = None
    preference_optimization_data_stats: PreferenceOptimizationDataStats | None = None

    @property
    def counted(self) -> SupervisedTuningDataStats | PreferenceOptimizationDataStats | None:
        """The one that is set."""
        return self.supervised_tuning_data_stats or self.preference_optimization_data_stats


@attrs.frozen(kw_only=True)
class EncryptionSpec(Message):
    """A key of one's own (Cloud KMS)."""

    kms_key_name: str = ""


@attrs.frozen(kw_only=True)
class EvaluateDatasetRun(Message):
    """One evaluation of a checkpoint; its results stay plain JSON."""

    operation_name: str = ""
    evaluation_run: str = ""
    checkpoint_id: str = ""
    evaluate_dataset_response: Json = attrs.field(default=EMPTY, hash=False)
    error: Status | None = None


@attrs.frozen(kw_only=True)
class TuningJobMetadata(Message):
    """How far a job is, where the service says so (v1beta1)."""

    completed_epoch_count: Int64 = 0
    completed_step_count: Int64 = 0


@attrs.frozen(kw_only=True)
class VertexTuningJob(Message):
    """A tuning job of Vertex AI.

    Args:
        name: ``projects/NUMBER/locations/L/tuningJobs/ID``; set by the service.
        tuned_model_display_name: What people call the model.
        base_model: The model that is tuned, such as ``gemini-2.5-flash``.
        pre_tuned_model: A tuned model to continue from, instead of ``base_model``.
        supervised_tuning_spec: Supervised tuning; otherwise ``preference_optimization_spec``.
        state: Where it stands.
        start_time: When it began to run; ``end_time``: when it entered the state that it stays in.
        error: Why it failed or was cancelled.
        labels: Words of your own; the Model and the Endpoint get them as well.
        experiment: Where its curves are.
        tuned_model: What it leaves behind.
        tuning_data_stats: What the service counted in the data; absent until it has read it.
        service_account: Who reads the data; absent for some 30 s after the creation.
        gcs_metrics_uri: Where its metrics lie in Cloud Storage.
        tuning_job_state: What it is doing while it runs (v1beta1).
        tuning_job_metadata: How far it is (v1beta1).
    """

    SIDE: ClassVar[frozenset[str]] = frozenset(
        {"tuning_data_stats", "tuning_job_metadata", "evaluate_dataset_runs", "encryption_spec"}
    )

    name: str = ""
    tuned_model_display_name: str = ""
    description: str = ""
    base_model: str = ""
    supervised_tuning_spec: SupervisedTuningSpec | None = None
    state: VertexJobState = attrs.field(default=VertexJobState.JOB_STATE_UNSPECIFIED, converter=VertexJobState)
    create_time: Timestamp | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    update_time: Timestamp | None = None
    error: Status | None = None
    labels: Json = attrs.field(default=EMPTY, hash=False)
    experiment: str = ""
    tuned_model: VertexTunedModel | None = None
    tuning_data_stats: TuningDataStats | None = None
    encryption_spec: EncryptionSpec | None = None
    service_account: str = ""
    output_uri: str = ""
    custom_base_model: str = ""
    pre_tuned_model: PreTunedModel | None = None
    evaluate_dataset_runs: tuple[EvaluateDatasetRun, ...] = ()
    preference_optimization_spec: PreferenceOptimizationSpec | None = None
    gcs_metrics_uri: str = ""
    tuning_job_state: TuningJobPhase = attrs.field(
        default=TuningJobPhase.TUNING_JOB_STATE_UNSPECIFIED, converter=TuningJobPhase
    )
    tuning_job_metadata: TuningJobMetadata | None = None

    @property
    def display_name(self) -> str:
        """What people call the model."""
        return self.tuned_model_display_name

    def _facts(self) -> str:
        title = f" {self.tuned_model_display_name!r}" if self.tuned_model_display_name else ""
        return f"{self.name} {self.state}{title}, from {self.base_model or 'a tuned model'}"

    def _repr_html_(self) -> str:
        return as_html(self)


@attrs.frozen(kw_only=True)
class ListTuningJobsResponse(Message):
    """One page of tuning jobs, the one updated last first; without a next page token it is the last."""

    tuning_jobs: tuple[VertexTuningJob, ...] = ()
    next_page_token: str = ""
