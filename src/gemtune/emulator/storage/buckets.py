"""Buckets: create, get, list, delete."""

from __future__ import annotations

import re

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.http import HttpReply
from gemtune.emulator.storage.calls import StorageRequest, bucket_of, read_json
from gemtune.emulator.storage.listing import page_of
from gemtune.emulator.storage.messages import bucket_value
from gemtune.emulator.storage.refusals import refused
from gemtune.emulator.world.objects import StoredBucket
from gemtune.emulator.world.store import MethodCall, Store

_NAME = re.compile(r"(?!goog)[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def insert(store: Store, call: MethodCall) -> Value:
    """Create a bucket."""
    request = StorageRequest.of(call)
    given = read_json(request.body)
    name = given.get("name")
    if not isinstance(name, str) or not name:
        raise refused(400, "Required", "required", location_type="parameter", location="name")
    if name in store.objects.buckets:
        raise refused(409, "Your previous request to create the named bucket succeeded and you already own it.")
    if not _NAME.fullmatch(name):
        raise refused(400, f"Invalid bucket name: '{name[:100]}'")
    location, storage_class, labels = given.get("location"), given.get("storageClass"), given.get("labels")
    try:
        bucket = StoredBucket(
            name=name,
            created=call.now,
            location=location.upper() if isinstance(location, str) else "US",
            storage_class=storage_class.upper() if isinstance(storage_class, str) else "STANDARD",
            labels=labels or {},  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise refused(400, str(error)) from None
    store.objects.add_bucket(bucket)
    return bucket_value(bucket, request.origin)


def get(store: Store, call: MethodCall) -> Value:
    """Return a bucket."""
    return bucket_value(bucket_of(store, call).facts, StorageRequest.of(call).origin)


def list_(store: Store, call: MethodCall) -> Value:
    """Return the buckets, whichever project is asked for, in the order of their names."""
    page = page_of(call, lambda start: (name for name in sorted(store.objects.buckets) if name >= start))
    origin = StorageRequest.of(call).origin
    found = (store.objects.buckets.get(name) for name in page.names)
    return {
        "kind": "storage#buckets",
        "next_page_token": page.token,
        "items": [bucket_value(bucket.facts, origin) for bucket in found if bucket],
    }


def delete(store: Store, call: MethodCall) -> HttpReply:
    """Remove an empty bucket."""
    bucket = bucket_of(store, call)
    if bucket.objects:
        raise refused(409, "The bucket you tried to delete is not empty.")
    del store.objects.buckets[bucket.facts.name]
    return HttpReply(status=204)
