"""Files that the Gemini API keeps for two days: the input and the results of batches."""

from __future__ import annotations

import attrs

from gemtune.types.message import Int64, Message
from gemtune.types.openenum import OpenEnum
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp

__all__ = ["File", "FileSource", "FileState", "ListFilesResponse"]


class FileState(OpenEnum):
    """Whether a file can be used."""

    STATE_UNSPECIFIED = "STATE_UNSPECIFIED"
    PROCESSING = "PROCESSING"
    ACTIVE = "ACTIVE"
    FAILED = "FAILED"


class FileSource(OpenEnum):
    """Where a file came from."""

    SOURCE_UNSPECIFIED = "SOURCE_UNSPECIFIED"
    UPLOADED = "UPLOADED"
    GENERATED = "GENERATED"
    REGISTERED = "REGISTERED"


@attrs.frozen(kw_only=True)
class File(Message):
    """A file of the Gemini API; the service deletes it 48 hours after its upload.

    Args:
        name: ``files/{id}``.
        display_name: What people call it, at most 512 characters.
        mime_type: The type of its content.
        size_bytes: Its size.
        create_time: When it was uploaded.
        update_time: When it last changed.
        expiration_time: When the service deletes it.
        sha256_hash: Its SHA-256, in Base64.
        uri: The address under which a prompt may name it.
        download_uri: The address of its content, if it may be downloaded: only what the service has made may.
        state: Whether it can be used.
        source: Where it came from.
        error: Why it failed.
    """

    name: str = ""
    display_name: str = ""
    mime_type: str = ""
    size_bytes: Int64 = 0
    create_time: Timestamp | None = None
    update_time: Timestamp | None = None
    expiration_time: Timestamp | None = None
    sha256_hash: str = ""
    uri: str = ""
    download_uri: str = ""
    state: FileState = FileState.STATE_UNSPECIFIED
    source: FileSource = FileSource.SOURCE_UNSPECIFIED
    error: Status | None = None


@attrs.frozen(kw_only=True)
class ListFilesResponse(Message):
    """One page of files; without a next page token it is the last."""

    files: tuple[File, ...] = ()
    next_page_token: str = ""
