"""``client.models``: the base models that the service offers."""

from __future__ import annotations

import attrs

from gemtune.config import RetryPolicy
from gemtune.http.caller import Caller
from gemtune.pager import Pager
from gemtune.protocol import gemini, names
from gemtune.protocol.gemini import Page
from gemtune.resources.given import ModelLike
from gemtune.types import Model


@attrs.frozen(eq=False)
class Models:
    """Reads base models; those that can be tuned have ``createTunedModel`` among their methods."""

    _caller: Caller

    async def get(self, name: ModelLike, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> Model:
        """Return a base model.

        Args:
            name: ``models/{id}``, or the bare id.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        return await self._caller.call(gemini.get_model(names.base_model_name(name)), timeout=timeout, retry=retry)

    def list(
        self,
        *,
        page_size: int | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[Model]:
        """Return the base models as a pager.

        Args:
            page_size: Models on a page; the service's default is 50, its maximum 1000.
            timeout: Seconds for each page.
            retry: Another retry policy for each page.
        """
        gemini.list_models(page_size=page_size)

        async def fetch(token: str | None) -> Page[Model]:
            call = gemini.list_models(page_size=page_size, page_token=token)
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pager(fetch)
