"""Batches of the Gemini API, each created once.

The service knows no idempotency key, and chooses the names of batches itself. So what finds a batch again whose
creation was in doubt is what every list shows of it:

- Its input file, if that was uploaded for it: the name is made of the mark and belongs to this batch alone.
- The display name, if nobody chose another: it is the mark then.
- If somebody did, name, model, input, number of requests and time together (``creating``).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Final

import anyio.to_thread
import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import BadRequest, Conflict, InvalidInput, NotFound, PermissionDenied, ResponseTooLarge
from gemtune.http.caller import Caller
from gemtune.http.download import download
from gemtune.pager import Pages
from gemtune.protocol import names
from gemtune.protocol.batches import gemini
from gemtune.protocol.batches.inline import inline_lines
from gemtune.protocol.files import MAX_BYTES, download_file
from gemtune.protocol.gemini import Page
from gemtune.remedy import Argument, Remedy
from gemtune.resources.batches.creating import BatchCreation, BatchSearch
from gemtune.resources.batches.files import Files
from gemtune.resources.batches.late import when_there
from gemtune.resources.batches.service import BatchLimits, InlineInput, PlacedInput
from gemtune.resources.uploads.held import held
from gemtune.resources.vertex.labels import keep_oldest
from gemtune.types import GenerateContentRequest
from gemtune.types.batches import GenerateContentBatch

_JSONL: Final = "application/jsonl"


@attrs.frozen(eq=False)
class GeminiBatches:
    """``BatchService`` of the Gemini API.

    Args:
        caller: Carries out the calls.
    """

    _caller: Caller

    limits = BatchLimits(requests=2**31, bytes=MAX_BYTES, jobs=100, inline_bytes=gemini.INLINE_BYTES, hours=48)
    is_batch = staticmethod(names.is_batch)
    read_line = staticmethod(gemini.read_line)

    def batch_name(self, given: object) -> str:
        """Return ``batches/{id}``."""
        return names.batch_name(given)

    def input_line(self, key: str, model: str, request: GenerateContentRequest) -> bytes:  # noqa: ARG002
        """Return one line of an input file; the model stands in the address of the creation."""
        return gemini.input_line(key, request)

    async def place(
        self, file: IO[bytes], size: int, name: str, *, bucket: str | None = None, retry: RetryPolicy | None = None
    ) -> PlacedInput:
        """Upload an input file, under a name that is made of the one that is given."""
        _only_vertex("bucket", bucket)
        placed = await Files(self._caller).place(
            file, size, _file_of(name), display_name=name, mime_type=_JSONL, on_progress=None, retry=retry
        )
        return PlacedInput(placed.name)

    async def create(
        self,
        model: str,
        placed: PlacedInput | InlineInput,
        mark: str,
        *,
        display_name: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> GenerateContentBatch:
        """Create a batch once; see the head of this module."""
        _only_vertex("labels", labels)
        name = mark if display_name is None else display_name
        own = isinstance(placed, PlacedInput) and placed.address == _file_of(mark)
        creation = BatchCreation(self.list, self.cancel, model, placed, name, given=display_name is not None, own=own)
        return await creation.run(self._caller, priority, timeout, retry)

    async def find(self, mark: str) -> GenerateContentBatch | None:
        """Return the batch with a mark, or whose input was placed under it; of several the oldest stays."""
        address = _file_of(mark)
        search = BatchSearch(self.list, lambda batch: batch.display_name == mark or batch.input == address)
        found = await search.certain(None)
        return await keep_oldest(found, lambda batch: batch.done, self.cancel) if found else None

    async def get(
        self, name: str, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> GenerateContentBatch:
        """Look at a batch, without its replies if they are larger than any reply may be."""
        try:
            return await self._caller.call(gemini.get_batch(name), timeout=timeout, retry=retry)
        except ResponseTooLarge:
            return await self._caller.call(gemini.get_batch(name, light=True), timeout=timeout, retry=retry)

    def list(
        self, *, page_size: int | None = None, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Pages[GenerateContentBatch]:
        """Return the pages of the list of batches."""
        gemini.list_batches(page_size=page_size)  # a bad argument fails here, not later

        async def fetch(token: str | None) -> Page[GenerateContentBatch]:
            call = gemini.list_batches(page_size=page_size, page_token=token)
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pages(fetch)

    async def cancel(self, name: str) -> None:
        """Ask the service to end a batch; one that has ended is left as it is."""
        try:
            await self._caller.call(gemini.cancel_batch(name))
        except (BadRequest, Conflict):
            if not (await self.get(name)).done:
                raise

    async def delete(self, name: str) -> None:
        """Remove a batch from the list."""
        try:
            await self._caller.call(gemini.delete_batch(name))
        except NotFound as error:
            if error.attempts < 2:
                raise  # else it was there, and an earlier attempt of this call has deleted it

    async def fetch(self, batch: GenerateContentBatch, into: IO[bytes], *, retry: RetryPolicy | None = None) -> int:
        """Download the results of a batch; a batch that has ended may have them a while later."""
        return await when_there(batch, lambda found: self._fetched(found, into, retry), partial(self.get, retry=retry))

    async def _fetched(self, batch: GenerateContentBatch, into: IO[bytes], retry: RetryPolicy | None) -> int:
        if batch.output:
            try:
                return await download(self._caller, download_file(batch.output), into, retry=retry)
            except PermissionDenied as error:
                if "may not exist" not in error.message:
                    raise
                # The service answers so for a file that is gone: it has just shown the batch to the same credential.
                raise NotFound(
                    f"the results of {batch.name} are gone: {batch.output} is kept for 48 hours only",
                    status=error.status,
                    resource=batch.output,
                ) from error
        if batch.input:
            return 0
        # The reply to ``get`` holds all replies, and may be larger than memory.
        async with held(tempfile.TemporaryFile) as whole:
            await download(self._caller, gemini.get_batch(batch.name), whole, retry=retry)
            return await anyio.to_thread.run_sync(inline_lines, whole, into)

    async def discard(self, placed: PlacedInput) -> None:
        """Delete an input file; the service would do so within two days."""
        with suppress(NotFound):
            await Files(self._caller).delete(placed.address)


def _only_vertex(name: str, value: object) -> None:
    if value is not None:
        tells = Remedy("use Vertex AI, with ", Argument("vertexai", True))
        raise InvalidInput(f"{name} is an argument of Vertex AI", Remedy("leave it out"), tells, field=name)


def _file_of(mark: str) -> str:
    """Return the name of the file with the input of a batch: the mark, or a digest if the service would refuse it."""
    try:
        return names.new_file_name(mark)
    except InvalidInput:
        return f"files/gemtune-{hashlib.sha256(mark.encode()).hexdigest()[:32]}"
