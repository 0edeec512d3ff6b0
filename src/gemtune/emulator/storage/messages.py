"""The resources of Cloud Storage, and how stored things become them.

Source: the discovery document of storage/v1, of which these are the fields that clients read.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

from gemtune.emulator.messages.checksums import base64_crc32c
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.schema import COMMON, Schema
from gemtune.emulator.world.objects import StoredBucket, StoredObject

# Of a request's metadata, what the object keeps as it came, and the header in which a download gives it back.
HEADERS = {
    "content_encoding": "content-encoding",
    "content_disposition": "content-disposition",
    "content_language": "content-language",
    "cache_control": "cache-control",
}
_MILLISECOND = 1_000_000

SCHEMA = Schema.parse(
    "google.storage.v1",
    """
Bucket
1 string kind
2 string self_link
3 string id
4 string name
5 string project_number
6 string generation
7 string metageneration
8 string location
9 string storage_class
10 string etag
11 Timestamp time_created
12 Timestamp updated
13 Labels labels
14 string location_type

Buckets
1 string kind
2 string next_page_token
3 Bucket* items

Object
1 string kind
2 string id
3 string self_link
4 string media_link
5 string name
6 string bucket
7 string generation
8 string metageneration
9 string content_type
10 string storage_class
11 int64? size
12 string md5_hash
13 string content_encoding
14 string content_disposition
15 string content_language
16 string cache_control
17 string crc32c
18 string etag
19 Timestamp time_created
20 Timestamp updated
21 Timestamp time_storage_class_updated
22 Timestamp time_finalized
23 Labels metadata

Objects
1 string kind
2 string next_page_token
3 string* prefixes
4 Object* items
""",
    enums={},
    base=COMMON,
)


def _moment(nanoseconds: int) -> int:
    return nanoseconds // _MILLISECOND * _MILLISECOND


def _etag(number: int) -> str:
    return base64.b64encode(b"\x08" + number.to_bytes(8, "big") + b"\x10\x01").decode("ascii")


def bucket_value(bucket: StoredBucket, origin: str) -> Value:
    """Return a bucket's resource."""
    return {
        "kind": "storage#bucket",
        "self_link": f"{origin}/storage/v1/b/{bucket.name}",
        "id": bucket.name,
        "name": bucket.name,
        "project_number": "318182098261",
        "metageneration": "1",
        "location": bucket.location,
        "location_type": "multi-region" if len(bucket.location) < 5 else "region",
        "storage_class": bucket.storage_class,
        "etag": _etag(1),
        "time_created": _moment(bucket.created),
        "updated": _moment(bucket.created),
        "labels": bucket.labels,
    }


def object_value(found: StoredObject, origin: str) -> Value:
    """Return an object's resource, whose links lead to the emulator and not to the service."""
    path = f"b/{found.bucket}/o/{quote(found.name, safe='')}"
    created = _moment(found.created)
    return {
        "kind": "storage#object",
        "id": f"{found.bucket}/{found.name}/{found.generation}",
        "self_link": f"{origin}/storage/v1/{path}",
        "media_link": f"{origin}/download/storage/v1/{path}?generation={found.generation}&alt=media",
        "name": found.name,
        "bucket": found.bucket,
        "generation": str(found.generation),
        "metageneration": "1",
        "content_type": found.content_type or "",
        "storage_class": "STANDARD",
        "size": found.content.size,
        "md5_hash": base64_md5(found),
        **found.headers,
        "crc32c": base64_crc32c(found.content.crc32c),
        "etag": _etag(found.generation),
        "time_created": created,
        "updated": created,
        "time_storage_class_updated": created,
        "time_finalized": created,
        "metadata": found.metadata,
    }


def base64_md5(found: StoredObject) -> str:
    return base64.b64encode(found.content.md5).decode("ascii")


def hash_header(found: StoredObject) -> str:
    """Return the value of ``x-goog-hash``."""
    return f"crc32c={base64_crc32c(found.content.crc32c)},md5={base64_md5(found)}"
