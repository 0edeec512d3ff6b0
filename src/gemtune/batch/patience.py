"""A client whose credential may be away for a moment, asked with patience.

Tokens come from services that stumble, and a batch of twelve hours outlives many of them. A credential that has
answered in this run, or that comes from the user's own callable, may come back; so its absence is treated as a failure
to connect, in which nothing was sent: the item is parked and tried again. A credential that never worked is a mistake
in the configuration, and the run ends with it at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import anyio
import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import CallError, CredentialsError, Failure
from gemtune.types import GenerateContentResponse

_TIMES: Final = 3
_SECONDS: Final = 10.0


class GeneratesContent(Protocol):
    """What a batch needs of a client."""

    @property
    def generate_content(self) -> Callable[..., Awaitable[GenerateContentResponse]]:
        """Ask once."""


@attrs.define(eq=False)
class PatientClient:
    """Asks a client, until its credential has been away 3 times in a row and for 10 s.

    Args:
        client: The client.
        away: Why there is no credential for now, or an empty string.
    """

    client: GeneratesContent
    away: str = attrs.field(default="", init=False)
    _answered: bool = attrs.field(default=False, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _since: float = attrs.field(default=0.0, init=False)

    async def generate_content(
        self, model: str, contents: Any, *, timeout: float | None, retry: RetryPolicy, **options: Any
    ) -> GenerateContentResponse:
        """Ask once.

        Raises:
            CredentialsError: There is no credential, and waiting has not helped.
            CallError: The call failed, or there was no credential for now.
        """
        try:
            response = await self.client.generate_content(model, contents, timeout=timeout, retry=retry, **options)
        except CredentialsError as error:
            if isinstance(error, CallError) or not self._may_come_back(error):
                raise
            self.away = error.message
        else:
            self._answered, self._failures, self.away = True, 0, ""
            return response
        # Out here, so that the frames of the credential's error are not its context.
        raise CallError(f"no credential for now: {self.away}", attempts=0, failure=Failure.NOT_SENT)

    def _may_come_back(self, error: CredentialsError) -> bool:
        now = anyio.current_time()
        if not self._failures:
            self._since = now
        self._failures += 1
        from_callable = error.__cause__ is not None
        lasting = self._failures >= _TIMES and now - self._since >= _SECONDS
        return (self._answered or from_callable) and not lasting
