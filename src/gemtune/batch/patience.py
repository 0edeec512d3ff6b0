"""Asking through a client whose credential may be away for a moment: a token callable or its service that stumbles."""

from __future__ import annotations

from typing import Any, Final

import anyio
import attrs

from gemtune.batch.engines.local import Asks
from gemtune.config import RetryPolicy
from gemtune.errors import CallError, CredentialsError, Failure
from gemtune.types import GenerateContentResponse

_TIMES: Final = 3
_SECONDS: Final = 10.0


@attrs.define(eq=False)
class Asking:
    """Asks a client, and takes a credential that is away for a failure to connect: nothing was sent, so try again.

    It is patient with the user's own token callable, and with every credential that has worked in this run, until it
    has been away 3 times in a row and for 10 s.

    Args:
        client: Whom to ask.
    """

    client: Asks
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
