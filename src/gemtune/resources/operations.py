"""``client.operations``: the long-running operations of tuned models (google.longrunning, AIP-151)."""

from __future__ import annotations

import random

import anyio
import attrs

from gemtune import checks
from gemtune.config import RetryPolicy, WatchPolicy
from gemtune.errors import BadRequest, DeadlineExceeded, Failure, NotFound, NotSupported, Unavailable
from gemtune.http.caller import Caller
from gemtune.pager import Pager
from gemtune.protocol import gemini, names
from gemtune.protocol.gemini import Page
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.given import ModelLike
from gemtune.story.schedule import Pace, next_due
from gemtune.types import Operation


@attrs.frozen(eq=False)
class Operations:
    """Reads, awaits and cancels operations; to follow one with its snapshots, use ``client.job(name)``."""

    _caller: Caller
    _policy: WatchPolicy

    async def get(
        self, name: str | Operation, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Operation:
        """Return an operation as it is now.

        Args:
            name: ``tunedModels/{id}/operations/{id}`` or an Operation.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        return await self._caller.call(gemini.get_operation(names.operation_name(name)), timeout=timeout, retry=retry)

    def list(
        self,
        parent: ModelLike,
        *,
        page_size: int | None = None,
        filter: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[Operation]:
        """Return the operations of a tuned model as a pager.

        Args:
            parent: The tuned model's name, or the model.
            page_size: Operations on a page.
            filter: The standard list filter (AIP-160).
            timeout: Seconds for each page.
            retry: Another retry policy for each page.
        """
        name = names.tuned_model_name(parent, field="parent")
        gemini.list_operations(name, page_size=page_size, filter=filter)  # bad arguments fail here, not later

        async def fetch(token: str | None) -> Page[Operation]:
            call = gemini.list_operations(name, page_size=page_size, page_token=token, filter=filter)
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pager(fetch)

    async def wait(
        self, name: str | Operation, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Operation:
        """Wait until an operation is done and return it; it is looked at as often as a job that you await.

        Args:
            name: ``tunedModels/{id}/operations/{id}`` or an Operation.
            timeout: Seconds to wait; None waits as long as it takes.
            retry: Another retry policy for each look.

        Returns:
            The operation with its ``response`` or its ``error``; one that failed is returned as well, not raised.

        Raises:
            DeadlineExceeded: The operation is not done after ``timeout`` seconds; it is not touched.
        """
        checked, began = names.operation_name(name), anyio.current_time()
        with anyio.move_on_after(checked_wait(timeout)):
            while True:
                operation = await self.get(checked, retry=retry)
                if operation.done:
                    return operation
                await anyio.sleep(self._pause(anyio.current_time() - began))
        raise DeadlineExceeded(
            f"{checked} is not done after {timeout:g} s; it continues; wait for it again",
            resource=checked,
            failure=Failure.FATAL,
        )

    def _pause(self, waited: float) -> float:
        # Somewhat less by chance: many who wait must not all ask at the same moment.
        return next_due(Pace(snapshots=1, silence=waited), self._policy, random.random())  # noqa: S311

    async def cancel(
        self, name: str | Operation, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> None:
        """Ask the service to cancel an operation; best effort, and nothing is ever deleted.

        Raises:
            NotSupported: The service refuses to cancel this operation; the message names ``delete``.
            NotFound: There is no such operation.
        """
        checked = names.operation_name(name)
        try:
            await self._caller.call(gemini.cancel_operation(checked), timeout=timeout, retry=retry)
        except NotFound as error:
            if error.reason is not None:
                raise
            # Without a JSON body it is the front end's page: the method itself does not exist there.
            raise _refused(checked) from None
        except (BadRequest, Unavailable) as error:
            if error.status not in {400, 405, 501}:
                raise
            raise _refused(checked, error.message) from None


def checked_wait(timeout: float | None) -> float | None:
    """Refuse a time to wait that is negative, infinite or not a number."""
    return None if timeout is None else checks.seconds("timeout", timeout, zero=True)


def _refused(name: str, why: str = "there is no such method") -> NotSupported:
    model = names.parent_of(name)
    return NotSupported(
        f"the service does not cancel {name} ({why})",
        Remedy("to stop the job for good, delete the model: ", ClientCall("tuned_models.delete", model)),
    )
