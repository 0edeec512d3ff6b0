"""``client.endpoints``: who serves tuned models and their checkpoints on Vertex AI."""

from __future__ import annotations

import attrs

from gemtune.config import RetryPolicy
from gemtune.http.caller import Caller
from gemtune.pager import Pager
from gemtune.protocol import vertex
from gemtune.protocol.gemini import Page
from gemtune.protocol.vertex_names import Place
from gemtune.resources.given import ModelLike
from gemtune.types.vertex import VertexEndpoint


@attrs.frozen(eq=False)
class Endpoints:
    """Reads endpoints. Tuning makes one for the model, and one for each further checkpoint."""

    _caller: Caller
    _place: Place

    async def get(
        self, name: ModelLike, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> VertexEndpoint:
        """Return an endpoint.

        Args:
            name: ``projects/P/locations/L/endpoints/ID``, the bare id, or what it serves: a tuned model, a checkpoint,
                a job.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        return await self._caller.call(vertex.get_endpoint(self._place.endpoint(name)), timeout=timeout, retry=retry)

    def list(
        self,
        *,
        filter: str | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[VertexEndpoint]:
        """Return the endpoints of the client's project and location as a pager.

        Args:
            filter: Such as ``labels.team="a"`` or ``displayName="my-model"``.
            page_size: Endpoints on a page.
            timeout: Seconds for each page.
            retry: Another retry policy for each page.
        """
        vertex.list_endpoints(self._place.name, page_size=page_size, filter=filter)

        async def fetch(token: str | None) -> Page[VertexEndpoint]:
            call = vertex.list_endpoints(self._place.name, page_size=page_size, page_token=token, filter=filter)
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pager(fetch)
