"""BatchService: what a service must be able to do with batches, for whoever holds, follows or fills one.

A batch is made in two steps that an engine has to record one by one: its requests are placed where the service reads
them, and the batch is created. Creation is not idempotent. What finds a batch again whose creation was in doubt is its
*mark*: a string that nobody else uses, which the service shows in every list (the display name on the Gemini API, a
label on Vertex AI).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Protocol

import attrs

from gemtune.config import RetryPolicy
from gemtune.pager import Pages
from gemtune.types import GenerateContentRequest
from gemtune.types.batches import BatchReply, GenerateContentBatch


@attrs.frozen(kw_only=True)
class BatchLimits:
    """How much one batch may hold, and how many there may be.

    Args:
        requests: The most requests of one batch.
        bytes: The most bytes of its input.
        jobs: The most batches at a time; None if the service has no such limit.
        inline_bytes: The most bytes of requests that may come with the creation; 0 if none may.
        hours: After how many hours the service gives a batch up.
    """

    requests: int
    bytes: int
    jobs: int | None
    inline_bytes: int
    hours: int


@attrs.frozen
class PlacedInput:
    """The requests of a batch, where the service reads them.

    Args:
        address: ``files/{id}`` or ``gs://...``.
    """

    address: str


@attrs.frozen
class InlineInput:
    """The requests of a batch that come with its creation: lines as ``input_line`` makes them.

    Args:
        lines: They, one after the other; less than ``BatchLimits.inline_bytes`` in all.
        count: How many there are.
    """

    lines: bytes = attrs.field(repr=False)
    count: int


class BatchService(Protocol):
    """Batches of one service."""

    @property
    def limits(self) -> BatchLimits:
        """How much one batch may hold."""
        ...

    def batch_name(self, given: object) -> str:
        """Return the name of a batch.

        Raises:
            InvalidInput: It names no batch of this service.
        """
        ...

    def is_batch(self, name: str) -> bool:
        """Return whether a name is that of a batch of this service."""
        ...

    def input_line(self, key: str, model: str, request: GenerateContentRequest) -> bytes:
        """Return one line of an input file, with its line end.

        Args:
            key: Comes back with the result: 1 to 63 characters of a-z, 0-9, ``-`` and ``_``.
            model: The model that the batch asks.
            request: The request.

        Raises:
            InvalidInput: The request holds what a batch of this service cannot.
        """
        ...

    def read_line(self, line: bytes) -> BatchReply:
        """Return what a line of the results says; a line that cannot be read is a reply with an error and no key."""
        ...

    async def place(
        self, file: IO[bytes], size: int, name: str, *, bucket: str | None = None, retry: RetryPolicy | None = None
    ) -> PlacedInput:
        """Upload an input file, in constant memory and once: under a name that has this content already it is there.

        Args:
            file: The lines, open for reading; read in a worker thread.
            size: Its bytes.
            name: A name that nobody else uses, such as the batch's mark: 1 to 63 characters of a-z, 0-9, ``-``, ``_``.
            bucket: Another bucket than the client's (Vertex AI).
            retry: Another retry policy.

        Raises:
            InvalidInput: The service has no such argument, or needs one that is missing.
            CallError: It could not be uploaded.
        """
        ...

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
        """Create a batch once: after a failure that leaves open whether it exists, it is looked for by its mark.

        Args:
            model: The model's name.
            placed: Where its requests are, or they themselves if there is room for them.
            mark: A string of 1 to 63 characters of a-z, 0-9, ``-`` and ``_`` that nobody else uses.
            display_name: What people call it; by default the mark.
            priority: Its priority among the batches of the project (Gemini API).
            labels: Labels for it (Vertex AI).
            timeout: Seconds for all of it.
            retry: Another retry policy.

        Raises:
            AmbiguousOutcome: It could not be found out whether it exists.
            QuotaExhausted: There is no room for it now, such as for its tokens in the queue.
            CallError: It was not created.
        """
        ...

    async def find(self, mark: str) -> GenerateContentBatch | None:
        """Return the batch with a mark; None only if there is surely none.

        On the Gemini API the mark is the display name, or the name under which its input was placed.
        """
        ...

    async def get(
        self, name: str, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> GenerateContentBatch:
        """Look at a batch."""
        ...

    def list(
        self, *, page_size: int | None = None, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Pages[GenerateContentBatch]:
        """Return the pages of the list of batches, without their replies."""
        ...

    async def cancel(self, name: str) -> None:
        """Ask the service to end a batch; what is finished is kept. One that has ended is left as it is."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a batch from the list; one that runs is ended."""
        ...

    async def fetch(self, batch: GenerateContentBatch, into: IO[bytes], *, retry: RetryPolicy | None = None) -> int:
        """Download the results of a batch that has ended, as they are, line by line; resumed if the line breaks.

        Args:
            batch: The batch, as ``get`` brought it.
            into: Where to write them, empty and open for reading and writing; written in a worker thread.
            retry: Another retry policy.

        Returns:
            The bytes; 0 if there are no results. Inline replies are written as the lines that a file would have.
        """
        ...

    async def discard(self, placed: PlacedInput) -> None:
        """Delete an input file that is not needed any more, if the service would not do so by itself soon."""
        ...
