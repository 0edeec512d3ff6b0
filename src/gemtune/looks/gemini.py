"""One look at one job: which request it takes, and what the reply tells."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from gemtune.config import RetryPolicy, WatchPolicy
from gemtune.errors import ApiError, CredentialsError, QuotaExhausted, Unavailable
from gemtune.pager import Pages
from gemtune.protocol.gemini import Page
from gemtune.story.history import History
from gemtune.story.observation import Moment, Observation, Source, observe_model, observe_operation
from gemtune.types import CreateTunedModelMetadata, TunedModel
from gemtune.watch.planner import PAGE_SIZE
from gemtune.watch.record import Record

if TYPE_CHECKING:
    from gemtune.client import Client

# The schedule is the retry of looks; one look is one request.
_ONCE: Final = RetryPolicy(attempts=1)


def moment() -> Moment:
    """Return now, by both clocks."""
    return Moment(anyio.current_time(), datetime.now(UTC))


@attrs.define(eq=False)
class Looks:
    """The requests of a watcher, all of them reads, made through the client's public methods."""

    client: Client
    policy: WatchPolicy
    requests: Counter[str] = attrs.field(factory=Counter, init=False)

    async def at(self, record: Record, history: History) -> Observation | None:
        """Look at a job.

        Args:
            record: The job.
            history: Its history.

        Returns:
            What was seen; None if only the operation's name was to be found, and there is none.

        Raises:
            CallError: The look failed.
            CredentialsError: There is no credential.
        """
        timeout = self.policy.request_timeout
        if record.source is Source.OPERATION and history.operation is not None:
            self.requests["operations.get"] += 1
            operation = await self.client.operations.get(history.operation, timeout=timeout, retry=_ONCE)
            return observe_operation(operation, moment())
        if record.source is Source.OPERATION and history.seekable:
            # Only the operation knows how many steps there are, and why a job failed.
            return await self._seek(record, history)
        self.requests["tuned_models.get"] += 1
        model = await self.client.tuned_models.get(record.name, timeout=timeout, retry=_ONCE)
        return observe_model(model, moment())

    async def _seek(self, record: Record, history: History) -> Observation | None:
        """Find the operation of a job of which only the model is known; its list is a look in itself."""
        self.requests["operations.list"] += 1
        pages = self.client.operations.list(record.name, timeout=self.policy.request_timeout, retry=_ONCE).pages()
        try:
            page = await anext(pages)
        except ApiError as error:
            if isinstance(error, QuotaExhausted | Unavailable | CredentialsError):
                raise
            page = Page(())  # the model is enough to follow a job
        history.sought = True
        for operation in page:
            if isinstance(operation.metadata, CreateTunedModelMetadata):
                return observe_operation(operation, moment())
        record.source = Source.MODEL
        return None

    def pages(self, filter: str | None, fields: str | None) -> Pages[TunedModel]:
        """Return the pages of the list; nothing is asked yet."""
        return self.client.tuned_models.list(
            page_size=PAGE_SIZE, filter=filter, fields=fields, timeout=self.policy.request_timeout, retry=_ONCE
        ).pages()

    async def page(self, pages: Pages[TunedModel]) -> Page[TunedModel]:
        """Return the next page of the list.

        Raises:
            CallError: It could not be had.
            CredentialsError: There is no credential.
        """
        self.requests["tuned_models.list"] += 1
        return await anext(pages)
