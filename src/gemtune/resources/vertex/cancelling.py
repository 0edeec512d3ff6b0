"""Cancelling a tuning job: to cancel one that has ended is no failure, because that is how it was wanted."""

from __future__ import annotations

from gemtune.config import RetryPolicy
from gemtune.errors import BadRequest
from gemtune.http.caller import Caller
from gemtune.protocol import vertex
from gemtune.types.vertex import VertexJobState

_PRECONDITION = "FAILED_PRECONDITION"


async def cancel(caller: Caller, name: str, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> None:
    """Ask the service to cancel a job.

    The service refuses that for a job that has ended or is being cancelled already, so that the second of two attempts
    of which the first was lost is refused. What the job says decides.

    Raises:
        CallError: The job was not cancelled.
    """
    try:
        await caller.call(vertex.cancel_tuning_job(name), timeout=timeout, retry=retry)
    except BadRequest as error:
        if error.reason != _PRECONDITION:
            raise
        state = (await caller.call(vertex.get_tuning_job(name), timeout=timeout, retry=retry)).state
        if not (state.ended or state is VertexJobState.JOB_STATE_CANCELLING):
            raise
