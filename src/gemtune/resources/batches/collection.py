"""``client.batches``: batches that the service runs on its side, on either service.

What is asked is written down as lines first, in a temporary file once it is more than fits into a request. So memory is
constant, and which form a batch takes is known before anything is sent.
"""

from __future__ import annotations

import hashlib
import logging
import random
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import IO, Any, Final, Generic, Protocol, TypeVar, Unpack

import anyio
import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.config import RetryPolicy
from gemtune.errors import AmbiguousOutcome, CallError, DeadlineExceeded, Failure, InvalidInput, QuotaExhausted
from gemtune.pager import Pager
from gemtune.remedy import Argument, ClientCall, Remedy
from gemtune.resources.attempts import time_left
from gemtune.resources.batches.replies import BatchReplies
from gemtune.resources.batches.service import BatchService, InlineInput, PlacedInput
from gemtune.resources.given import Framing, ModelLike, Prompts, spelled_out
from gemtune.resources.uploads.held import held
from gemtune.types import GenerateContentRequest
from gemtune.types.batches import GenerateContentBatch
from gemtune.types.files import File

BatchLike = str | GenerateContentBatch
"""``batches/{id}``, the bare id, the name of a ``batchPredictionJob``, or a GenerateContentBatch."""

_FRAME: Final = 4096
"""Bytes of a creation beside its requests."""
_PER_INLINE: Final = 20
"""Bytes that a request has more in a creation than on a line of a file."""
_INLINE_COUNT: Final = 10_000
"""More requests go into a file: their replies would come in one piece that few servers and clients can hold."""
_LOT: Final = 1 << 20

_log = logging.getLogger("gemtune.batches")

JobT_co = TypeVar("JobT_co", covariant=True)


@attrs.frozen
class Asked:
    """One request of a batch.

    Args:
        row: Its row in what was given, from 1, for messages.
        key: The key that comes back with its reply.
        request: What is asked.
        numbered: Whether the key is a number, as it was given or as the index.
    """

    row: int
    key: str
    request: GenerateContentRequest
    numbered: bool = False


class Handle(Protocol[JobT_co]):
    """Makes the handle on a batch."""

    def __call__(self, batch: str | GenerateContentBatch, *, created: bool = False, numbered: bool = False) -> JobT_co:
        """Return the handle.

        Args:
            batch: The batch, or its name.
            created: Whether it is the reply to its creation.
            numbered: Whether all its keys are numbers.
        """
        ...


class ReadRequests(Protocol):
    """Reads what a batch is to ask."""

    def __call__(self, inputs: object, model: str, framing: Mapping[str, Any]) -> AsyncGenerator[Asked, None]:
        """Return the requests, one by one.

        Raises:
            InvalidInput: A row cannot be asked.
        """
        ...


@attrs.frozen(eq=False)
class Batches(Generic[JobT_co]):
    """Batches: create, get, list, cancel, delete, results."""

    _service: BatchService
    _model_name: Callable[[object], str]
    _read: ReadRequests
    _handle: Handle[JobT_co]

    @spelled_out(Framing)
    async def create(
        self,
        model: ModelLike,
        requests: Prompts | File | str,
        *,
        display_name: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        bucket: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        **framing: Unpack[Framing],
    ) -> JobT_co:
        """Create a batch, for half the price and within a day, and return a handle on it at once.

        It is created once, whatever the network does. ``await`` the handle, or iterate over its ``results()``.

        Args:
            model: A base model or a tuned one.
            requests: What ``client.batch`` takes: prompts, requests, or (key, prompt or request). Or a file with ready
                lines: a File, ``files/...``, ``gs://...``. A key comes back with its reply; without one it is the
                row's index.
            display_name: What people call it; by default a name that nobody else uses.
            priority: Its priority among the batches of the project (Gemini API).
            labels: Labels for it (Vertex AI).
            bucket: The bucket for its requests and results (Vertex AI); by default the client's. Not for ready lines.
            timeout: Seconds for all of it; None for no end but those of the requests.
            retry: Another retry policy.
            framing: As for ``generate_content``, for all requests that bring none of their own.

        Raises:
            InvalidInput: An argument or a row is wrong, or there is more than one batch may hold; nothing was created.
            AmbiguousOutcome: It may or may not have been created; the message says how to find out.
            QuotaExhausted: There is no room for it now, such as for its tokens in the queue.
        """
        limit = None if timeout is None else checks.seconds("timeout", timeout)
        begun, name = anyio.current_time(), self._model_name(model)
        mark = f"gemtune-{random.getrandbits(96):024x}"
        create = partial(self._service.create, display_name=display_name, priority=priority, labels=labels, retry=retry)
        with anyio.move_on_after(limit):
            ready = _ready(requests, framing, bucket)
            asked = (ready, False) if ready else await self._placed(requests, name, framing, mark, bucket, retry)
            begin = partial(create, name, asked[0], mark, timeout=time_left(limit, begun))
            batch = await (begin() if ready else self._or_discarded(begin, asked[0]))
            return self._handle(batch, created=True, numbered=asked[1])
        raise _late(name, timeout)

    def job(self, name: BatchLike) -> JobT_co:
        """Return a handle on a batch, including one that another process created; no request is made.

        Args:
            name: The batch.
        """
        return self._handle(self._service.batch_name(name))

    async def get(
        self, name: BatchLike, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> GenerateContentBatch:
        """Return a batch as it is now.

        Args:
            name: The batch.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        return await self._service.get(self._service.batch_name(name), timeout=timeout, retry=retry)

    def list(
        self, *, page_size: int | None = None, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Pager[GenerateContentBatch]:
        """Return your project's batches as a pager, without their replies.

        Args:
            page_size: Batches on a page.
            timeout: Seconds for each page.
            retry: Another retry policy for each page.
        """
        return self._service.list(page_size=page_size, timeout=timeout, retry=retry).list()

    async def cancel(self, name: BatchLike) -> None:
        """Ask the service to end a batch. What is finished is kept; a batch that has ended is left as it is."""
        await self._service.cancel(self._service.batch_name(name))

    async def delete(self, name: BatchLike) -> None:
        """Remove a batch from the list; one that runs is ended."""
        await self._service.delete(self._service.batch_name(name))

    def results(self, name: BatchLike, *, retry: RetryPolicy | None = None) -> BatchReplies:
        """Return what became of each request of a batch that has ended: ``async for reply in batches.results(name)``.

        They come in any order; ``reply.key`` says which request a reply belongs to. They are downloaded to a temporary
        file first, so that memory is constant and a slow loop keeps no connection waiting.

        Args:
            name: The batch.
            retry: Another retry policy for the download.

        Raises:
            NotFound: While iterating: the batch has no results, because it has not ended or has failed as a whole.
            CallError: While iterating: they could not be downloaded.
        """
        return BatchReplies(self._service, self._service.batch_name(name), retry)

    async def _placed(
        self,
        requests: object,
        model: str,
        framing: Mapping[str, Any],
        mark: str,
        bucket: str | None,
        retry: RetryPolicy | None,
    ) -> tuple[PlacedInput | InlineInput, bool]:
        """Write down what is asked, and bring it to the service; return where it is, and if all keys are numbers."""
        async with held(tempfile.TemporaryFile) as file:
            spool = _Spool(self._service, model, file)
            async with aclosing(self._read(requests, model, framing)) as each:
                async for asked in each:
                    await spool.add(asked)
            await spool.flush()
            if spool.count == 0:
                raise InvalidInput("requests: there are none", field="requests")
            if spool.inline and bucket is None:
                return InlineInput(await anyio.to_thread.run_sync(spool.all), spool.count), spool.numbered
            _log.info("uploading %s requests in %s bytes", f"{spool.count:,}", f"{spool.size:,}")
            placed = await self._service.place(file, spool.size, mark, bucket=bucket, retry=retry)
            return placed, spool.numbered

    async def _or_discarded(
        self, begin: Callable[[], Awaitable[GenerateContentBatch]], placed: PlacedInput | InlineInput
    ) -> GenerateContentBatch:
        """Create a batch; if it surely does not exist, nobody else needs its input, which counts for two days."""
        try:
            return await begin()
        except (InvalidInput, CallError) as error:
            if isinstance(placed, PlacedInput) and _surely_refused(error):
                with suppress(CallError):
                    await self._service.discard(placed)
            raise


@attrs.define(eq=False)
class _Spool:
    """The lines of a batch, counted while they are written down.

    Args:
        service: Says how a line is written, and how much one batch may hold.
        model: The model that is asked.
        file: The lines.
        count: How many there are so far.
        size: Their bytes.
        numbered: Whether all keys are numbers.
    """

    service: BatchService
    model: str
    file: IO[bytes]
    count: int = attrs.field(default=0, init=False)
    size: int = attrs.field(default=0, init=False)
    numbered: bool = attrs.field(default=True, init=False)
    _lot: list[bytes] = attrs.field(factory=list, init=False)
    _waiting: int = attrs.field(default=0, init=False)
    _keys: set[bytes] = attrs.field(factory=set, init=False)

    @property
    def inline(self) -> bool:
        """Whether they may come with the creation."""
        whole = self.size + _PER_INLINE * self.count + _FRAME
        return self.count <= _INLINE_COUNT and whole < self.service.limits.inline_bytes

    async def add(self, asked: Asked) -> None:
        """Write down one request.

        Raises:
            InvalidInput: The service cannot take it, its key was used before, or there are too many.
        """
        digest = hashlib.blake2b(asked.key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if digest in self._keys:
            raise InvalidInput(
                f"requests: row {asked.row}: the key {asked.key!r} was used before: give each row its own",
                field="requests",
                row=asked.row,
            )
        self._keys.add(digest)
        try:
            line = self.service.input_line(asked.key, self.model, asked.request)
        except InvalidInput as error:
            what = f"requests: row {asked.row}: {error.message}"
            raise InvalidInput(what, *error.remedies, field=error.field, row=asked.row) from None
        self._lot.append(line)
        self.numbered = self.numbered and asked.numbered
        self.count += 1
        self.size += len(line)
        self._waiting += len(line)
        most = self.service.limits
        if self.count > most.requests or self.size > most.bytes:
            raise InvalidInput(
                f"requests: there are more than the {most.requests:,} requests or {most.bytes:,} bytes of one batch",
                Remedy("make several batches"),
                field="requests",
            )
        if self._waiting >= _LOT:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits, in a thread."""
        lot, self._lot, self._waiting = self._lot, [], 0
        if lot:
            await anyio.to_thread.run_sync(self.file.writelines, lot)

    def all(self) -> bytes:
        """Return the lines; blocks."""
        self.file.seek(0)
        return self.file.read()


def _surely_refused(error: InvalidInput | CallError) -> bool:
    # Of an outage there is no answer, and the next request would not get one either.
    if isinstance(error, InvalidInput | QuotaExhausted):
        return True
    return error.failure is Failure.FATAL and not isinstance(error, AmbiguousOutcome)


def _ready(requests: object, framing: Mapping[str, Any], bucket: str | None) -> PlacedInput | None:
    """Return what is placed already, a file of ready lines; None for all else.

    Raises:
        InvalidInput: There is framing, which could not be added to the lines, or a bucket, to which they do not go.
    """
    address = requests.name if isinstance(requests, File) else requests
    if not isinstance(address, str) or not address.startswith(("files/", "gs://")):
        return None
    if framing:
        given = next(iter(framing))
        raise InvalidInput(
            f"{given} frames requests that are given here, and the lines of a file are ready",
            Remedy("write it into each line, and leave out ", Argument(given)),
            field=given,
        )
    if bucket is not None:
        what = f"bucket is where requests are uploaded, and {address} is where it is"
        raise InvalidInput(what, Remedy("leave out ", Argument("bucket")), field="bucket")
    return PlacedInput(address)


def _late(model: str, timeout: float | None) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"the batch on {model} was not created within {timeout:g} s",
        Remedy("look whether it is in ", ClientCall("batches.list")),
        resource=model,
        failure=Failure.AMBIGUOUS,
    )
