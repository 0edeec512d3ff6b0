"""One file into Cloud Storage: one object for one content, however often it is tried.

The name of an object is made of the SHA-256 of its content, and it is written only if there is none of that name. So
nothing has to be remembered to upload exactly once: whoever finds the name taken, in an earlier run, after a lost reply
or beside another process, has found the same content. Size and CRC-32C are compared all the same.

Up to 8 MiB are one request. Larger files are sent in pieces (``sending``).

``tests/proofs/uploads.md`` lists every fault at every step and what becomes of it.
"""

from __future__ import annotations

import logging
from typing import Final

import anyio.to_thread
import attrs

from gemtune.config import RetryPolicy
from gemtune.datasets.upload.spool import Spooled
from gemtune.errors import AlreadyExists, MalformedResponse, NotFound, PermissionDenied
from gemtune.http.caller import Caller
from gemtune.protocol import storage
from gemtune.protocol.call import Call
from gemtune.protocol.storage import Arrived, CloudObject, UploadSession
from gemtune.remedy import Argument, Remedy
from gemtune.resources.uploads.sending import OnProgress, Sending, UploadProgress

WHOLE: Final = 8 * 2**20
"""Up to so many bytes a file is sent in one request."""
_log = logging.getLogger("gemtune.datasets")


@attrs.define(eq=False)
class Upload:
    """One upload.

    Args:
        caller: Carries out the calls.
        spooled: What to upload.
        bucket: Where.
        on_progress: Called with the progress.
        retry: Another retry policy.
        folder: Where in the bucket.
    """

    caller: Caller
    spooled: Spooled
    bucket: str
    on_progress: OnProgress | None
    retry: RetryPolicy | None
    folder: str = attrs.field(default="gemtune", kw_only=True)
    wanted: CloudObject = attrs.field(init=False)
    _progress: UploadProgress = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        name = f"{self.folder}/{self.spooled.sha256[:32]}.jsonl"
        size, crc32c = self.spooled.size, self.spooled.crc32c
        self.wanted = CloudObject(bucket=self.bucket, name=name, size=size, crc32c=crc32c)
        self._progress = UploadProgress(self.wanted.uri, size, self.on_progress, _log)

    async def run(self) -> CloudObject:
        """Upload it, unless it is there."""
        wanted = self.wanted
        found = await self._look()
        if found is not None:
            _log.info("%s is in Cloud Storage already: %s", self.spooled.report.source or "the data", wanted.uri)
            return self._same(found)
        _log.info("uploading %s bytes to %s", f"{wanted.size:,}", wanted.uri)
        try:
            made = await (self._whole() if wanted.size <= WHOLE else self._in_pieces())
        except NotFound as error:
            raise NotFound(
                f"the bucket {self.bucket} was not found ({error.message})",
                Remedy(f"create it where you tune: gcloud storage buckets create gs://{self.bucket} --location REGION"),
                status=404,
                reason=error.reason,
                resource=f"gs://{self.bucket}",
            ) from None
        if made is None:  # since the look somebody else has uploaded it, or an attempt of this call
            made = await self._look() or wanted
        elif made.crc32c and made.crc32c != wanted.crc32c:
            await self._remove(made)
        self._progress.report(wanted.size)
        return self._same(made)

    async def _look(self) -> CloudObject | None:
        try:
            found = await self.caller.call(storage.get_object(self.bucket, self.wanted.name), retry=self.retry)
        except NotFound:
            return None
        except PermissionDenied:
            return None  # who may only write finds out by writing
        return found

    def _same(self, found: CloudObject) -> CloudObject:
        wanted = self.wanted
        if found.size == wanted.size and found.crc32c in ("", wanted.crc32c):
            return found
        what = f"{wanted.uri} holds something else: {found.size:,} bytes with CRC-32C {found.crc32c or 'unknown'}"
        raise AlreadyExists(
            f"{what}, and not {wanted.size:,} with {wanted.crc32c}",
            Remedy(f"delete it with: gcloud storage rm {wanted.uri}"),
            Remedy("choose another ", Argument("bucket")),
            status=409,
            reason="ALREADY_EXISTS",
            resource=wanted.uri,
        )

    async def _remove(self, made: CloudObject) -> None:
        """Delete what has arrived and is not what was sent: this version of it, and no other."""
        await self.caller.call(storage.delete_object(made), retry=self.retry)
        what = f"{made.uri} arrived with CRC-32C {made.crc32c}, and {self.wanted.crc32c} was sent; it was deleted"
        raise MalformedResponse(f"{what}: try again", resource=made.uri)

    async def _whole(self) -> CloudObject | None:
        data = await self._read(0, WHOLE)
        return await self.caller.call(storage.insert_object(self.wanted, data), retry=self.retry)

    async def _in_pieces(self) -> CloudObject | None:
        made = await Sending(self.caller, _Steps(self.wanted), self._read, self._progress, self.retry).run()
        return made if made is not None and made.generation else None

    async def _read(self, start: int, count: int) -> bytes:
        return await anyio.to_thread.run_sync(self.spooled.read, start, count)


@attrs.frozen
class _Steps:
    """The requests of an upload in pieces."""

    wanted: CloudObject

    def begin(self) -> Call[UploadSession | None]:
        return storage.begin_upload(self.wanted)

    def put(self, session: UploadSession, start: int, data: bytes) -> Call[CloudObject | Arrived]:
        return storage.put_piece(session, self.wanted, start, data)

    def ask(self, session: UploadSession) -> Call[CloudObject | Arrived]:
        return storage.ask_upload(session, self.wanted)
