"""The emulator's knobs: everything a test may want to change, with the service's documented values as defaults.

What nobody has published is a guess, marked "undocumented"; the setting is there to change the guess.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, get_origin, get_type_hints

import attrs

from gemtune.emulator.messages.json_text import loads
from gemtune.emulator.world.typed import fits

MIB = 1 << 20
_seconds = attrs.validators.ge(0.0)
_maybe_seconds = attrs.validators.optional(_seconds)
_some: Any = attrs.validators.optional(attrs.validators.ge(1))

_part = attrs.validators.and_(attrs.validators.ge(0.0), attrs.validators.le(1.0))


def _names(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError(f"buckets must be a list of names, not the string {names!r}")
    return frozenset(names)


def _lower(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError(f"allow_hosts must be a list of names, not the string {names!r}")
    return frozenset(name.lower().rstrip(".") for name in names)


def read_setting(text: str) -> tuple[str, object]:
    """Return name and value of a setting that was written as ``NAME=VALUE``.

    Args:
        text: the value is JSON, a string without quotation marks, or a list with commas.

    Raises:
        ValueError: there is no such setting, or the value is of another type.
    """
    name, _, written = text.partition("=")
    hint = get_type_hints(Settings).get(name)
    if hint is None:
        near = difflib.get_close_matches(name, attrs.fields_dict(Settings), 1)
        raise ValueError(f"there is no setting {name!r}{f'; did you mean {near[0]}?' if near else ''}")
    if get_origin(hint) is frozenset:
        return name, frozenset(written.split(","))
    if hint is str:
        return name, written
    value: object
    try:
        value = loads(written.encode())
    except ValueError:
        value = written
    value = tuple(value) if isinstance(value, list) else value
    if not fits(value, hint):
        kind = hint.__name__ if isinstance(hint, type) else str(hint)
        raise ValueError(f"{name} must be {kind}, not {written!r:.100}")
    return name, value


@attrs.frozen(kw_only=True)
class Settings:
    """How the emulated service behaves.

    Args:
        seed: for the random ids, the loss curves and the timing of the steps.
        queue_seconds: from ``createTime`` to ``startTime`` of a tuning job (observed 0.1 to 0.7).
        step_seconds: the length of a tuning step (observed 1.2 to 1.5).
        refresh_seconds: how often a running job's progress becomes visible; 0 for at once (2023: about 60).
        publish_lag_seconds: how long it takes until a read shows a new step or state.
        stale_reads: part of the reads (0 to 1) answered by a replica that is behind.
        stale_seconds: how far behind such a replica is at most.
        hole_reads: part of the reads of a running job in which snapshots are missing.
        list_gaps: part of the entries that a page of a list leaves out.
        hidden_reads: part of the reads that are answered as if the thing were not there, or not the caller's.
        hidden_status: the status of those: 404 or 403.
        default_email: who a caller is whose credential is not known.
        suffix_length: the number of random characters in a generated tuned model id (12 in 2024, 24 in 2025).
        max_concurrent_jobs: tuning jobs that may run before create answers 429; None for no limit.
        max_examples: of one data set; None for no limit (undocumented).
        max_input_characters: of one example's input, and of a tuned model's prompt.
        max_output_characters: of one example's output.
        max_create_bytes: body of ``tunedModels.create``.
        max_request_bytes: any other body.
        creating_error: (google.rpc status, message) of inference on a model that is not ACTIVE; ``{name}`` is
            replaced (undocumented).
        exists_message: of the 409 for a taken id; ``{name}`` is replaced (undocumented).
        cancelled_state: of a model whose operation was cancelled: FAILED or ACTIVE (undocumented).
        cancel_supported: False makes ``operations.cancel`` answer 501.
        requests_per_minute: generateContent calls per model and minute before 429; None for no limit.
        answer_label: follows every default answer, so that nobody takes it for a model's.
        usage_metadata: add ``usageMetadata``, ``modelVersion`` and ``responseId`` (the service of 2024 did not).
        safety_ratings: add the four safety ratings (the service of 2026 does not).
        chunk_characters: least length of a streamed piece of text.
        answer_seconds: how long generateContent and streamGenerateContent take, on the emulator's clock.
        chunk_seconds: the time between two pieces of a stream, on the emulator's clock.
        phase_seconds: Vertex AI: the length of each phase of a tuning job that is no training: reading the data, and
            deploying one checkpoint; None for ten steps.
        capacity_seconds: Vertex AI: how long a job waits for machines before it trains.
        cancelling_seconds: Vertex AI: how long a job is CANCELLING; None for two steps (observed 1 to 60 seconds).
        endpoint_lag_seconds: Vertex AI: from SUCCEEDED until the job shows its endpoint.
        eval_lag_steps: Vertex AI: how many steps later an evaluation becomes visible.
        vertex_concurrent_jobs: Vertex AI: tuning jobs of a project at the same time; None for no limit.
        vertex_quota: Vertex AI: what one job too many meets: ``"queue"`` lets it wait as RUNNING, with
            WAITING_FOR_QUOTA in v1beta1; ``"refuse"`` is a 429 (which one the service does when is undocumented).
        batch_queue_seconds: from the creation of a batch until it runs.
        batch_seconds: how long it runs, whatever is in it; its requests are answered one after the other meanwhile.
        batch_failed: part of its requests (0 to 1) that fail one by one.
        batch_missing: part of its requests of which no line of the results says anything (undocumented).
        batch_shuffled: whether the lines of the results come in another order than the requests (undocumented).
        batch_repeated: part of the requests of a batch whose result comes twice.
        batch_crossed: Gemini API: part of the pairs of neighbouring requests whose results have each other's key.
        batch_expiry_seconds: Gemini API: after this time a batch that has not ended is given up, without results.
        batch_output_seconds: how long after its end the results of a batch appear (some came late).
        batch_enqueued_tokens: Gemini API: input tokens of all batches of a model that have not ended, beyond which a
            further one is a 429; None for no limit.
        batch_quota_details: Gemini API: whether that 429 has details; both kinds were observed, neither names a delay.
        max_batches: Gemini API: batches that have not ended, beyond which a further one is a 429; None for no limit.
        file_seconds: Gemini API: how long a file is kept.
        file_granularity: Gemini API: parts of an upload other than the last have a multiple of this many bytes.
        max_file_bytes: Gemini API: of one file.
        max_all_files_bytes: Gemini API: of all files of a caller.
        batch_partial: Vertex AI: whether a batch is PARTIALLY_SUCCEEDED, and not SUCCEEDED, if some of its requests
            fail (undocumented).
        gzip: compress replies for callers that accept it.
        request_log_size: how many requests are remembered.
        request_log_bytes: of all remembered requests together; the oldest are forgotten first.
        buckets: of Cloud Storage that are there from the beginning. Others have to be created, as everywhere.
        max_object_bytes: of one object, and so of one upload.
        max_stored_bytes: of all objects and uploads together.
        object_memory_bytes: of them, how many stay in memory; what is longer or more lies in files.
        max_uploads: resumable uploads that are under way; beyond it the oldest is forgotten.
        body_seconds: how long a request's body may take to arrive; an upload has as long for every 8 MiB.
        idle_seconds: how long a connection may stay open without a request being answered on it.
        max_connections: at the same time; beyond it the one that has been idle longest is closed.
        allow_hosts: names besides those of this machine under which the emulator is reached, as in a compose file.
    """

    seed: int = 0
    queue_seconds: float = attrs.field(default=0.3, validator=_seconds)
    step_seconds: float = attrs.field(default=1.2, validator=_seconds)
    refresh_seconds: float = attrs.field(default=0.0, validator=_seconds)
    publish_lag_seconds: float = attrs.field(default=0.0, validator=_seconds)
    stale_reads: float = attrs.field(default=0.0, validator=_part)
    stale_seconds: float = attrs.field(default=30.0, validator=_seconds)
    hole_reads: float = attrs.field(default=0.0, validator=_part)
    list_gaps: float = attrs.field(default=0.0, validator=_part)
    hidden_reads: float = attrs.field(default=0.0, validator=_part)
    hidden_status: int = attrs.field(default=404, validator=attrs.validators.in_((403, 404)))
    default_email: str = "you@example.com"
    suffix_length: int = attrs.field(default=12, validator=attrs.validators.ge(8))
    max_concurrent_jobs: int | None = None
    max_examples: int | None = None
    max_input_characters: int = 40_000
    max_output_characters: int = 5_000
    max_create_bytes: int = 4 * MIB
    max_request_bytes: int = 20 * MIB
    creating_error: tuple[str, str] = (
        "FAILED_PRECONDITION",
        "Tuned model {name} is not ready to serve requests: its tuning has not completed successfully.",
    )
    exists_message: str = "Tuned model {name} already exists."
    cancelled_state: str = attrs.field(default="FAILED", validator=attrs.validators.in_(("FAILED", "ACTIVE")))
    cancel_supported: bool = True
    requests_per_minute: int | None = None
    answer_label: str = "(emulator: nearest training example)"
    usage_metadata: bool = True
    safety_ratings: bool = True
    chunk_characters: int = attrs.field(default=16, validator=attrs.validators.ge(1))
    answer_seconds: float = attrs.field(default=0.0, validator=_seconds)
    chunk_seconds: float = attrs.field(default=0.0, validator=_seconds)
    phase_seconds: float | None = attrs.field(default=None, validator=_maybe_seconds)
    capacity_seconds: float = attrs.field(default=0.0, validator=_seconds)
    cancelling_seconds: float | None = attrs.field(default=None, validator=_maybe_seconds)
    endpoint_lag_seconds: float = attrs.field(default=0.0, validator=_seconds)
    eval_lag_steps: int = attrs.field(default=2, validator=attrs.validators.ge(0))
    vertex_concurrent_jobs: int | None = attrs.field(default=1, validator=_some)
    vertex_quota: str = attrs.field(default="queue", validator=attrs.validators.in_(("queue", "refuse")))
    batch_queue_seconds: float = attrs.field(default=1.0, validator=_seconds)
    batch_seconds: float = attrs.field(default=10.0, validator=_seconds)
    batch_failed: float = attrs.field(default=0.0, validator=_part)
    batch_missing: float = attrs.field(default=0.0, validator=_part)
    batch_shuffled: bool = True
    batch_repeated: float = attrs.field(default=0.0, validator=_part)
    batch_crossed: float = attrs.field(default=0.0, validator=_part)
    batch_expiry_seconds: float = attrs.field(default=48 * 3600.0, validator=_seconds)
    batch_output_seconds: float = attrs.field(default=0.0, validator=_seconds)
    batch_enqueued_tokens: int | None = attrs.field(default=None, validator=_some)
    batch_quota_details: bool = True
    max_batches: int | None = attrs.field(default=100, validator=_some)
    file_seconds: float = attrs.field(default=48 * 3600.0, validator=_seconds)
    file_granularity: int = attrs.field(default=8 * MIB, validator=attrs.validators.ge(1))
    max_file_bytes: int = attrs.field(default=2048 * MIB, validator=attrs.validators.ge(0))
    max_all_files_bytes: int = attrs.field(default=20_480 * MIB, validator=attrs.validators.ge(0))
    batch_partial: bool = False
    gzip: bool = True
    request_log_size: int = attrs.field(default=10_000, validator=attrs.validators.ge(0))
    request_log_bytes: int = attrs.field(default=64 * MIB, validator=attrs.validators.ge(0))
    buckets: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    max_object_bytes: int = attrs.field(default=2048 * MIB, validator=attrs.validators.ge(0))
    max_stored_bytes: int = attrs.field(default=8192 * MIB, validator=attrs.validators.ge(0))
    object_memory_bytes: int = attrs.field(default=64 * MIB, validator=attrs.validators.ge(0))
    max_uploads: int = attrs.field(default=1_000, validator=attrs.validators.ge(1))
    body_seconds: float = attrs.field(default=60.0, validator=attrs.validators.gt(0.0))
    idle_seconds: float = attrs.field(default=65.0, validator=attrs.validators.gt(0.0))
    max_connections: int = attrs.field(default=1_000, validator=attrs.validators.ge(1))
    allow_hosts: frozenset[str] = attrs.field(default=frozenset(), converter=_lower)

    @property
    def largest_body(self) -> int:
        """Bytes of the largest body that any method takes."""
        return max(self.max_request_bytes, self.max_create_bytes)

    @property
    def replicated(self) -> bool:
        """Whether a read may show anything but the present state."""
        parts = (self.stale_reads, self.hole_reads, self.list_gaps, self.hidden_reads, self.publish_lag_seconds)
        return any(parts)
