"""Everything that gemtune raises, in one tree, split by what the caller can do.

::

    GemtuneError
    ├── InvalidInput            (ValueError)    correct the argument, row or file it names
    │   └── SettingsError                       correct the argument or environment variable it names
    ├── MisuseError             (RuntimeError)  change the program: a closed client, another event loop, a fork
    ├── CredentialsError                        get or widen a credential, with the command it names
    ├── NotSupported                            use the alternative it names
    │   └── TuningUnavailable                   choose another base model or service
    ├── NoText                                  look at the finish or block reason
    ├── JobError                                a job on the service did not end well
    │   ├── TuningError
    │   │   ├── TuningFailed                    read the server's reason, correct the data, tune again
    │   │   ├── TuningCancelled                 somebody cancelled the operation
    │   │   └── TuningLost                      the job cannot be seen any more; it may still run
    │   └── BatchJobError                       what was finished before may have results: ``job.results()``
    │       ├── BatchJobFailed                  read the server's reason, correct the requests, create it again
    │       ├── BatchJobCancelled               somebody cancelled it
    │       ├── BatchJobExpired                 the service did not get to all of it in time: ask the rest again
    │       └── BatchJobLost                    it cannot be seen any more; it may still run
    ├── BatchStopped                            repair its cause, then run the batch again with its journal
    ├── MetricFailed                            correct the function that scores; the answers are kept
    ├── JournalError                            the disk is full or the file was replaced: make room, run again
    │   ├── JournalBusy                         another process is writing it
    │   ├── JournalCorrupt                      bytes in its middle were changed: see ``offset``
    │   └── JournalMismatch (ValueError)        it belongs to another model, configuration or input
    └── CallError                               one call to the service
        ├── ApiError                            the service answered with an error
        │   ├── BadRequest                      correct the request
        │   ├── Unauthenticated                 the credential was refused (also a CredentialsError)
        │   ├── PermissionDenied                ask for access
        │   ├── NotFound                        check the name
        │   ├── AlreadyExists                   choose another id, or adopt
        │   ├── Conflict                        read again, then write again
        │   ├── QuotaExhausted                  wait until ``retry_after``, or raise the quota
        │   └── Unavailable                     try again later
        ├── TransportError
        │   ├── ConnectFailed                   nothing was sent: check network, proxy, address
        │   ├── TLSVerificationError            the server's certificate is not trusted
        │   └── ConnectionLost                  the connection broke after the request had left
        ├── DeadlineExceeded    (TimeoutError)  allow more time
        ├── MalformedResponse                   the reply was not what the API promises
        │   └── ResponseTooLarge                ask for less
        ├── UnexpectedRedirect                  the address is not the API's
        ├── NotAccepted                         look at ``response``; ask otherwise, or accept it
        ├── NotAnswered                         a batch of the service left the item: ask it again, or from here
        ├── StreamInterrupted                   a stream broke; ``partial`` is what had arrived
        └── AmbiguousOutcome                    a write may or may not have happened: look, then decide

Each leaf has a remedy of its own: two errors that you would handle alike are one class. An error holds facts as
attributes, survives pickling, and never holds a request, a header or a credential. Its
``message`` says what happened, its ``remedies`` what to do next (see ``gemtune.remedy``); ``str()`` says both.
"""

from __future__ import annotations

import enum
import re
from typing import Self

from gemtune.errors.jobs import (
    BatchJobCancelled,
    BatchJobError,
    BatchJobExpired,
    BatchJobFailed,
    BatchJobLost,
    JobError,
    TuningCancelled,
    TuningError,
    TuningFailed,
    TuningLost,
)
from gemtune.errors.metrics import MetricFailed
from gemtune.errors.root import GemtuneError
from gemtune.remedy import Argument, Remedy, Wording

__all__ = [
    "AlreadyExists", "AmbiguousOutcome", "ApiError", "BadRequest", "BatchJobCancelled", "BatchJobError",
    "BatchJobExpired", "BatchJobFailed", "BatchJobLost", "BatchStopped", "CallError", "Conflict", "ConnectFailed",
    "ConnectionLost", "CredentialsError", "DeadlineExceeded", "Failure", "GemtuneError",
    "InvalidInput", "JobError", "JournalBusy", "JournalCorrupt", "JournalError", "JournalMismatch", "MalformedResponse",
    "MetricFailed", "MisuseError", "NoText", "NotAccepted", "NotAnswered", "NotFound", "NotSupported",
    "PermissionDenied", "QuotaExhausted", "ResponseTooLarge", "SettingsError", "StreamInterrupted",
    "TLSVerificationError", "TransportError", "TuningCancelled", "TuningError", "TuningFailed", "TuningLost",
    "TuningUnavailable", "Unauthenticated", "Unavailable", "UnexpectedRedirect",
]  # fmt: skip


class Failure(enum.Enum):
    """What a failed attempt says about the server: the first half of every retry decision."""

    NOT_SENT = "not_sent"
    """No byte of the request left this machine."""
    REJECTED = "rejected"
    """The server said that it did not act (429, 503 with a JSON body, 425)."""
    AMBIGUOUS = "ambiguous"
    """The server may have acted: the connection broke, time ran out, the reply was unreadable."""
    FATAL = "fatal"
    """Repeating the same request cannot help."""


class InvalidInput(GemtuneError, ValueError):
    """An argument, row or file is wrong; nothing was sent.

    Args:
        message: What is wrong; if it is about an argument, it begins with the argument's name.
        remedies: How to correct it, as alternatives.
        field: The argument or field that is wrong, such as ``tuned_model_id`` or ``output``.
        row: The 1-based row of the data, or None if no row is concerned.
    """

    code: str = "invalid_input"  # what reports of training data call it, and the place in the row
    place: str = ""

    def __init__(self, message: str, *remedies: Remedy, field: str | None = None, row: int | None = None) -> None:
        super().__init__(message, *remedies)
        self.field = field
        self.row = row

    def worded(self, wording: Wording) -> str:
        text = super().worded(wording)
        if self.field is None or not re.match(rf"{re.escape(self.field)}\b", text):
            return text
        return f"{wording(Argument(self.field)) or self.field}{text.removeprefix(self.field)}"


class SettingsError(InvalidInput):
    """A client setting, from an argument or the environment, is missing or contradicts another."""


class MisuseError(GemtuneError, RuntimeError):
    """The program uses an object where it cannot work: closed, in another event loop, after a fork."""


class CredentialsError(GemtuneError):
    """A credential is missing, unreadable, expired for good, or too narrow; the message names the command to run."""


class NotSupported(GemtuneError):
    """The service has no such method for this thing; the message names the alternative."""


class TuningUnavailable(NotSupported):
    """The service does not offer tuning for this base model."""


class NoText(GemtuneError):
    """A reply holds no text.

    Args:
        message: Which reason the server gave.
        remedies: What to do, as alternatives.
        finish_reason: The candidate's finish reason, such as ``SAFETY``.
        block_reason: The prompt's block reason, if there is no candidate at all.
    """

    def __init__(
        self, message: str, *remedies: Remedy, finish_reason: str | None = None, block_reason: str | None = None
    ) -> None:
        super().__init__(message, *remedies)
        self.finish_reason = finish_reason
        self.block_reason = block_reason


class BatchStopped(GemtuneError):
    """A batch ended before its input did, because nothing more could succeed; ``__cause__`` says why.

    ``key`` is the key or index of the item that met it. That item did nothing wrong: it has neither a result nor a
    line in the journal, and the next run asks it again. ``reset_after`` is the seconds until a quota is there again.
    ``results`` are the results that ``generate_many`` and ``collect`` had until then; any other error that they raise
    has this attribute as well.
    """

    key: str | int | None = None
    reset_after: float | None = None
    results: tuple[object, ...] = ()


class JournalError(GemtuneError):
    """A batch's journal cannot be used; no result that you were given is lost.

    Args:
        message: What happened, and to which file.
        remedies: What to do next, as alternatives.
        path: The file.
        unsaved: Results that were received and neither written safely nor yielded, as ``BatchResult``.
    """

    def __init__(self, message: str, *remedies: Remedy, path: str = "", unsaved: tuple[object, ...] = ()) -> None:
        super().__init__(message, *remedies)
        self.path = path
        self.unsaved = unsaved


class JournalBusy(JournalError):
    """Another process, or another batch of this one, is writing the journal."""


class JournalCorrupt(JournalError):
    """Bytes within the journal were changed since they were written; ``offset`` is where the damaged line begins."""

    offset: int = 0


class JournalMismatch(JournalError, InvalidInput):
    """The journal was written for another model, configuration or input than it is used with now."""


class CallError(GemtuneError):
    """One call to the service failed.

    Args:
        message: What happened, and to which resource.
        remedies: What to do next, as alternatives.
        status: The HTTP status, or None if no reply was read.
        reason: The machine-readable reason (google.rpc.ErrorInfo.reason or the rpc status).
        retry_after: Seconds after which the server allows a new attempt, if it said so.
        attempts: How many attempts were made, at least 1 once a request was tried.
        resource: The resource's name, such as ``tunedModels/abc``.
        request_id: The server's id of the request, if it sent one.
    """

    failure: Failure = Failure.FATAL

    def __init__(
        self,
        message: str,
        *remedies: Remedy,
        status: int | None = None,
        reason: str | None = None,
        retry_after: float | None = None,
        attempts: int = 1,
        resource: str | None = None,
        request_id: str | None = None,
        failure: Failure | None = None,
    ) -> None:
        super().__init__(message, *remedies)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.attempts = attempts
        self.resource = resource
        self.request_id = request_id
        if failure is not None:
            self.failure = failure

    @classmethod
    def after(cls, last: CallError | None, message: str, *remedies: Remedy, failure: Failure | None = None) -> Self:
        """Return an error of this class that keeps the facts of a call's last failure, if there was one."""
        facts = ("status", "reason", "retry_after", "attempts", "resource", "request_id")
        known = {} if last is None else {name: getattr(last, name) for name in facts}
        return cls(message, *remedies, **known, failure=failure)

    def worded(self, wording: Wording) -> str:
        text = super().worded(wording)
        return text if self.attempts <= 1 else f"{text} ({self.attempts} attempts)"


class ApiError(CallError):
    """The service answered with an error; ``details`` holds its google.rpc details as plain JSON (AIP-193), if any."""

    details: tuple[object, ...] = ()


class BadRequest(ApiError):
    """The service refused the request as wrong (400, 412, 413, 415, 422)."""


class Unauthenticated(ApiError, CredentialsError):
    """The service refused the credential (401, or 400 with reason API_KEY_INVALID)."""


class PermissionDenied(ApiError):
    """The credential is good but may not do this (403)."""


class NotFound(ApiError):
    """There is no such resource or method (404)."""


class AlreadyExists(ApiError):
    """The id is taken (409 ALREADY_EXISTS)."""


class Conflict(ApiError):
    """Somebody else changed the resource in the meantime (409 ABORTED)."""


class QuotaExhausted(ApiError):
    """A quota is used up (429).

    ``scope`` says which: ``minute``, ``day``, ``none`` (it is zero), ``billing`` (a spending cap), ``tuning`` (jobs at
    a time), ``shared`` (by all who pay as they go), ``provisioned`` (throughput that you bought), or ``unknown``.
    """

    failure = Failure.REJECTED
    scope: str = "unknown"


class Unavailable(ApiError):
    """The service could not answer now (500, 502, 503, 504, 408)."""

    failure = Failure.AMBIGUOUS


class TransportError(CallError):
    """The request got no readable reply."""


class ConnectFailed(TransportError):
    """No connection could be made; nothing was sent."""

    failure = Failure.NOT_SENT


class TLSVerificationError(TransportError):
    """The server's certificate could not be verified; nothing was sent."""


class ConnectionLost(TransportError):
    """The connection broke after part of the request had left; the service may have acted."""

    failure = Failure.AMBIGUOUS


class DeadlineExceeded(CallError, TimeoutError):
    """Time ran out before the call was done; the service may have acted."""

    failure = Failure.AMBIGUOUS


class MalformedResponse(CallError):
    """A reply arrived that is not what the API promises: HTML, cut or garbled JSON, a wrong type."""

    failure = Failure.AMBIGUOUS


class ResponseTooLarge(MalformedResponse):
    """A reply is larger than the limit, in bytes on the wire or after decompression."""

    failure = Failure.FATAL


class UnexpectedRedirect(CallError):
    """The server answered with a redirect, which is never followed: a credential must not travel to another host."""


class NotAccepted(CallError):
    """Every reply for an item of a batch was empty, or not one that ``accept`` takes; ``response`` is the last."""

    response: object = None


class NotAnswered(CallError):
    """A batch that the service ran ended without an answer for the item; ``batch_state`` says how it ended.

    That is ``EXPIRED``, ``CANCELLED``, ``FAILED``, ``SUCCEEDED`` (the results hold no line for the item), or empty if
    the service does not know the batch any more.
    """

    batch_state: str = ""


class StreamInterrupted(CallError):
    """A streamed reply broke off; it is never repeated automatically.

    ``partial`` is the text received so far and ``chunks`` the number of events received.
    """

    failure = Failure.AMBIGUOUS
    partial: str = ""
    chunks: int = 0


class AmbiguousOutcome(CallError):
    """Nobody can know whether a write was carried out, and repeating it could do it twice: look first, then decide."""

    failure = Failure.AMBIGUOUS
