"""How a job on the service can end badly: what awaiting it raises."""

from __future__ import annotations

from gemtune.errors.root import GemtuneError
from gemtune.remedy import Remedy


class JobError(GemtuneError):
    """A job on the service, for tuning or a batch, did not end well.

    Args:
        message: What happened to which job.
        job: The job's name: the tuned model's, or the batch's.
        reason: The server's own words, cleaned of control characters.
        code: The google.rpc code of the job's error, if there is one.
    """

    def __init__(
        self,
        message: str,
        *remedies: Remedy,
        job: str | None = None,
        reason: str | None = None,
        code: int | None = None,
    ) -> None:
        super().__init__(message, *remedies)
        self.job = job
        self.reason = reason
        self.code = code


class TuningError(JobError):
    """A tuning job did not end with a usable model."""


class TuningFailed(TuningError):
    """The server ended the job as failed."""


class TuningCancelled(TuningError):
    """The operation was cancelled."""


class TuningLost(TuningError):
    """The job cannot be seen any more: it was deleted, or we may no longer read it. It may still be running."""


class BatchJobError(JobError):
    """A batch that the service runs did not get to its end; what was finished before may have results."""


class BatchJobFailed(BatchJobError):
    """The server ended the batch as failed, as a whole. Single requests that fail are results, and no error."""


class BatchJobCancelled(BatchJobError):
    """The batch was cancelled."""


class BatchJobExpired(BatchJobError):
    """The service did not get to all requests of the batch in time."""


class BatchJobLost(BatchJobError):
    """The batch cannot be seen any more: it was deleted, or we may no longer read it. It may still be running."""
