"""One file into Cloud Storage: one object for one content, however often it is tried.

The name of an object is made of the SHA-256 of its content, and it is written only if there is none of that name. So
nothing has to be remembered to upload exactly once: whoever finds the name taken, in an earlier run, after a lost reply
or beside another process, has found the same content. Size and CRC-32C are compared all the same.

Up to 8 MiB are one request. Larger files are sent in pieces, of which one is in memory at a time. After a failure a
piece is not sent again before the service has said how much of the file it has. What a cancelled or failed upload
leaves behind is an unfinished session, which is no object and which the service forgets after a week.

``tests/proofs/uploads.md`` lists every fault at every step and what becomes of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import anyio.to_thread
import attrs

from gemtune.config import RetryPolicy
from gemtune.datasets.upload.spool import Spooled
from gemtune.errors import AlreadyExists, CallError, MalformedResponse, NotFound, PermissionDenied, Unavailable
from gemtune.http.caller import Caller, TimeLimit
from gemtune.protocol import storage
from gemtune.protocol.call import Call
from gemtune.protocol.storage import Arrived, CloudObject, UploadSession
from gemtune.remedy import Argument, Remedy

OnProgress = Callable[[int, int], object]
"""Is called with the bytes that have arrived and those of the whole file."""

WHOLE: Final = 8 * 2**20
"""Up to so many bytes a file is sent in one request."""
PIECE: Final = 64 * storage.PIECE
"""16 MiB: of a gigabyte these are 64 requests, each of them sent again after a failure."""
_SESSIONS: Final = 3
"""How often an upload is begun if the service forgets it."""
_STALLS: Final = 5
"""How often in a row a piece may be answered with no byte more having arrived."""
_GONE: Final = frozenset({404, 410})

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
    """

    caller: Caller
    spooled: Spooled
    bucket: str
    on_progress: OnProgress | None
    retry: RetryPolicy | None
    wanted: CloudObject = attrs.field(init=False)
    _said: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        name = f"gemtune/{self.spooled.sha256[:32]}.jsonl"
        size, crc32c = self.spooled.size, self.spooled.crc32c
        self.wanted = CloudObject(bucket=self.bucket, name=name, size=size, crc32c=crc32c)

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
        self._progress(wanted.size)
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
        for sessions in range(1, _SESSIONS + 1):
            session = await self.caller.call(storage.begin_upload(self.wanted), retry=self.retry)
            if session is None:
                return None
            try:
                made = await self._send(session)
            except CallError as error:
                if error.status not in _GONE:
                    raise
                _log.warning("%s: the upload is not known any more (attempt %d)", self.wanted.uri, sessions)
            else:
                return made if made.generation else None
        raise Unavailable(f"{self.wanted.uri}: the service has forgotten the upload {_SESSIONS} times")

    async def _send(self, session: UploadSession) -> CloudObject:
        """Send the pieces, each from where the service says that it has arrived."""
        arrived = stalls = 0
        while stalls < _STALLS:
            data = await self._read(arrived, PIECE)
            call = storage.put_piece(session, self.wanted, arrived, data)
            piece = Piece(self.caller, session, self.wanted, arrived)
            answer = await self.caller.repeat(call, piece.attempt, timeout=None, retry=self.retry)
            if not isinstance(answer, Arrived):
                return answer
            stalls = stalls + 1 if answer.count <= arrived else 0
            arrived = answer.count
            self._progress(arrived)
        raise Unavailable(
            f"{self.wanted.uri}: {arrived:,} of {self.wanted.size:,} bytes have arrived, and no more do",
            resource=self.wanted.uri,
        )

    async def _read(self, start: int, count: int) -> bytes:
        return await anyio.to_thread.run_sync(self.spooled.read, start, count)

    def _progress(self, arrived: int) -> None:
        size, before, self._said = self.wanted.size, self._said, arrived
        if self.on_progress is not None and arrived != before:
            self.on_progress(arrived, size)
        if 10 * arrived // size > 10 * before // size:
            _log.info("%s: %d %% uploaded", self.wanted.uri, 100 * arrived // size)


@attrs.define(eq=False)
class Piece:
    """The attempts to send one piece: after a failure the service is asked first what it has."""

    caller: Caller
    session: UploadSession
    wanted: CloudObject
    start: int
    _failed: bool = attrs.field(default=False, init=False)

    async def attempt(self, call: Call[CloudObject | Arrived], time: TimeLimit) -> CloudObject | Arrived:
        """Make one attempt."""
        if self._failed:
            state = await self.caller.attempt(storage.ask_upload(self.session, self.wanted), time)
            if state != Arrived(self.start):
                return state
        self._failed = True
        return await self.caller.attempt(call, time)
