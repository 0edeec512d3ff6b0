"""``client.files``: files that the Gemini API keeps for two days, up to 2 GB each, in constant memory.

An upload gives the file a name before it begins, made up here unless you choose one, and a name is given only once. So
whatever breaks, one call leaves at most one file, and a file whose last reply was lost is found by its name. Size and
SHA-256 are compared with what the service says it has.
"""

from __future__ import annotations

import io
import logging
import mimetypes
import os
import random
from functools import partial
from pathlib import Path
from typing import IO, Final, overload

import anyio
import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.config import RetryPolicy
from gemtune.errors import (
    ApiError,
    BadRequest,
    DeadlineExceeded,
    Failure,
    InvalidInput,
    NotFound,
    NotSupported,
    PermissionDenied,
)
from gemtune.http.caller import Caller
from gemtune.http.download import download
from gemtune.pager import Pager
from gemtune.protocol import files as protocol
from gemtune.protocol import names
from gemtune.protocol.call import Call
from gemtune.protocol.files import MAX_BYTES, NewFile
from gemtune.protocol.gemini import Page
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.uploads.gemini import FileUpload, digest_of, extent, opened_file, some_of
from gemtune.resources.uploads.held import held
from gemtune.resources.uploads.sending import OnProgress, UploadProgress
from gemtune.types.files import File
from gemtune.wholefile import whole_file

FileName = str | File
"""``files/{id}``, the bare id, or a File."""

IN_MEMORY: Final = 64 * 2**20
"""The most bytes that ``download`` returns; larger files need a path."""
_LONGEST_NAME: Final = 512
_OCTETS: Final = "application/octet-stream"
_JSONL: Final = "application/jsonl"

_log = logging.getLogger("gemtune.files")


@attrs.frozen(eq=False)
class Files:
    """Files of the Gemini API: upload, get, list, delete, download."""

    _caller: Caller

    async def upload(
        self,
        file: str | os.PathLike[str] | bytes | IO[bytes],
        *,
        display_name: str | None = None,
        mime_type: str | None = None,
        name: str | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> File:
        """Upload a file, in pieces and in constant memory; whatever breaks, one call leaves at most one file.

        Args:
            file: A path, bytes, or a file that is open for reading bytes; an open one is read from where it stands.
            display_name: What people call it, at most 512 characters; by default the name of the path.
            mime_type: The type of its content; by default what its suffix says.
            name: Your own name for it, ``files/{id}`` with at most 40 characters a-z, 0-9 and ``-``.
            on_progress: Called with the bytes that have arrived and those of the whole file.
            timeout: Seconds for all of it; None for no end but those of the requests.
            retry: Another retry policy.

        Returns:
            The file as the service shows it. It is deleted 48 hours later.

        Raises:
            InvalidInput: An argument is wrong, or the file is empty or larger than 2 GB.
            AlreadyExists: Your own name is taken by another file.
            MalformedResponse: The service has other bytes than were sent; the file was deleted.
            CallError: It could not be uploaded.
            OSError: The file could not be read.

        Example:
            >>> file = await client.files.upload("prompts.jsonl")  # doctest: +SKIP
        """
        chosen = _new_name() if name is None else names.new_file_name(name)
        title = _title(file) if display_name is None else _checked_title(display_name)
        given = None if mime_type is None else _checked_type(mime_type)
        limit = None if timeout is None else checks.seconds("timeout", timeout)
        with anyio.move_on_after(limit):
            async with held(partial(opened_file, file)) as opened:
                start, size = await anyio.to_thread.run_sync(extent, opened)
                kind = await anyio.to_thread.run_sync(_type_of, given, title)
                place = partial(self.place, opened, size, chosen, start=start, display_name=title, mime_type=kind)
                return await place(on_progress=on_progress, retry=retry)
        raise DeadlineExceeded(f"the upload did not end within {limit:g} s", resource=chosen, failure=Failure.AMBIGUOUS)

    async def place(
        self,
        file: IO[bytes],
        size: int,
        name: str,
        *,
        start: int = 0,
        display_name: str,
        mime_type: str,
        on_progress: OnProgress | None,
        retry: RetryPolicy | None,
    ) -> File:
        """Upload so many bytes of an open file under a name that was checked."""
        if not 0 < size <= MAX_BYTES:
            what = "is empty" if size < 1 else f"has {size:,} bytes, and the service takes {MAX_BYTES:,}"
            raise InvalidInput(f"file: {display_name or name} {what}", field="file")
        sha256 = await anyio.to_thread.run_sync(digest_of, file, start, size)
        new = NewFile(name=name, display_name=display_name, mime_type=mime_type, size=size)
        upload = FileUpload(self._caller, new, partial(some_of, file, start, size, display_name), sha256, retry)
        return await upload.run(UploadProgress(name, size, on_progress, _log))

    async def get(self, name: FileName, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> File:
        """Return a file as it is now.

        Args:
            name: ``files/{id}``, or a File.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        return await self._caller.call(protocol.get_file(names.file_name(name)), timeout=timeout, retry=retry)

    def list(
        self, *, page_size: int | None = None, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Pager[File]:
        """Return your project's files as a pager: ``async for file in client.files.list()``.

        Args:
            page_size: Files on a page; by default 10, at most 100.
            timeout: Seconds for each page.
            retry: Another retry policy for each page.
        """
        protocol.list_files(page_size=page_size)  # a bad argument fails here, not later

        async def fetch(token: str | None) -> Page[File]:
            call = protocol.list_files(page_size=page_size, page_token=token)
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pager(fetch)

    async def delete(self, name: FileName, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> None:
        """Delete a file.

        Args:
            name: ``files/{id}``, or a File.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.

        Raises:
            NotFound: There is no such file; the service deletes each after 48 hours.
        """
        try:
            await self._caller.call(protocol.delete_file(names.file_name(name)), timeout=timeout, retry=retry)
        except NotFound as error:
            if error.attempts < 2:
                raise  # else it was there, and an earlier attempt of this call has deleted it

    @overload
    async def download(
        self, name: FileName, to: None = None, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> bytes: ...

    @overload
    async def download(
        self,
        name: FileName,
        to: str | os.PathLike[str],
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Path: ...

    async def download(
        self,
        name: FileName,
        to: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> bytes | Path:
        """Download a file that the service has made, such as the results of a batch; continued where it broke off.

        Args:
            name: ``files/{id}``, or a File.
            to: Where to write it, in constant memory: the path appears with the whole content, or not at all. Without
                it the content is returned, of at most 64 MiB.
            timeout: Seconds for all of it; None for no end but those of a silence.
            retry: Another retry policy.

        Returns:
            The content, or the path.

        Raises:
            NotSupported: The file was uploaded: the service gives back only what it has made.
            ResponseTooLarge: It has more than 64 MiB, and there is no path.
            CallError: It could not be downloaded.
            OSError: It could not be written.
        """
        call = protocol.download_file(names.file_name(name))
        try:
            if to is not None:
                return await self._to_path(call, Path(checks.file_path("to", to)), timeout, retry)
            into = io.BytesIO()
            await download(self._caller, call, into, most=IN_MEMORY, timeout=timeout, retry=retry)
            return into.getvalue()
        except (BadRequest, PermissionDenied) as error:
            raise await self._why_not(call, error) from None

    async def _to_path(self, call: Call[bytes], target: Path, timeout: float | None, retry: RetryPolicy | None) -> Path:
        async with held(partial(whole_file, target)) as into:
            await download(self._caller, call, into, most=MAX_BYTES * 64, timeout=timeout, retry=retry)
        return target

    async def _why_not(self, call: Call[bytes], error: ApiError) -> Exception:
        """Find out whether a download was refused because the file was uploaded."""
        try:
            found = await self.get(call.resource or "")
        except ApiError:
            return error
        if found.source != "UPLOADED":
            return error
        return NotSupported(
            f"{found.name} was uploaded, and the service gives back only what it has made ({error.message})",
            Remedy(
                "keep your own copy; what the service knows of the file is in ", ClientCall("files.get", found.name)
            ),
        )


def _new_name() -> str:
    return f"files/gemtune-{random.getrandbits(128):032x}"


def _title(file: object) -> str:
    name = file if isinstance(file, str | os.PathLike) else getattr(file, "name", "")
    if not isinstance(name, str | os.PathLike):
        return ""
    # A file system may hold names that are not UTF-8, and JSON may not.
    return Path(name).name.encode("utf-8", "replace").decode()[:_LONGEST_NAME]


def _checked_title(given: object) -> str:
    if not (isinstance(given, str) and len(given) <= _LONGEST_NAME):
        checks.refuse("display_name", f"a string of at most {_LONGEST_NAME} characters", given)
    return given


def _type_of(given: str | None, title: str) -> str:
    """Return the type of a file by its suffix, unless it is given; blocks, as the system has a list of types."""
    if given is not None:
        return given
    if title.lower().endswith((".jsonl", ".ndjson")):
        return _JSONL
    return mimetypes.guess_type(title)[0] or _OCTETS


def _checked_type(given: object) -> str:
    if not (isinstance(given, str) and given.isascii() and given.isprintable() and "/" in given):
        checks.refuse("mime_type", "a MIME type such as 'text/plain'", given)
    return given
