"""Jobs of Vertex AI that bear a label of ours, of whatever kind, and the search for one that may exist.

The service lets nobody choose a name and knows no idempotency key. What is ours is a label, ``gemtune-id``. The service
echoes it at once, and every list shows it.

The lists are ordered by the last change, so that jobs move between their pages while they are read: one pass that did
not meet a job proves nothing. Two passes in a row must agree, and the second must begin ``SETTLED`` seconds after the
search, because lists may lag behind. Filters are a help and no proof.

Where several jobs came to bear one label, the oldest stays and the others are cancelled. Every process decides so by
the same rule, so that they agree.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Generic, Never, Protocol, TypeVar

import anyio
import attrs

from gemtune import checks
from gemtune.config import RetryPolicy
from gemtune.errors import BadRequest, CallError, DeadlineExceeded, Failure, InvalidInput
from gemtune.http.caller import Caller
from gemtune.pager import Pages
from gemtune.protocol import vertex_names
from gemtune.protocol.call import Call
from gemtune.protocol.gemini import Page
from gemtune.remedy import Remedy
from gemtune.types.message import Json
from gemtune.types.timestamp import Timestamp

T = TypeVar("T")

_log = logging.getLogger("gemtune")

LABEL: Final = "gemtune-id"
SETTLED: Final = 10.0
"""Seconds after which a job that was created is in the list."""
_MOST_LABELS: Final = 63
"""A job may have 64, and one is ours."""


class Labelled(Protocol):
    """A job of any kind."""

    @property
    def name(self) -> str:
        """``projects/P/locations/L/.../ID``."""
        ...

    @property
    def labels(self) -> Json:
        """Its labels."""
        ...

    @property
    def create_time(self) -> Timestamp | None:
        """When it was created."""
        ...


J = TypeVar("J", bound=Labelled)


@attrs.frozen(eq=False)
class LabelSearch(Generic[J]):
    """The search for the jobs of one kind that bear one value of the label.

    Args:
        caller: Carries out the calls.
        page: Returns the call for a page of their list, from its token and a filter.
        label: The value.
    """

    caller: Caller
    page: Callable[[str | None, str | None], Call[Page[J]]]
    label: str

    async def certain(self, timeout: float | None, retry: RetryPolicy | None) -> list[J]:
        """Return the jobs with the label; none only if there is surely none.

        Raises:
            CallError: It could not be found out.
        """
        return await self._within(timeout, self._certain(retry))

    async def _certain(self, retry: RetryPolicy | None) -> list[J]:
        begun = anyio.current_time()
        found = await self.met(retry)
        if not found:
            await anyio.sleep(max(begun + SETTLED - anyio.current_time(), 0.0))
            found = await self._pass(retry)
        return found

    async def met(self, retry: RetryPolicy | None = None) -> list[J]:
        """Return the jobs with the label that one search meets, the oldest first; none is no proof that there is none.

        Args:
            retry: Another retry policy for each page.
        """
        try:
            # What is found by a filter is certain, what is not found says nothing: which fields it knows is not
            # documented for every kind of job.
            found = await self._pass(retry, filter=f'labels.{LABEL}="{self.label}"')
        except BadRequest:
            found = []
        return found or await self._pass(retry)

    async def beside(self, made: J, timeout: float | None, *, doubted: bool) -> list[J] | None:
        """Return the jobs that bear the label beside one that was created; None if that could not be found out.

        Args:
            made: The job.
            timeout: Seconds to look for others.
            doubted: Whether an earlier attempt may have created one as well.
        """
        try:
            found = await self._within(timeout, self._beside(made, doubted=doubted))
        except CallError as error:
            _log.warning("%s was created; whether it is the only one is not known: %s", made.name, error)
            return None
        return [job for job in found if job.name != made.name]

    async def _beside(self, made: J, *, doubted: bool) -> list[J]:
        found = await self._pass()
        if doubted and all(job.name == made.name for job in found):  # the list may lag behind
            await anyio.sleep(SETTLED)
            found = await self._pass()
        return found

    async def _pass(self, retry: RetryPolicy | None = None, *, filter: str | None = None) -> list[J]:
        """Return the jobs with the label that one pass through the list meets, the oldest first."""

        async def fetch(token: str | None) -> Page[J]:
            return await self.caller.call(self.page(token, filter), retry=retry)

        found: dict[str, J] = {}  # one that has moved to a later page is met twice
        async for page in Pages(fetch):
            found |= {job.name: job for job in page if job.labels.get(LABEL) == self.label}
        return sorted(found.values(), key=age)

    async def _within(self, timeout: float | None, work: Awaitable[T]) -> T:
        """Await something for so many seconds.

        Raises:
            DeadlineExceeded: It was not done in time.
        """
        with anyio.move_on_after(timeout):
            return await work
        call = self.page(None, None)
        raise DeadlineExceeded(
            f"{call.method}: the list was not searched in {timeout:g} s",
            resource=(call.resource or "").rpartition("/")[0],
            failure=Failure.AMBIGUOUS,
        )


def age(job: Labelled) -> tuple[int, str]:
    """Order jobs by their creation: the rule by which everybody picks the same one of several."""
    return job.create_time.nanoseconds if job.create_time is not None else 0, job.name.rpartition("/")[2]


async def keep_oldest(jobs: Iterable[J], is_over: Callable[[J], bool], cancel: Callable[[str], Awaitable[Any]]) -> J:
    """Return the oldest of some jobs, and cancel the others; what cannot be cancelled is logged.

    Args:
        jobs: The jobs.
        is_over: Whether a job has ended, or is being cancelled.
        cancel: Cancels a job.
    """
    first, *others = sorted(jobs, key=age)
    for job in others:
        if not is_over(job):
            _log.warning("%s was created as well as %s, and is cancelled", job.name, first.name)
            try:
                await cancel(job.name)
            except CallError as error:
                _log.warning("%s could not be cancelled: %s", job.name, error)
    return first


def check_labels(labels: object, *remedies: Remedy) -> None:
    """Refuse what cannot be the labels that somebody gives a job.

    Args:
        labels: They, or None.
        remedies: What to do for whoever wants to set ours.

    Raises:
        InvalidInput: They cannot be.
    """
    if labels is None:
        return
    if not isinstance(labels, Mapping):
        checks.refuse("labels", "a dict of words", labels)
    for key, value in labels.items():
        if not vertex_names.is_label(key) or not key or not key[0].isalpha():
            _refuse_label(f"the key {key!r}")
        if not vertex_names.is_label(value):
            _refuse_label(f"the value {value!r} of {key}")
    if LABEL in labels:
        what = f"labels: {LABEL} is how a job is found again; it is set automatically"
        raise InvalidInput(what, *remedies, field="labels")
    if len(labels) > _MOST_LABELS:
        raise InvalidInput(f"labels: at most {_MOST_LABELS}, not {len(labels)}", field="labels")


def _refuse_label(what: str) -> Never:
    rule = "up to 63 characters a-z, 0-9, '-' and '_', and a key begins with a letter"
    raise InvalidInput(f"labels: {what} is not allowed: {rule}", field="labels")
