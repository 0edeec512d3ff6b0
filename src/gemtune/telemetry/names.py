"""Every name that telemetry exports: spans, attributes, metrics. The conventions change; nothing else does.

OpenTelemetry's conventions for generative AI have two generations of metric names. Most dashboards know the older one,
which is the default. ``OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental`` chooses the newer one, as for every
other library. Tuning and batches have no convention: the names under ``gcp.gemini.`` are gemtune's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCOPE: Final = "gemtune"
"""The name of tracer and meter."""

# Variables of the environment

OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
LATEST: Final = "gen_ai_latest_experimental"
CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
SWITCH: Final = "GEMTUNE_TELEMETRY"

# What a span is about

GENERATE: Final = "generate_content"
COUNT: Final = "count_tokens"
CREATE_JOB: Final = "create_tuning_job"
FINISH_JOB: Final = "finish_tuning_job"
CANCEL_JOB: Final = "cancel_tuning_job"
START_BATCH: Final = "start_batch"
FINISH_BATCH: Final = "finish_batch"

OPERATIONS: Final[Mapping[str, str]] = {
    "generateContent": GENERATE,
    "streamGenerateContent": GENERATE,
    "models.countTokens": COUNT,
    "countTokens": COUNT,
    "tunedModels.create": CREATE_JOB,
    "tuningJobs.create": CREATE_JOB,
    "tunedModels.operations.cancel": CANCEL_JOB,
    "tuningJobs.cancel": CANCEL_JOB,
    "tunedModels.patch": "update_tuned_model",
    "models.patch": "update_tuned_model",
    "tunedModels.delete": "delete_tuned_model",
    "models.delete": "delete_tuned_model",
    "tunedModels.transferOwnership": "transfer_ownership",
}
"""The operation of each method that has a span. Looks at jobs have none, because a watcher makes thousands."""

# Attributes of the conventions

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - tokens of text
MODALITY: Final = "gen_ai.token.modality"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SERVER: Final = "server.address"
PORT: Final = "server.port"
ERROR: Final = "error.type"
STATUS_CODE: Final = "http.response.status_code"

SETTINGS: Final[Mapping[str, str]] = {
    "temperature": "gen_ai.request.temperature",
    "topP": "gen_ai.request.top_p",
    "topK": "gen_ai.request.top_k",
    "maxOutputTokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "stopSequences": "gen_ai.request.stop_sequences",
    "presencePenalty": "gen_ai.request.presence_penalty",
    "frequencyPenalty": "gen_ai.request.frequency_penalty",
    "candidateCount": "gen_ai.request.choice.count",
}
"""Attributes for what a request's generation config says."""

PROVIDERS: Final[Mapping[str, str]] = {"gemini": "gcp.gemini", "vertex": "gcp.vertex_ai"}

# Attributes of our own

JOB: Final = "gcp.gemini.tuning.job.name"
JOB_STATE: Final = "gcp.gemini.tuning.job.state"
JOB_SECONDS: Final = "gcp.gemini.tuning.job.duration"
JOB_STEPS: Final = "gcp.gemini.tuning.completed_steps"
BASE_MODEL: Final = "gcp.gemini.tuning.base_model"
LOSS: Final = "gcp.gemini.tuning.loss"
DATASET: Final = "gcp.gemini.tuning.dataset"
BATCH_INDEX: Final = "gcp.gemini.batch.item.index"
BATCH_ATTEMPT: Final = "gcp.gemini.batch.item.attempt"
BATCH_OUTCOME: Final = "gcp.gemini.batch.item.outcome"
BATCH_DONE: Final = "gcp.gemini.batch.done"
BATCH_FAILED: Final = "gcp.gemini.batch.failed"
BATCH_SKIPPED: Final = "gcp.gemini.batch.skipped"
BATCH_SECONDS: Final = "gcp.gemini.batch.duration"
BLOCKED: Final = "gcp.gemini.response.block_reason"
ATTEMPTS: Final = "gcp.gemini.attempts"

# The event of an attempt that is followed by another one

RETRY: Final = "gcp.gemini.retry"
RETRY_ATTEMPT: Final = "gcp.gemini.retry.attempt"
RETRY_DELAY: Final = "gcp.gemini.retry.delay"
RETRY_REASON: Final = "gcp.gemini.retry.reason"

# Metrics of the conventions, the older generation and then the newer one

OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - the same
INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
USED_INPUT: Final = "gen_ai.client.inference.usage.input_tokens"
USED_OUTPUT: Final = "gen_ai.client.inference.usage.output_tokens"
USED_CACHED: Final = "gen_ai.client.inference.usage.cache_read.input_tokens"
USED_REASONING: Final = "gen_ai.client.inference.usage.reasoning.output_tokens"

DURATION_BUCKETS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
TOKEN_BUCKETS: Final = tuple(4**power for power in range(14))

# Metrics of our own

CALL_DURATION: Final = "gcp.gemini.client.operation.duration"
"""Of what is no inference, on the newer names; the older ones have one metric for both."""
THROTTLES: Final = "gcp.gemini.client.throttles"
RETRIES: Final = "gcp.gemini.client.retries"
TUNING_DURATION: Final = "gcp.gemini.tuning.job.duration"
TUNING_STATE: Final = "gcp.gemini.tuning.job.state"
TUNING_LOSS: Final = "gcp.gemini.tuning.loss"
TUNING_STEP: Final = "gcp.gemini.tuning.step"
BATCH_ITEMS: Final = "gcp.gemini.batch.items"
BATCH_IN_FLIGHT: Final = "gcp.gemini.batch.in_flight"
BATCH_PARKED: Final = "gcp.gemini.batch.parked"

JOB_BUCKETS: Final = (60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 57600, 115200)
"""Tuning takes minutes to a day."""


def latest(environ: Mapping[str, str]) -> bool:
    """Return whether the newer generation of the conventions is asked for."""
    return LATEST in {word.strip() for word in environ.get(OPT_IN, "").split(",")}


def exportable(said: str) -> str:
    """Return a string of a reply as an exporter can send it: half of a surrogate pair as an escape."""
    return said if said.isascii() else said.encode("utf-8", "backslashreplace").decode()


def plain_model(resource: str) -> str:
    """Return a base model's bare id; a tuned model and an endpoint keep their own names."""
    resource = exportable(resource)
    head, found, model = resource.rpartition("/models/")
    if resource.startswith("models/"):
        return resource.removeprefix("models/")
    return model if found and "/publishers/" in head else resource
