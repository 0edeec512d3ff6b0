"""The results of a batch on Vertex AI, which lie in a folder of Cloud Storage, as one file."""

from __future__ import annotations

import re
import shutil
import tempfile
from typing import IO, Final

import anyio.to_thread

from gemtune.config import RetryPolicy
from gemtune.datasets.upload.crc32c import Crc32c
from gemtune.errors import MalformedResponse
from gemtune.http.caller import Caller
from gemtune.http.download import download
from gemtune.pager import Pages
from gemtune.protocol import storage
from gemtune.protocol.gemini import Page
from gemtune.protocol.storage import CloudObject

_PREDICTIONS: Final = re.compile(r"(?:.*/)?predictions[^/]*\.jsonl")
_BLOCK: Final = 1 << 20


async def fetch_folder(caller: Caller, folder: str, into: IO[bytes], retry: RetryPolicy | None) -> int:
    """Write every file of predictions in a folder into one file, in constant memory; return the bytes.

    Args:
        caller: Carries out the calls.
        folder: Its ``gs://`` address.
        into: The file, empty; it is written in a thread.
        retry: Another retry policy.

    Raises:
        MalformedResponse: What arrived is not what the service has.
        CallError: Something could not be downloaded.
    """
    bucket, _, path = folder.removeprefix("gs://").rstrip("/").partition("/")
    prefix = f"{path}/"

    async def page(token: str | None) -> Page[CloudObject]:
        return await caller.call(storage.list_objects(bucket, prefix, page_token=token), retry=retry)

    found = {
        each.name: each
        async for every in Pages(page)
        for each in every
        if _PREDICTIONS.fullmatch(each.name.removeprefix(prefix)) and each.size
    }
    if len(found) == 1:
        (only,) = found.values()
        return await _fetch(caller, only, into, retry)
    written = 0
    for _, each in sorted(found.items()):
        with tempfile.TemporaryFile() as part:
            await _fetch(caller, each, part, retry)
            written += await anyio.to_thread.run_sync(_append, part, into)
    return written


async def _fetch(caller: Caller, found: CloudObject, into: IO[bytes], retry: RetryPolicy | None) -> int:
    size = await download(caller, storage.read_object(found), into, size=found.size, retry=retry)
    if found.crc32c and (arrived := await anyio.to_thread.run_sync(_crc32c, into)) != found.crc32c:
        what = f"{found.uri} arrived with CRC-32C {arrived}, and it should be {found.crc32c}"
        raise MalformedResponse(f"{what}: try again", resource=found.uri)
    return size


def _crc32c(file: IO[bytes]) -> str:
    checksum = Crc32c()
    file.seek(0)
    while data := file.read(_BLOCK):
        checksum.update(data)
    return str(checksum)


def _append(part: IO[bytes], into: IO[bytes]) -> int:
    """Copy a file to the end of another, whose last line it ends."""
    begun = into.seek(0, 2)
    part.seek(0)
    shutil.copyfileobj(part, into, _BLOCK)
    if into.tell() > begun:
        part.seek(-1, 2)
        if part.read(1) != b"\n":
            into.write(b"\n")
    return into.tell() - begun
