"""The object that an upload makes: what was said about it, and the end of every way in which one comes."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import attrs

from gemtune.emulator.messages.checksums import base64_crc32c
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.contents import Scratch, StoredContent
from gemtune.emulator.messages.schema import camel_case
from gemtune.emulator.storage.calls import StorageRequest, bucket_of, check_conditions
from gemtune.emulator.storage.messages import HEADERS, object_value
from gemtune.emulator.storage.refusals import no_bucket, refused
from gemtune.emulator.world.objects import StoredObject
from gemtune.emulator.world.store import MethodCall, Store


@attrs.frozen(kw_only=True)
class GivenObject:
    """What a request says about the object that it brings."""

    name: str
    content_type: str | None
    headers: dict[str, str]
    metadata: dict[str, str]
    crc32c: str | None
    md5: str | None

    @classmethod
    def of(cls, call: MethodCall, metadata: Mapping[str, object], content_type: str | None) -> GivenObject:
        """Return it; raises RpcError (400) for a name or a value that no object can have."""
        name = metadata.get("name") or call.query.get("name")
        if not isinstance(name, str) or not name:
            raise refused(400, "Required", "required", location_type="parameter", location="name")
        if len(name.encode("utf-8", "replace")) > 1024 or re.search(r"[\r\n]", name) or name in (".", ".."):
            raise refused(400, f"Invalid object name: {name[:100]!r}")
        own = metadata.get("metadata") or {}
        if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
            raise refused(400, "Invalid value for: metadata: its values must be strings", "invalid")
        given = {key: metadata.get(camel_case(key)) for key in (*HEADERS, "content_type", "crc32c", "md5_hash")}
        texts = {key: value for key, value in given.items() if isinstance(value, str)}
        return cls(
            name=name,
            content_type=texts.get("content_type") or content_type,
            headers={key: texts[key] for key in HEADERS if key in texts},
            metadata=own,
            crc32c=texts.get("crc32c"),
            md5=texts.get("md5_hash"),
        )

    def check(self, content: StoredContent, told: str) -> None:
        """Raise RpcError (400) if data are not those whose checksums were given, here or in ``x-goog-hash``."""
        pairs = [part.strip().partition("=") for part in told.split(",")]
        crc32c = base64_crc32c(content.crc32c)
        md5 = base64.b64encode(content.md5).decode("ascii")
        for given in (self.crc32c, *(value for kind, _, value in pairs if kind == "crc32c")):
            if given and given != crc32c:
                raise refused(400, f'Provided CRC32C "{given[:50]}" doesn\'t match calculated CRC32C "{crc32c}".')
        for given in (self.md5, *(value for kind, _, value in pairs if kind == "md5")):
            if given and given != md5:
                raise refused(400, f'Provided MD5 hash "{given[:50]}" doesn\'t match calculated MD5 hash "{md5}".')


def check_size(store: Store, size: int) -> None:
    """Raise RpcError (413) for an object that is too long."""
    most = store.settings.max_object_bytes
    if size > most:
        raise refused(413, f"The emulator takes objects of at most {most} bytes (max_object_bytes).")


def finish(store: Store, call: MethodCall, given: GivenObject, data: Scratch) -> Value:
    """Make an object of what has arrived, if it is as it should be; return its resource."""
    bucket, request = bucket_of(store, call), StorageRequest.of(call)
    check_conditions(call, bucket.objects.get(given.name))
    check_size(store, data.size)
    generation, content = store.objects.settle(data, call.now)
    try:
        given.check(content, request.headers.get("x-goog-hash", ""))
        found = StoredObject(
            bucket=bucket.facts.name, name=given.name, generation=generation, created=call.now, content=content,
            content_type=given.content_type, headers=given.headers, metadata=given.metadata,
        )  # fmt: skip
        # Hashing a gigabyte takes seconds, in which another object of this name may have come.
        store.objects.put(found, lambda former: check_conditions(call, former))
    except Exception as error:
        store.objects.depot.retire(content)
        if isinstance(error, KeyError):  # the bucket went meanwhile
            raise no_bucket() from None
        raise
    return object_value(found, request.origin)
