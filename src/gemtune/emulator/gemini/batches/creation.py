"""``batchGenerateContent``: what it refuses, and the batch that it makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

import attrs

from gemtune.emulator.gemini.batches.results import lines_of
from gemtune.emulator.gemini.batches.shelf import StoredBatch
from gemtune.emulator.gemini.files.methods import find_file
from gemtune.emulator.gemini.generation import ready_model
from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.gemini.shelf import shelf_of
from gemtune.emulator.messages.codec import Value, decode
from gemtune.emulator.messages.contents import MIB, StoredContent
from gemtune.emulator.messages.errors import RpcError, bad_request, not_served
from gemtune.emulator.messages.json_text import loads
from gemtune.emulator.messages.known_errors import batch_quota_exceeded
from gemtune.emulator.world.answers import count_tokens
from gemtune.emulator.world.batches.plan import BatchCourse
from gemtune.emulator.world.store import MethodCall, Store

_SHORT = 20  # requests that are looked at on the spot


def is_long(store: Store, call: MethodCall) -> bool:
    """Return whether the requests of a new batch are more than a moment's work."""
    source = _source(call)
    found = shelf_of(store).files.files.get(cast(str, source.get("file_name") or ""))
    return found is not None or len(_inline(source)) > _SHORT or store.objects.depot.blocks(MIB)


def create(store: Store, call: MethodCall) -> StoredBatch:
    """Return a new batch, which waits to be begun."""
    source, name = _source(call), call.params["model"]
    model = ready_model(store, call)
    if model is None and "batchGenerateContent" not in store.base_models[name].supported_generation_methods:
        raise not_served(name, call.version, "batchGenerateContent")
    file_name = cast(str, source.get("file_name") or "")
    if file_name:
        content = find_file(store, file_name, call.caller.email).content
    else:
        content = _written(store, _inline(source), call.now)
    try:
        return _kept(store, call, content, file_name)
    except RpcError:
        shelf_of(store).let_go(store, content)
        raise


def _kept(store: Store, call: MethodCall, content: StoredContent, file_name: str) -> StoredBatch:
    settings, batch = store.settings, cast(Value, call.body.get("batch") or {})
    with content.open() as file:
        requests = len(lines_of(file))
    if not requests:
        raise bad_request("The batch has no requests.")
    tokens = sum(_tokens(content)) if settings.batch_enqueued_tokens is not None else 0
    _check_quota(store, call, tokens)
    hours = settings.batch_expiry_seconds / 3600
    plan = BatchCourse.of(
        settings, cancelling=0.0, hours=(hours, max(0.0, hours - settings.batch_queue_seconds / 3600)),
        name=f"batches/{store.random_id(36)}", requests=requests, created=call.now, fate=call.fate,
    )  # fmt: skip
    made = StoredBatch(
        number=store.next_number(), owner=call.caller, version=call.version, model=call.params["model"],
        display_name=cast(str, batch.get("display_name") or ""), input_name=file_name, input=content, tokens=tokens,
        # Inline results keep the order of the requests, as documented.
        plan=plan if file_name else attrs.evolve(plan, shuffled=False), fate=call.batch_fate,
    )  # fmt: skip
    shelf_of(store).batches.batches[made.name] = made
    return made


def _source(call: MethodCall) -> Value:
    batch = cast(Value, call.body.get("batch") or {})
    return cast(Value, batch.get("input_config") or {})


def _inline(source: Value) -> list[Value]:
    return cast("list[Value]", cast(Value, source.get("requests") or {}).get("requests") or [])


def _written(store: Store, requests: list[Value], now: int) -> StoredContent:
    """Return requests that came with the creation as lines, after a look at each."""
    if not requests:
        raise bad_request("batch.input_config: exactly one of requests and file_name must be set.")
    scratch = store.objects.depot.scratch()
    for each in requests:
        decode(SCHEMA, "GenerateContentRequest", each.get("request"))
        line = json.dumps({name: each[name] for name in ("request", "metadata") if name in each})
        scratch.append(line.encode("ascii") + b"\n")
    return store.objects.settle(scratch, now)[1]


def _tokens(content: StoredContent) -> Iterator[int]:
    """Return the input tokens of each line that can be read."""
    with content.open() as file:
        for line in file:
            try:
                value = loads(line) if not line.isspace() else {}
            except ValueError:
                continue
            request = value.get("request") if isinstance(value, dict) else None
            if isinstance(request, dict):
                yield sum(count_tokens(text) for text in _texts(request))


def _texts(value: object) -> Iterator[str]:
    """Return every ``text`` in a request."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "text" and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _check_quota(store: Store, call: MethodCall, tokens: int) -> None:
    settings, name = store.settings, call.params["model"]
    waiting = shelf_of(store).batches.waiting(call.now)
    mine = [each for each in waiting if each.owner.email == call.caller.email]
    many = settings.max_batches is not None and len(mine) >= settings.max_batches
    enqueued = sum(each.tokens for each in mine if each.model == name)
    limit = settings.batch_enqueued_tokens
    if many or (limit is not None and enqueued + tokens > limit):
        raise batch_quota_exceeded(details=settings.batch_quota_details)
