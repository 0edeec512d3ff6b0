"""Vertex AI's batches, ``batchPredictionJobs``: one function per remote method, and the reading of jobs and of lines.

The service gives no key back. What comes back with a result is its request, so that a key travels in the request's
labels: as the label ``gemtune-key`` if a label may be like it, otherwise in Base32 over as many labels as it takes
(``gemtune-key-0``, ``gemtune-key-1`` ...). The echoed request is spelled in snake_case, with nulls for what was not
given; camelCase is read as well, because nobody has promised either.

A line with a status has failed, and the status is text. If it ends with the JSON of an error, that is taken apart.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput, MalformedResponse
from gemtune.protocol import vertex_names
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import decode, decode_lenient, dumps, loads
from gemtune.protocol.gemini import Page
from gemtune.protocol.hosts import origin_of
from gemtune.protocol.vertex_inference import body_of
from gemtune.types import GenerateContentRequest, GenerateContentResponse
from gemtune.types.batches import BatchCounts, BatchReply, BatchState, GenerateContentBatch
from gemtune.types.message import EMPTY, Int64, Json, Message
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp

KEY: Final = "gemtune-key"
"""The label of a request that says which one it is."""
MAX_REQUESTS: Final = 200_000
MAX_BYTES: Final = 1_000_000_000
_LONGEST_KEY: Final = 1024
_IN_LABEL: Final = 60
"""Characters of a long key in one label, of which the value may have 63."""
_PLAIN: Final = re.compile(r"[a-z0-9_-]{1,63}")
_CODES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""The names of google.rpc.Code, each at the place of its number."""
_UNKNOWN: Final = 2
_FIELDS: Final = (
    "batchPredictionJobs(name,displayName,model,inputConfig,outputInfo,state,error,completionStats,createTime,"
    "startTime,endTime,updateTime,labels),nextPageToken"
)


@attrs.frozen(kw_only=True)
class _CompletionStats(Message):
    successful_count: Int64 = 0
    failed_count: Int64 = 0
    incomplete_count: Int64 = 0


@attrs.frozen(kw_only=True)
class _PredictionJob(Message):
    """The job as the service shows it; of what a batch has no field for, ``extra`` keeps the JSON."""

    SIDE: ClassVar = frozenset({
        "input_config", "output_info", "error", "completion_stats", "create_time", "start_time", "end_time",
        "update_time", "labels",
    })  # fmt: skip

    name: str = ""
    display_name: str = ""
    model: str = ""
    input_config: Json | None = attrs.field(default=None, hash=False)
    output_info: Json | None = attrs.field(default=None, hash=False)
    state: str = ""
    error: Status | None = None
    completion_stats: _CompletionStats | None = None
    create_time: Timestamp | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    update_time: Timestamp | None = None
    labels: Json = attrs.field(default=EMPTY, hash=False)


def create_job(
    parent: str, *, display_name: str, model: str, source: str, target: str, labels: Mapping[str, str]
) -> Call[GenerateContentBatch]:
    """``batchPredictionJobs.create``: no id can be chosen, so that a label of ours has to tell the job apart.

    Args:
        parent: ``projects/P/locations/L``.
        display_name: What people call it.
        model: ``publishers/google/models/M``, or the name of a tuned model.
        source: The ``gs://`` address of its requests.
        target: The ``gs://`` address of a folder, in which the service makes one for the results.
        labels: Its labels.
    """
    body = {
        "displayName": display_name,
        "model": model,
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [source]}},
        "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": target}},
        "labels": dict(labels),
    }
    return Call(
        method="batchPredictionJobs.create",
        verb="POST",
        path=f"/v1/{parent}/batchPredictionJobs",
        body=dumps(body, strict=True),
        effect=Effect.CREATE,
        decode=read_job,
        resource=f"{parent}/batchPredictionJobs",
        origin=origin_of(parent),
    )


def get_job(name: str) -> Call[GenerateContentBatch]:
    """``batchPredictionJobs.get``."""
    return Call(
        method="batchPredictionJobs.get",
        verb="GET",
        path=f"/v1/{name}",
        effect=Effect.READ,
        decode=read_job,
        resource=name,
        origin=origin_of(name),
    )


def list_jobs(
    parent: str, *, page_size: int | None = None, page_token: str | None = None, filter: str | None = None
) -> Call[Page[GenerateContentBatch]]:
    """``batchPredictionJobs.list``: without what a batch has no field for."""
    if page_size is not None:
        checks.whole("page_size", page_size)
    return Call(
        method="batchPredictionJobs.list",
        verb="GET",
        path=f"/v1/{parent}/batchPredictionJobs",
        query=(("pageSize", page_size), ("pageToken", page_token), ("filter", filter), ("fields", _FIELDS)),
        effect=Effect.READ,
        decode=_page,
        resource=f"{parent}/batchPredictionJobs",
        origin=origin_of(parent),
    )


def cancel_job(name: str) -> Call[None]:
    """``batchPredictionJobs.cancel``: it may be sent again, because a job that has ended stays as it is."""
    return _write("batchPredictionJobs.cancel", "POST", f"{name}:cancel", b"{}", name)


def delete_job(name: str) -> Call[None]:
    """``batchPredictionJobs.delete``: the service chooses the names, so that a repetition can mean no other job."""
    return _write("batchPredictionJobs.delete", "DELETE", name, None, name)


def _write(method: str, verb: str, path: str, body: bytes | None, name: str) -> Call[None]:
    return Call(
        method=method,
        verb=verb,
        path=f"/v1/{path}",
        body=body,
        effect=Effect.READ,
        decode=lambda _: None,
        read=lambda *_: None,
        resource=name,
        origin=origin_of(name),
    )


def input_line(key: str, request: GenerateContentRequest) -> bytes:
    """Return one line of an input file, with its line end.

    Args:
        key: Comes back with the result.
        request: The request; labels of its own are kept.

    Raises:
        InvalidInput: Vertex AI does not know a field of it, its key is too long, or it has the label already.
    """
    body = body_of(request)
    own = body.get("labels")
    labels = dict(own) if isinstance(own, Mapping) else {}
    if taken := next((name for name in labels if name.startswith(KEY)), None):
        raise InvalidInput(f"labels: {taken} is how a result is matched; it is set automatically", field="labels")
    return dumps({"request": {**body, "labels": {**labels, **_as_labels(key)}}}, strict=True) + b"\n"


def _as_labels(key: str) -> dict[str, str]:
    if _PLAIN.fullmatch(key):
        return {KEY: key}
    raw = key.encode("utf-8", "surrogatepass")
    if len(raw) > _LONGEST_KEY:
        what = f"a key of {len(raw):,} bytes is too long for the labels of a request: at most {_LONGEST_KEY:,}"
        raise InvalidInput(what, field="key")
    text = base64.b32encode(raw).decode("ascii").rstrip("=").lower()
    parts = (text[at : at + _IN_LABEL] for at in range(0, max(len(text), 1), _IN_LABEL))
    return {f"{KEY}-{at}": part for at, part in enumerate(parts)}


def _from_labels(labels: object) -> str | None:
    if not isinstance(labels, dict):
        return None
    key = labels.get(KEY)
    if isinstance(key, str):
        return key
    if not isinstance(labels.get(f"{KEY}-0"), str):
        return None
    text = ""
    for at in itertools.count():
        part = labels.get(f"{KEY}-{at}")
        if not isinstance(part, str):
            break
        text += part.upper()
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8)).decode("utf-8", "surrogatepass")
    except ValueError:  # neither Base32 nor a key
        return None


def read_job(value: object) -> GenerateContentBatch:
    """Return the batch that a job is.

    Raises:
        MalformedResponse: It is no JSON object, or has no name.
    """
    job = decode_lenient(_PredictionJob, value)
    # It becomes part of the address of what is asked about it.
    if not vertex_names.is_batch(job.name):
        raise MalformedResponse(f"the batchPredictionJob has no name, but {job.name!r:.100}")
    source = _within(job.input_config, "gcsSource", "gcs_source")
    uris = source.get("uris") if isinstance(source, dict) else None
    output = _within(job.output_info, "gcsOutputDirectory", "gcs_output_directory")
    return GenerateContentBatch(
        name=job.name,
        display_name=job.display_name,
        model=job.model,
        state=BatchState.of(job.state),
        service_state=job.state,
        counts=_counts(job.completion_stats),
        create_time=job.create_time,
        start_time=job.start_time,
        update_time=job.update_time,
        end_time=job.end_time,
        input=str(uris[0]) if isinstance(uris, list) and uris else "",
        output=output if isinstance(output, str) else "",
        error=job.error,
        labels=job.labels,
        extra=job.extra,
    )


def _within(value: Mapping[str, Any] | None, *names: str) -> object:
    found: object = next((value[name] for name in names if name in value), None) if value is not None else None
    return found


def _counts(stats: _CompletionStats | None) -> BatchCounts:
    if stats is None:
        return BatchCounts()
    # The service says -1 of what it does not know.
    successful, failed, pending = (
        max(each, 0) for each in (stats.successful_count, stats.failed_count, stats.incomplete_count)
    )
    return BatchCounts(total=successful + failed + pending, successful=successful, failed=failed, pending=pending)


def _page(value: object) -> Page[GenerateContentBatch]:
    if not isinstance(value, dict):
        raise MalformedResponse("the list is not a JSON object")
    found, token = value.get("batchPredictionJobs") or [], value.get("nextPageToken") or None
    if not isinstance(found, list) or not (token is None or isinstance(token, str)):
        raise MalformedResponse("the list's batchPredictionJobs or nextPageToken has the wrong type")
    return Page(tuple(map(read_job, found)), token)


def read_line(line: bytes) -> BatchReply:
    """Return what a line of the results says; if it cannot be read, that is the error of a reply without a key."""
    try:
        value = loads(line)
    except MalformedResponse as error:
        return BatchReply(key=None, error=_said(f"this line of the results cannot be read: {error.message}"))
    if not isinstance(value, dict):
        return BatchReply(key=None, error=_said("this result is not a JSON object"))
    request = value.get("request")
    key = _from_labels(request.get("labels")) if isinstance(request, dict) else None
    status, response = value.get("status"), value.get("response")
    if status:
        return BatchReply(key=key, error=_status(status))
    if not isinstance(response, dict) or not response:
        return BatchReply(key=key, error=_said("there is no reply and no error"))
    # Of the two spellings only one costs nothing to read.
    read = decode_lenient if any("_" in name for name in response) else decode
    try:
        return BatchReply(key=key, response=read(GenerateContentResponse, response))
    except MalformedResponse as error:
        return BatchReply(key=key, error=_said(error.message))


def _status(status: object) -> Status:
    """Return what a status says: ``Bad Request: {"error": {"code": 400, ...}}``, an error itself, or any text."""
    found: object = status
    if isinstance(status, str):
        _, brace, rest = status.partition("{")
        try:
            found = loads(f"{brace}{rest}".encode("utf-8", "surrogatepass")) if brace else None
        except MalformedResponse:
            found = None
    error = found.get("error", found) if isinstance(found, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return _said(status if isinstance(status, str) else dumps(status).decode("utf-8", "replace"))
    name, details = error.get("status"), error.get("details")
    code = _CODES.index(name) if name in _CODES else error.get("code")
    code = code if isinstance(code, int) and 0 < code < len(_CODES) else _UNKNOWN
    listed = tuple(each for each in details if isinstance(each, dict)) if isinstance(details, list) else ()
    return Status(code=code, message=error["message"], details=listed)


def _said(message: str) -> Status:
    return Status(code=_UNKNOWN, message=message)
