"""The Gemini API's batches: one function per remote method, and the reading of operations and of lines.

A batch is an operation whose metadata is the ``GenerateContentBatch``. Where its results are is said twice, in
``response`` and in ``metadata.output``, and not always in both; either will do. Reading is lenient: what is lacking or
unknown makes no batch unreadable, because one that cannot be read cannot be cancelled either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, TypeGuard

import attrs

from gemtune.errors import MalformedResponse
from gemtune.protocol import names
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import decode, dumps, encode, loads
from gemtune.protocol.gemini import Page, paging
from gemtune.types import GenerateContentRequest, GenerateContentResponse
from gemtune.types.batches import BatchCounts, BatchReply, BatchState, GenerateContentBatch
from gemtune.types.message import EMPTY, Int64, Json, Message
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp

INLINE_BYTES: Final = 20_000_000
"""The whole body of a creation must stay below this, if the requests come with it."""
_UNKNOWN: Final = 2
"""google.rpc.Code.UNKNOWN: the code of an error that the service does not explain."""
_MASK: Final = (
    "name,done,error,metadata(model,displayName,inputConfig,createTime,endTime,updateTime,batchStats,state,name)"
)


@attrs.frozen(kw_only=True)
class _Stats(Message):
    request_count: Int64 = 0
    successful_request_count: Int64 = 0
    failed_request_count: Int64 = 0
    pending_request_count: Int64 = 0


@attrs.frozen(kw_only=True)
class _Metadata(Message):
    """The metadata of the operation; what holds requests or replies stays plain JSON."""

    SIDE: ClassVar = frozenset({"batch_stats", "create_time", "update_time", "end_time", "input_config", "output"})

    model: str = ""
    display_name: str = ""
    input_config: Json | None = attrs.field(default=None, hash=False)
    output: Json | None = attrs.field(default=None, hash=False)
    create_time: Timestamp | None = None
    update_time: Timestamp | None = None
    end_time: Timestamp | None = None
    batch_stats: _Stats | None = None
    state: str = ""
    name: str = ""


def create_batch(
    model: str, *, display_name: str, input: Json, priority: int | None = None
) -> Call[GenerateContentBatch]:
    """``models.batchGenerateContent``, of tuned models as well: not idempotent, and without an id of ours.

    Args:
        model: The model's name.
        display_name: What people call the batch.
        input: ``from_file`` or ``from_items``.
        priority: Its priority among the batches of the project.
    """
    batch: dict[str, object] = {"displayName": display_name, "inputConfig": input}
    if priority is not None:
        batch["priority"] = str(priority)
    return Call(
        method=f"{model.partition('/')[0]}.batchGenerateContent",
        verb="POST",
        path=f"/v1beta/{model}:batchGenerateContent",
        body=dumps({"batch": batch}, strict=True),
        effect=Effect.CREATE,
        decode=read_batch,
        resource=model,
    )


def create_inline(
    model: str, *, display_name: str, items: bytes, priority: int | None = None
) -> Call[GenerateContentBatch]:
    """The same with the requests in it, which are JSON already: ``inline_item``s, separated by commas."""
    call = create_batch(model, display_name=display_name, input={"requests": {"requests": []}}, priority=priority)
    head, found, tail = (call.body or b"").rpartition(b'"requests":[]')
    if not found:
        raise AssertionError("the frame of a creation has lost its list")
    return attrs.evolve(call, body=b"".join((head, b'"requests":[', items, b"]", tail)), bulky=True)


def from_file(name: str) -> Json:
    """Return the input of a batch whose requests lie in a file."""
    return {"fileName": name}


def get_batch(name: str, *, light: bool = False) -> Call[GenerateContentBatch]:
    """``batches.get``.

    Args:
        name: The batch.
        light: Whether replies that came with it are left out.
    """
    return Call(
        method="batches.get",
        verb="GET",
        path=f"/v1beta/{name}",
        query=(("fields", _MASK),) if light else (),
        effect=Effect.READ,
        decode=read_batch,
        resource=name,
        bulky=not light,
    )


def list_batches(*, page_size: int | None = None, page_token: str | None = None) -> Call[Page[GenerateContentBatch]]:
    """``batches.list``: without replies."""
    return Call(
        method="batches.list",
        verb="GET",
        path="/v1beta/batches",
        query=paging(page_size, page_token),
        effect=Effect.READ,
        decode=_page,
    )


def cancel_batch(name: str) -> Call[None]:
    """``batches.cancel``: asked for twice, it is cancelled once."""
    return Call(
        method="batches.cancel",
        verb="POST",
        path=f"/v1beta/{name}:cancel",
        body=b"{}",
        effect=Effect.READ,
        decode=lambda _: None,
        read=lambda *_: None,
        resource=name,
    )


def delete_batch(name: str) -> Call[None]:
    """``batches.delete``; the service chooses the names, so that no other batch can be meant by a repetition."""
    return Call(
        method="batches.delete",
        verb="DELETE",
        path=f"/v1beta/{name}",
        effect=Effect.READ,
        decode=lambda _: None,
        read=lambda *_: None,
        resource=name,
    )


def input_line(key: str, request: GenerateContentRequest) -> bytes:
    """Return one line of an input file, with its line end.

    Raises:
        InvalidInput: JSON cannot say what it holds.
    """
    body = encode(request)
    body.pop("model", None)  # it stands in the address of the creation
    return b"".join((b'{"key":', dumps(key, strict=True), b',"request":', dumps(body, strict=True), b"}\n"))


def inline_item(line: bytes) -> bytes:
    """Return a line of an input file as a request that comes with the creation."""
    # In the JSON of a key each quotation mark is escaped, so that these characters end it.
    key, _, rest = line.partition(b',"request":')
    return b"".join((b'{"metadata":', key, b'},"request":', rest.rstrip(b"\n")))


def read_batch(value: object) -> GenerateContentBatch:
    """Return the batch that an operation is about.

    Raises:
        MalformedResponse: It is no JSON object, or names no batch.
    """
    if not isinstance(value, dict):
        raise MalformedResponse("the operation of a batch is not a JSON object")
    found = value.get("metadata")
    metadata = decode(_Metadata, found if isinstance(found, dict) else {})
    name = value.get("name") or metadata.name
    # Names of replies become addresses of requests: whatever is none is refused before it can.
    if not isinstance(name, str) or not names.is_batch(name):
        raise MalformedResponse("the operation of a batch has no name")
    output: Json = next((each for each in (value.get("response"), metadata.output) if _has_results(each)), EMPTY)
    error = value.get("error")
    return GenerateContentBatch(
        name=name,
        display_name=metadata.display_name,
        model=metadata.model,
        state=BatchState.of(metadata.state),
        service_state=metadata.state,
        counts=_counts(metadata.batch_stats),
        create_time=metadata.create_time,
        update_time=metadata.update_time,
        end_time=metadata.end_time,
        input=_text(metadata.input_config, "fileName"),
        output=_file(_text(output, "responsesFile")),
        replies=tuple(map(read_reply, _inlined(output))),
        error=_status(error) if isinstance(error, dict) else None,
        extra={key: item for key, item in metadata.extra.items() if key != "@type"} or EMPTY,
    )


def read_line(line: bytes) -> BatchReply:
    """Return what a line of the results says; if it cannot be read, that is the error of a reply without a key."""
    try:
        return read_reply(loads(line))
    except MalformedResponse as error:
        return BatchReply(key=None, error=_said(f"this line of the results cannot be read: {error.message}"))


def read_reply(value: object) -> BatchReply:
    """Return what one result says: a line of a file, or a reply that came with its batch."""
    if not isinstance(value, dict):
        return BatchReply(key=None, error=_said("this result is not a JSON object"))
    metadata = value.get("metadata")
    key = value.get("key", metadata.get("key") if isinstance(metadata, dict) else None)
    key = key if isinstance(key, str) else None if key is None else str(key)
    if value.get("response") is not None:
        try:
            return BatchReply(key=key, response=decode(GenerateContentResponse, value["response"]))
        except MalformedResponse as error:
            return BatchReply(key=key, error=_said(error.message))
    why = value.get("error")
    return BatchReply(key=key, error=_said("there is no reply and no error") if why is None else _status(why))


def lines_of(replies: Iterable[object]) -> Iterable[bytes]:
    """Yield inline replies, as they stand in the JSON, as the lines that a file would have."""
    for each in replies:
        line = each
        if isinstance(each, dict) and "key" not in each:
            metadata = each.get("metadata")
            line = {name: item for name, item in each.items() if name != "metadata"}
            if isinstance(metadata, dict) and "key" in metadata:
                line["key"] = metadata["key"]
        yield dumps(line) + b"\n"


def _page(value: object) -> Page[GenerateContentBatch]:
    if not isinstance(value, dict):
        raise MalformedResponse("the list is not a JSON object")
    found, token = value.get("operations") or [], value.get("nextPageToken") or None
    if not isinstance(found, list) or not (token is None or isinstance(token, str)):
        raise MalformedResponse("the list's operations or nextPageToken has the wrong type")
    return Page(tuple(map(read_batch, found)), token)


def _counts(stats: _Stats | None) -> BatchCounts:
    if stats is None:
        return BatchCounts()
    return BatchCounts(
        total=stats.request_count,
        successful=stats.successful_request_count,
        failed=stats.failed_request_count,
        pending=stats.pending_request_count,
    )


def _has_results(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict) and (bool(_text(value, "responsesFile")) or bool(_inlined(value)))


def _inlined(value: Mapping[str, Any]) -> list[object]:
    """Return ``inlinedResponses.inlinedResponses``; one list of that name will do."""
    found: object = value.get("inlinedResponses")
    if isinstance(found, dict):
        found = found.get("inlinedResponses")
    return found if isinstance(found, list) else []


def _file(name: str) -> str:
    if name and not names.is_file(name):
        raise MalformedResponse("the results of a batch are in a file without a name")
    return name


def _text(value: Mapping[str, Any] | None, name: str) -> str:
    found = None if value is None else value.get(name)
    return found if isinstance(found, str) else ""


def _status(value: object) -> Status:
    try:
        return decode(Status, value)
    except MalformedResponse:
        return _said("the error cannot be read")


def _said(message: str) -> Status:
    return Status(code=_UNKNOWN, message=message)
