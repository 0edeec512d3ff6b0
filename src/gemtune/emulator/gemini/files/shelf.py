"""The files that are kept, and the uploads that are under way."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from typing import Any, Literal

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.contents import Scratch, StoredContent
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.typed import check


@attrs.frozen(kw_only=True)
class StoredFile:
    """A file.

    Args:
        number: orders lists.
        name: ``files/{id}``.
        owner: the email of whoever may see it.
        created: nanoseconds since 1970.
        expires: when it is deleted.
        content: its bytes.
        sha256: of them, in hexadecimal.
        source: whether a caller uploaded it or a batch made it.
        display_name: its owner's.
        mime_type: as it was announced.
    """

    number: int
    name: str
    owner: str
    created: int
    expires: int
    content: StoredContent
    sha256: str
    source: Literal["UPLOADED", "GENERATED"] = "UPLOADED"
    display_name: str = ""
    mime_type: str = ""

    def __attrs_post_init__(self) -> None:
        check(self, *(name for name in attrs.fields_dict(StoredFile) if name != "content"))
        if not self.name.startswith("files/"):
            raise ValueError(f"{self.name!r} is not the name of a file")


@attrs.define(eq=False, kw_only=True)
class PendingFile:
    """A resumable upload of a file.

    Args:
        id: how it is called in ``upload_id``.
        owner: whose file it will be.
        begun: when.
        given: about the file: ``name``, ``display_name`` and ``mime_type``.
        size: of the file, if it was announced.
        data: what has arrived.
    """

    id: str
    owner: str
    begun: int
    given: dict[str, str]
    size: int | None
    data: Scratch
    digest: Any = attrs.field(factory=hashlib.sha256, init=False, repr=False)
    lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    received: int = attrs.field(default=0, init=False)
    status: Literal["active", "final", "cancelled"] = attrs.field(default="active", init=False)

    def take(self, data: Scratch) -> None:
        """Take in what follows; blocks if it is long."""
        size = data.size
        for block in data.blocks():
            self.digest.update(block)
        if self.received == 0:
            self.data = data.moved()  # all at once, as most clients send it: nothing has to be copied
        else:
            for block in data.blocks():
                self.data.append(block)
        self.received += size


@attrs.define
class StoredFiles:
    """Files by name, and uploads by id, the oldest first. Files whose time is over go before anybody looks."""

    settings: Settings
    files: dict[str, StoredFile] = attrs.field(factory=dict, init=False)
    uploads: dict[str, PendingFile] = attrs.field(factory=dict, init=False)

    def find(self, name: str, owner: str) -> StoredFile | None:
        """Return a file that its owner can see."""
        found = self.files.get(name)
        return found if found is not None and found.owner == owner else None

    def of(self, owner: str) -> list[StoredFile]:
        """Return the files of an owner, oldest first."""
        return sorted((each for each in list(self.files.values()) if each.owner == owner), key=lambda f: f.number)

    def expired(self, now: int) -> Iterator[StoredFile]:
        """Return the files whose time is over."""
        return (each for each in list(self.files.values()) if each.expires <= now)

    def begin(self, upload: PendingFile) -> None:
        """Take in an upload, in place of the oldest if there are too many."""
        while len(self.uploads) >= self.settings.max_uploads:
            del self.uploads[next(iter(self.uploads))]
        self.uploads[upload.id] = upload


def file_value(found: StoredFile, origin: str) -> Value:
    """Return the ``File`` message; ``origin`` is where the caller reaches the service."""
    uri = f"{origin}/v1beta/{found.name}"
    generated = found.source == "GENERATED"
    return {
        "name": found.name, "display_name": found.display_name, "mime_type": found.mime_type,
        "size_bytes": found.content.size, "create_time": found.created, "update_time": found.created,
        "expiration_time": found.expires, "sha256_hash": _hash(found.sha256), "uri": uri, "state": "ACTIVE",
        "source": found.source, "download_uri": f"{uri}:download?alt=media" if generated else "",
    }  # fmt: skip


def _hash(digest: str) -> str:
    # Observed: the Base64 of the hexadecimal digits, 88 characters, and not of the 32 bytes that they stand for.
    return base64.b64encode(digest.encode("ascii")).decode("ascii")
