"""The buckets and objects of the emulated Cloud Storage; whoever needs an object's bytes reads them here.

An object never changes: a new one of the same name takes its place, with a higher generation. So what was found may be
read at leisure, in another thread if it is long.
"""

from __future__ import annotations

import base64
import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from gemtune.emulator.messages.contents import Depot, Scratch, StoredContent
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.typed import check as check_types


@attrs.frozen(kw_only=True)
class StoredBucket:
    """A bucket.

    Args:
        name: it.
        created: nanoseconds since 1970.
        location: such as ``"US-CENTRAL1"``.
        storage_class: such as ``"STANDARD"``.
        labels: its owner's.
    """

    name: str
    created: int
    location: str = "US"
    storage_class: str = "STANDARD"
    labels: dict[str, str] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_types(self, *attrs.fields_dict(StoredBucket))


@attrs.frozen(kw_only=True)
class StoredObject:
    """An object.

    Args:
        bucket: where it is.
        name: under which name.
        generation: a number that grows with each object of the emulator.
        created: nanoseconds since 1970.
        content: its bytes.
        content_type: what they are.
        headers: further fields that a download gives back as headers, such as ``content_encoding``.
        metadata: its owner's.
    """

    bucket: str
    name: str
    generation: int
    created: int
    content: StoredContent
    content_type: str | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    metadata: dict[str, str] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_types(self, *(name for name in attrs.fields_dict(StoredObject) if name != "content"))


@attrs.define(repr=False, eq=False)
class FilledBucket:
    """A bucket with what is in it."""

    facts: StoredBucket
    objects: dict[str, StoredObject] = attrs.field(factory=dict, init=False)
    _names: list[str] = attrs.field(factory=list, init=False)  # in their order

    def put(self, found: StoredObject) -> StoredObject | None:
        """Put an object in, and return the one of the same name whose place it takes."""
        former = self.objects.get(found.name)
        self.objects[found.name] = found
        if former is None:
            insort(self._names, found.name)
        return former

    def remove(self, found: StoredObject) -> None:
        """Take an object out."""
        del self.objects[found.name]
        del self._names[bisect_left(self._names, found.name)]

    def names(self, start: str = "") -> Iterator[str]:
        """Return the names from one on, in their order."""
        return (self._names[at] for at in range(bisect_left(self._names, start), len(self._names)))


@attrs.define(repr=False, eq=False)
class Objects:
    """All buckets and objects."""

    settings: Settings
    depot: Depot = attrs.field(init=False)
    buckets: dict[str, FilledBucket] = attrs.field(factory=dict, init=False)
    size: int = attrs.field(default=0, init=False)
    _generation: int = attrs.field(default=0, init=False)
    # Long objects are put by threads. Reading needs no lock: it takes one reference, and what that refers to is whole.
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.depot = Depot(self.settings.object_memory_bytes, self.settings.max_stored_bytes)
        self.clear()

    def __repr__(self) -> str:
        return f"Objects({len(self)} in {len(self.buckets)} buckets)"

    def __len__(self) -> int:
        return sum(len(bucket.objects) for bucket in self.buckets.values())

    def read(self, bucket: str, name: str) -> bytes | None:
        """Return all bytes of an object; None if there is no such object."""
        file = self.open(bucket, name)
        if file is None:
            return None
        with file:
            return file.read()

    def open(self, bucket: str, name: str) -> BinaryIO | None:
        """Return the bytes of an object as a file, to be closed; None if there is no such object."""
        while (found := self.find(bucket, name)) is not None:
            try:
                return found.content.open()
            except FileNotFoundError:  # another object took its place meanwhile
                if self.find(bucket, name) is found:
                    raise
        return None

    def find(self, bucket: str, name: str) -> StoredObject | None:
        """Return an object; None if there is no such object."""
        filled = self.buckets.get(bucket)
        return filled.objects.get(name) if filled else None

    def add_bucket(self, facts: StoredBucket) -> None:
        """Add an empty bucket."""
        self.buckets[facts.name] = FilledBucket(facts)

    def put(self, found: StoredObject, check: Callable[[StoredObject | None], None] | None = None) -> None:
        """Put an object into its bucket, in the place of one with the same name.

        Args:
            found: the object.
            check: looks at the one whose place it takes, and raises if it must not be.

        Raises:
            KeyError: its bucket is gone.
        """
        with self._lock:
            bucket = self.buckets[found.bucket]
            if check is not None:
                check(bucket.objects.get(found.name))
            former = bucket.put(found)
            self.size += found.content.size
            if former is not None:
                self._give_up(former)

    def remove(self, found: StoredObject) -> None:
        """Remove an object."""
        with self._lock:
            self.buckets[found.bucket].remove(found)
            self._give_up(found)

    def _give_up(self, found: StoredObject) -> None:
        self.size -= found.content.size
        self.depot.retire(found.content)

    def settle(self, scratch: Scratch, now: int) -> tuple[int, StoredContent]:
        """Make a content of what has arrived, and return it with the generation of the object that it is for."""
        with self._lock:
            # Of the service, too, these are microseconds since 1970.
            self._generation = max(self._generation + 1, now // 1_000)
            generation = self._generation
        return generation, self.depot.settle(scratch, generation)

    def clear(self) -> None:
        """Forget everything but the buckets that the settings declare."""
        with self._lock:
            for found in _every(self.buckets):
                self._give_up(found)
            self.buckets.clear()
        for name in sorted(self.settings.buckets):
            self.add_bucket(StoredBucket(name=name, created=0))

    def contents(self) -> Iterator[StoredContent]:
        """Return the contents of all objects."""
        return (each.content for each in _every(self.buckets))

    def dump(self) -> object:
        """Return all but the contents, as JSON."""
        with self._lock:
            every = _every(self.buckets)
        return {
            "buckets": [attrs.asdict(bucket.facts) for bucket in self.buckets.values()],
            "objects": [_dump(each) for each in every],
            "generation": self._generation,
        }

    def restore(self, kept: Any) -> None:
        """Take over what another process left; raises ValueError, TypeError or LookupError if it is damaged."""
        self.clear()
        for values in kept["buckets"]:
            if values["name"] not in self.buckets:
                self.add_bucket(StoredBucket(**values))
        self._generation = kept["generation"]
        for values in kept["objects"]:
            content = restore_content(values["content"], self.depot, f"gs://{values['bucket']}/{values['name']}")
            self.put(StoredObject(**(dict(values) | {"content": content})))


def _every(buckets: Mapping[str, FilledBucket]) -> list[StoredObject]:
    return [each for bucket in list(buckets.values()) for each in list(bucket.objects.values())]


def restore_content(kept: Mapping[str, Any], depot: Depot, name: str) -> StoredContent:
    """Return a content that another process left; raises ValueError or LookupError if it is not there as it was.

    Args:
        kept: what ``dump_content`` returned.
        depot: in whose folder it is.
        name: what it is the content of.
    """
    path = depot.place() / f"{int(kept['file']):016d}"
    size = path.stat().st_size if path.is_file() else None
    if size != kept["size"]:
        raise ValueError(f"the content of {name} has {size} bytes at {path}")
    stored = StoredContent(path, kept["size"], kept["crc32c"], base64.b64decode(kept["md5"]))
    check_types(stored, "size", "crc32c", "md5")
    depot.used += stored.size  # also if the limit is lower than it was
    return stored


def dump_content(content: StoredContent) -> dict[str, object]:
    """Return all of a content but its bytes, as JSON."""
    file = content.data.name if isinstance(content.data, Path) else ""
    md5 = base64.b64encode(content.md5).decode("ascii")
    return {"file": file, "size": content.size, "crc32c": content.crc32c, "md5": md5}


def _dump(found: StoredObject) -> dict[str, object]:
    plain = {f.name: getattr(found, f.name) for f in attrs.fields(StoredObject) if f.name != "content"}
    return plain | {"content": dump_content(found.content)}
