"""One file to the Gemini API, under a name that is chosen before: whatever breaks, it is there once or not at all.

A name is given only once. So a refusal as a duplicate, and a session that has ended without our having read its last
reply, lead to one file, and size and SHA-256 say whether it is the one that was sent.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import IO, Final, cast

import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.config import ONCE, RetryPolicy
from gemtune.errors import (
    AlreadyExists,
    CallError,
    Conflict,
    Failure,
    InvalidInput,
    MalformedResponse,
    NotFound,
    PermissionDenied,
)
from gemtune.http.caller import Caller
from gemtune.protocol import files as protocol
from gemtune.protocol.call import Call
from gemtune.protocol.files import NewFile
from gemtune.protocol.storage import Arrived, UploadSession
from gemtune.remedy import Argument, ClientCall, Remedy
from gemtune.resources.uploads.sending import Sending, UploadProgress
from gemtune.types.files import File

_HASHED: Final = 1 << 20
"""Bytes that are read at a time to be hashed or copied."""


@attrs.frozen(eq=False)
class FileUpload:
    """One upload under one name, and the requests it is made of.

    Args:
        caller: Carries out the requests.
        new: What is uploaded.
        read: Returns some of it: from where, and how many bytes; blocks.
        sha256: The digest of its content.
        retry: Another retry policy.
    """

    caller: Caller
    new: NewFile
    read: Callable[[int, int], bytes] = attrs.field(repr=False)
    sha256: bytes
    retry: RetryPolicy | None

    def begin(self) -> Call[UploadSession | None]:
        return protocol.begin_upload(self.new)

    def put(self, session: UploadSession, start: int, data: bytes) -> Call[File | Arrived]:
        return protocol.put_piece(session, self.new, start, data)

    def ask(self, session: UploadSession) -> Call[File | Arrived]:
        return protocol.ask_upload(session, self.new)

    async def run(self, progress: UploadProgress) -> File:
        """Upload it, unless a file of this name and content is there."""
        try:
            made = await Sending[File](self.caller, self, self._read, progress, self.retry).run()
        except (AlreadyExists, Conflict) as error:
            # An attempt of this call, or an earlier call under the same name; the content says which file it is.
            made = await self._look()
            if made is None:
                raise error from None
            if not self._same(made):
                raise self._taken(made) from None
        except CallError as error:
            # It may be there all the same. A file that nobody knows of would count for two days.
            made = await self._last_look() if error.failure is Failure.AMBIGUOUS else None
            if made is None or not self._same(made):
                raise error from None
        if made is None or not made.size_bytes:  # the reply to the last piece was lost, and the session has ended
            made = await self.caller.call(protocol.get_file(self.new.name), retry=self.retry)
        if not self._same(made):
            await self._remove(made)
        progress.report(self.new.size)
        return made

    async def _read(self, start: int, count: int) -> bytes:
        return await anyio.to_thread.run_sync(self.read, start, count)

    async def _look(self) -> File | None:
        try:
            return await self.caller.call(protocol.get_file(self.new.name), retry=self.retry)
        except (NotFound, PermissionDenied):
            return None

    async def _last_look(self) -> File | None:
        try:
            return await self.caller.call(protocol.get_file(self.new.name), retry=ONCE)
        except CallError:
            return None  # it brought no certainty

    def _same(self, found: File) -> bool:
        return found.size_bytes == self.new.size and protocol.digest_matches(found.sha256_hash, self.sha256)

    def _taken(self, found: File) -> AlreadyExists:
        return AlreadyExists(
            f"{found.name} exists already, with other content ({found.size_bytes:,} bytes, from {found.create_time})",
            Remedy("choose another ", Argument("name")),
            Remedy("delete it with ", ClientCall("files.delete", found.name)),
            status=409,
            reason="ALREADY_EXISTS",
            resource=found.name,
        )

    async def _remove(self, made: File) -> None:
        """Delete what has arrived and is not what was sent."""
        await self.caller.call(protocol.delete_file(self.new.name), retry=self.retry)
        raise MalformedResponse(
            f"{made.name} arrived as {made.size_bytes:,} bytes with other content than the {self.new.size:,} bytes "
            "that were sent; it was deleted: try again",
            resource=made.name,
        )


def opened_file(file: object) -> AbstractContextManager[IO[bytes]]:
    """Return what is to be read, to be closed afterwards: the file itself, which stays open, if it is; blocks."""
    if isinstance(file, bytes | bytearray | memoryview):
        return io.BytesIO(file)
    if isinstance(file, str | os.PathLike):
        return Path(file).open("rb")
    if not hasattr(file, "read") or isinstance(file, io.TextIOBase):
        checks.refuse("file", "a path, bytes, or a file that is open for reading bytes", file)
    if getattr(file, "seekable", bool)():
        return nullcontext(cast("IO[bytes]", file))
    with ExitStack() as stack:
        copy = stack.enter_context(tempfile.TemporaryFile())
        while data := file.read(_HASHED):
            copy.write(data)
        copy.seek(0)
        stack.pop_all()
        return copy


def extent(file: IO[bytes]) -> tuple[int, int]:
    """Return where a file stands, and how many bytes there are from there on; blocks."""
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    return start, size


def digest_of(file: IO[bytes], start: int, size: int) -> bytes:
    """Return the SHA-256 of a part of a file; blocks."""
    file.seek(start)
    digest, left = hashlib.sha256(), size
    while left and (data := file.read(min(left, _HASHED))):
        digest.update(data)
        left -= len(data)
    return digest.digest()


def some_of(file: IO[bytes], offset: int, size: int, what: str, start: int, count: int) -> bytes:
    """Return some of a file; blocks.

    Raises:
        InvalidInput: It has become shorter since it was measured.
    """
    file.seek(offset + start)
    data = file.read(min(count, size - start))
    if len(data) != min(count, size - start):
        raise InvalidInput(f"file: {what or 'it'} has changed while it was uploaded", field="file")
    return data
