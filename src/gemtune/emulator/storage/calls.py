"""What a request says, as the handlers of this service take it: a ``MethodCall`` has room for messages only."""

from __future__ import annotations

from typing import cast

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.contents import Scratch
from gemtune.emulator.messages.json_text import parse_json
from gemtune.emulator.storage.refusals import bad_parameter, condition_not_met, no_bucket, refused
from gemtune.emulator.world.objects import FilledBucket, StoredObject
from gemtune.emulator.world.store import MethodCall, Store

_MOST_JSON = 1 << 20


@attrs.frozen
class StorageRequest:
    """The parts of a request that are no parameters."""

    headers: dict[str, str] = attrs.field(repr=False)
    origin: str
    body: bytes = attrs.field(repr=False)
    upload: Scratch | None = attrs.field(repr=False)

    @classmethod
    def of(cls, call: MethodCall) -> StorageRequest:
        """Return what the face has put into a call."""
        return cast("StorageRequest", call.body["request"])

    @property
    def data(self) -> Scratch:
        """The body of a route that takes long ones."""
        return cast(Scratch, self.upload)


def read_json(data: bytes) -> Value:
    """Return a JSON object of a body; raises RpcError (400) for anything else."""
    if len(data) > _MOST_JSON:
        raise refused(413, f"The metadata is longer than {_MOST_JSON} bytes.")
    value = parse_json(data) if data.strip() else {}
    if not isinstance(value, dict):
        raise refused(400, "Parse Error", "parseError")
    return value


def bucket_of(store: Store, call: MethodCall) -> FilledBucket:
    """Return the bucket that a call is about; raises RpcError (404)."""
    bucket = store.objects.buckets.get(call.params["bucket"])
    if bucket is None:
        raise no_bucket()
    return bucket


def number(call: MethodCall, name: str) -> int | None:
    """Return a numeric parameter, if it was given; raises RpcError (400) for what is no number."""
    text = call.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise bad_parameter(name, text)
    return int(text)


def check_conditions(call: MethodCall, found: StoredObject | None) -> None:
    """Raise RpcError (412) unless an object, or that there is none (generation 0), is what the caller expects."""
    generation, metageneration = (found.generation, 1) if found else (0, 0)
    for name, actual in (("ifGenerationMatch", generation), ("ifMetagenerationMatch", metageneration)):
        wanted = number(call, name)
        if wanted is not None and wanted != actual:
            raise condition_not_met()
    for name, actual in (("ifGenerationNotMatch", generation), ("ifMetagenerationNotMatch", metageneration)):
        unwanted = number(call, name)
        if unwanted is not None and unwanted == actual:
            raise condition_not_met()
