"""The answer side of a run: one item, asked until there is an outcome.

A failure that says nothing about the item itself (429, 5xx, a connection that broke) does not fail it. The item gives
its permit back, is parked, and stands in the limiter's line again, so that an outage of an hour costs an hour and no
item. Only what the limiter calls a failure of the item, or the item's own deadline, becomes its result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import anyio
import attrs

from gemtune.batch.acceptance import Acceptance, ending_of
from gemtune.batch.inputs import Item
from gemtune.batch.observer import RunWatch
from gemtune.batch.patience import GeneratesContent
from gemtune.batch.progress import RunTally
from gemtune.batch.report import Stop
from gemtune.batch.result import BatchResult
from gemtune.config import ONCE
from gemtune.errors import CallError, DeadlineExceeded, Failure, GemtuneError, InvalidInput
from gemtune.limiter.limiter import Limiter, Permit
from gemtune.limiter.ruling import Ruling
from gemtune.loops import current_time
from gemtune.types import GenerateContentResponse

_CLOSE: Final = 0.001
"""Seconds by which clocks and timers may differ."""


@attrs.define(eq=False, kw_only=True)
class Answering:
    """Asks for items.

    Args:
        client: The client to ask through.
        model: The model's name.
        shared: Arguments of ``generate_content`` for all items.
        limiter: Says when an item that was parked may be asked again.
        tally: Where attempts are counted.
        stop: What ends the run; set here if nothing more can succeed.
        acceptance: What is taken for an answer.
        max_failures: With how many failures the caller wants the run to continue, if that was said.
        item_timeout: Seconds for one item with all its attempts and waits, or infinite.
        watch: Is told which item is asked, if the client is observed.
    """

    client: GeneratesContent
    model: str
    shared: Mapping[str, Any]
    limiter: Limiter
    tally: RunTally
    stop: Stop
    acceptance: Acceptance
    max_failures: float | None = None
    item_timeout: float = math.inf
    watch: RunWatch | None = None

    async def answer(self, item: Item, permit: Permit) -> BatchResult | None:
        """Ask until there is an outcome; return None if the run stops before."""
        # The permit's own clock: the time at which it was granted, and not the later one at which this task runs.
        begun = permit.sent_at
        deadline = begun + self.item_timeout
        failures = 0
        while True:
            sent = permit.sent_at
            response, error, verdict = await self._attempt(item, permit, failures, deadline - sent)
            # Whoever has said how many items may fail has thought of items that all fail alike.
            if verdict is None or verdict.action == "fail" or (verdict.guessed and self.max_failures is not None):
                break
            if verdict.action == "stop":
                self.stop.begin(error, item, verdict)
            if self.stop.begun:
                return None
            # Only failures that may be the item's own fault count (a 500, say). A 429 or an outage never uses it up.
            failures += verdict.counted
            again = await self._parked(item, verdict, deadline)
            if again is None:
                if self.stop.begun:
                    return None
                error = _late(self.item_timeout, error)
                break
            permit = again
        # The client has made one attempt in its last call. Its user counts those of the item.
        if isinstance(error, CallError):
            error.attempts = item.attempts
        now = current_time()
        return BatchResult(
            key=item.name,
            index=item.index,
            response=response,
            error=error,
            attempts=item.attempts,
            seconds=now - begun,
            latency=now - sent,
        )

    async def _attempt(
        self, item: Item, permit: Permit, failures: int, left: float
    ) -> tuple[GenerateContentResponse | None, GemtuneError | None, Ruling | None]:
        """Ask once, and return the permit with what came of it."""
        limit = None if left == math.inf else max(left, 0.001)
        self._count(item, 1)
        try:
            contents, options = item.asked(self.shared)
            # The client repeats nothing: between two attempts an item stands in the limiter's line without a permit.
            response = await self.client.generate_content(self.model, contents, timeout=limit, retry=ONCE, **options)
        except CallError as error:
            if not error.attempts:  # nothing has left: no credential, or no connection
                self._count(item, -1)
            if isinstance(error, DeadlineExceeded) and current_time() >= permit.sent_at + left - _CLOSE:
                permit.cancelled()  # our own deadline says nothing about the service
                return None, _late(self.item_timeout, error), None
            return None, error, permit.failed(error, failures)
        except GemtuneError as error:
            permit.unsent()
            self._count(item, -1)
            # A closed client or a credential that is wrong fails every item: that ends the run, and fails none.
            if not isinstance(error, InvalidInput):
                raise
            return None, item.refused(error), None
        except BaseException:
            # Cancelled, or broken: nobody knows whether it was counted by the service, so its quota counts as used.
            permit.cancelled()
            raise
        else:
            usage = response.usage_metadata
            # 0 is what a service without figures sends, and no prompt has none: it would ruin the limiter's estimate.
            tokens = (usage.prompt_token_count if usage is not None else 0) or None
            permit.success(tokens)
            return self._judged(item, permit, failures, response, contents, options)
        finally:
            self.tally.in_flight -= 1

    def _judged(
        self,
        item: Item,
        permit: Permit,
        failures: int,
        response: GenerateContentResponse,
        contents: object,
        options: Mapping[str, Any],
    ) -> tuple[GenerateContentResponse | None, GemtuneError | None, Ruling | None]:
        """Return a reply as an answer, or why it is none and what is to become of its item."""
        ending = ending_of(response)
        try:
            refusal = self.acceptance.refusal(response, ending)
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            # Nobody knows whether it is an answer. It was paid for, so it is kept, and the next run judges it.
            self.stop.begin(error, item)
            refusal = None
        if refusal is None:
            self.tally.ended(ending, self.acceptance.lacks(response, ending, contents, options))
            return response, None, None
        verdict = permit.unaccepted(failures)
        # The service looks at a prompt before the model does: it would be blocked again.
        again = verdict if response.candidates or not ending else None
        if self.acceptance.settles(response) and (again is None or again.action == "fail"):
            self.tally.ended(ending, without_answer=True)
            return response, None, None
        self.tally.paid(response.usage_metadata)
        return None, refusal, again

    def _count(self, item: Item, requests: int) -> None:
        item.attempts += requests
        self.tally.requests += requests
        if self.watch is not None and requests > 0:
            self.watch.asks(item.index, item.attempts)

    async def _parked(self, item: Item, verdict: Ruling, deadline: float) -> Permit | None:
        """Wait in the limiter's line again; return None if the item's time runs out, or the run stops."""
        if current_time() >= deadline:
            return None
        self.tally.parked += 1
        try:
            with anyio.move_on_at(deadline):
                if verdict.delay:  # of this item alone; what the service asks of all is the limiter's to wait for
                    await anyio.sleep(verdict.delay)
                permit = await self.limiter.acquire(self.limiter.estimate(item.size), again=True)
                if not self.stop.begun:
                    self.tally.in_flight += 1
                    return permit
                permit.unsent()
        finally:
            self.tally.parked -= 1
        return None


def _late(seconds: float, last: GemtuneError | None) -> DeadlineExceeded:
    met = f"; the last attempt met: {last.message}" if last is not None else ""
    return DeadlineExceeded(f"the item was not answered within {seconds:g} s{met}", failure=Failure.AMBIGUOUS)
