"""A span for each call: begun before its first attempt, ended with its last, with each repetition as an event of it.

There is no second span for each HTTP request: whoever wants those instruments aiohttp or httpx, and finds them below
this one, which is the current span while the call is under way. What the service answered, how many tokens it took and
how it failed is on the span; prompts and answers are not, unless asked for. An error is named by its class. Its message
is left out, because the service may quote a prompt in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from gemtune.errors import CallError
from gemtune.protocol.call import Call
from gemtune.telemetry import content, names
from gemtune.telemetry.guard import harmless
from gemtune.telemetry.instruments import Instruments
from gemtune.types import GenerateContentResponse
from gemtune.types.reply import ModalityTokenCount


@attrs.frozen
class BatchItem:
    """The item of a batch that the calls of a task are about.

    Args:
        run: The span of the batch's beginning, to which they are linked.
        index: Its place in the input.
        attempt: How often it has been asked, this time included.
    """

    run: SpanContext
    index: int
    attempt: int


ITEM: Final[ContextVar[BatchItem | None]] = ContextVar("gemtune_batch_item", default=None)
"""Set by each worker of a batch, in the context of its own task."""


@attrs.define(eq=False)
class CallTracer:
    """Makes the spans of one client's calls: the ``CallObserver`` of ``http``.

    Args:
        tracer: Makes the spans.
        instruments: Count what they show.
        provider: Which service it is.
        address_of: Returns the address to which calls for one of Google's origins go.
        content: Whether prompts and answers are put on spans.
        created: Is told the span that created a job, by the job's name.
        live: Returns whether anybody collects spans or metrics.
    """

    tracer: Tracer
    instruments: Instruments
    provider: str
    address_of: Callable[[str | None], str]
    content: bool
    created: Callable[[str, SpanContext], None]
    live: Callable[[], bool]
    _servers: dict[str | None, dict[str, str | int]] = attrs.field(factory=dict, init=False)

    @harmless
    def begun(self, call: Call[Any]) -> CallSpan | None:
        """Return the span of a call that begins now; None if nobody collects it."""
        operation = names.OPERATIONS.get(call.method)
        if operation is None or not self.live():
            return None
        base = {names.OPERATION: operation, names.PROVIDER: self.provider, **self._server(call.origin)}
        name = operation
        if operation not in _OF_JOBS and call.resource is not None:
            base[names.REQUEST_MODEL] = model = names.plain_model(call.resource)
            name = f"{operation} {model}"
        return CallSpan(self, call, name, base)

    def _server(self, origin: str | None) -> dict[str, str | int]:
        known = self._servers.get(origin)
        if known is None:
            url = urlsplit(self.address_of(origin))
            port = url.port or (443 if url.scheme == "https" else 80)
            known = self._servers[origin] = {names.SERVER: url.hostname or "", names.PORT: port}
        return known


_OF_JOBS: Final = frozenset({names.CREATE_JOB, names.CANCEL_JOB})
"""Operations that are about a job; the others are about a model."""
_UNNAMED: Final = frozenset({"tuningJobs.create"})
"""On Vertex AI nobody knows a job's name before the service has chosen it."""


class CallSpan:
    """One call under way: the ``CallWatch`` of ``http``."""

    def __init__(self, tracer: CallTracer, call: Call[Any], name: str, base: dict[str, str | int]) -> None:
        self._tracer = tracer
        self._call = call
        self._base = base
        self._repeats = 0
        self._first: float | None = None
        self._reply: dict[str, AttributeValue] = {}
        self._usage: Any = None
        self._finish: dict[int, str] = {}
        self._said: list[GenerateContentResponse] = []
        self._token: Token[Any] | None = None
        self._open = True
        item = ITEM.get()
        links = [Link(item.run)] if item is not None else None
        self._span: Span = tracer.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=base, links=links)
        self._began = time.perf_counter()
        if self._span.is_recording():
            self._describe(item)

    @harmless
    def _describe(self, item: BatchItem | None) -> None:
        """Put on the span what the request says of itself."""
        call, span = self._call, self._span
        if item is not None:
            span.set_attributes({names.BATCH_INDEX: item.index, names.BATCH_ATTEMPT: item.attempt})
        if call.generates:
            span.set_attributes(content.settings_of(call.body))
            if call.method == "streamGenerateContent":
                span.set_attribute(names.REQUEST_STREAM, value=True)
            if self._tracer.content:
                span.set_attributes(content.asked(call.body))
        elif call.resource is not None and call.method not in _UNNAMED and self._base[names.OPERATION] in _OF_JOBS:
            # What is cancelled on the Gemini API is the operation of the job.
            span.set_attribute(names.JOB, names.exportable(call.resource.partition("/operations/")[0]))

    def __enter__(self) -> None:
        self._token = context.attach(trace.set_span_in_context(self._span))

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            context.detach(self._token)

    @harmless
    def repeated(self, error: CallError, attempt: int, delay: float) -> None:
        """Add the event of an attempt that is followed by another one."""
        self._repeats += 1
        self._tracer.instruments.retries.add(1, {**self._base, names.ERROR: error_type(error)})
        self._count_throttle(error)
        facts: dict[str, AttributeValue] = {
            names.RETRY_ATTEMPT: attempt,
            names.RETRY_DELAY: round(delay, 3),
            names.ERROR: error_type(error),
        }
        if error.reason:
            facts[names.RETRY_REASON] = names.exportable(error.reason)
        if error.status is not None:
            facts[names.STATUS_CODE] = error.status
        self._span.add_event(names.RETRY, facts)

    @harmless
    def arrived(self, piece: object) -> None:
        """Take in a piece of a streamed reply."""
        if self._first is None:
            self._first = time.perf_counter() - self._began
        if isinstance(piece, GenerateContentResponse):
            self._take(piece)

    @harmless
    def ended(self, result: object, error: BaseException | None) -> None:
        """End the span, and count the call."""
        if not self._open:
            return
        self._open = False
        seconds = time.perf_counter() - self._began
        try:
            job = self._conclude(result, error)
        finally:  # a span that stays open is never exported
            self._span.end()
        base, instruments = self._base, self._tracer.instruments
        if self._call.generates:
            instruments.inference.record(seconds, base)
            if self._usage is not None or instruments.latest:
                self._count_tokens()
        else:
            instruments.other.record(seconds, base)
            if job is not None:
                self._tracer.created(job, self._span.get_span_context())
        if isinstance(error, CallError):
            self._count_throttle(error)

    def _conclude(self, result: object, error: BaseException | None) -> str | None:
        """Put the outcome on the span; return the name of the job if one was made."""
        base = self._base
        if error is not None:
            base[names.ERROR] = error_type(error)
        if isinstance(result, GenerateContentResponse):
            self._take(result)
        if names.RESPONSE_MODEL in self._reply:
            base[names.RESPONSE_MODEL] = str(self._reply[names.RESPONSE_MODEL])
        creates = base[names.OPERATION] == names.CREATE_JOB and error is None
        job = self._created(result) if creates else None
        if self._span.is_recording():
            self._finish_span(error)
        return job

    def _created(self, result: object) -> str | None:
        """Return the name of the job that this call has made."""
        if self._call.method not in _UNNAMED:
            return self._call.resource
        name = getattr(result, "name", None)
        if not isinstance(name, str):
            return None
        self._span.set_attribute(names.JOB, names.exportable(name))
        return name

    def _count_throttle(self, error: CallError) -> None:
        if error.status == 429:
            self._tracer.instruments.throttles.add(1, self._without_error())

    def _without_error(self) -> dict[str, str | int]:
        return {name: value for name, value in self._base.items() if name != names.ERROR}

    def _take(self, reply: GenerateContentResponse) -> None:
        if reply.model_version:
            self._reply[names.RESPONSE_MODEL] = names.exportable(reply.model_version)
        if reply.response_id:
            self._reply[names.RESPONSE_ID] = names.exportable(reply.response_id)
        self._usage = reply.usage_metadata or self._usage
        for candidate in reply.candidates:
            if candidate.finish_reason:
                self._finish[candidate.index or 0] = names.exportable(str(candidate.finish_reason).lower())
        feedback = reply.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._reply[names.BLOCKED] = names.exportable(str(feedback.block_reason).lower())
        if self._tracer.content:
            self._said.append(reply)

    @harmless
    def _finish_span(self, error: BaseException | None) -> None:
        span, usage = self._span, self._usage
        facts: dict[str, AttributeValue] = dict(self._reply)
        if self._finish:
            facts[names.FINISH_REASONS] = [self._finish[index] for index in sorted(self._finish)]
        if self._first is not None:
            facts[names.FIRST_CHUNK] = self._first
        if self._repeats:
            facts[names.ATTEMPTS] = self._repeats + 1
        if usage is not None:
            facts[names.INPUT_TOKENS] = usage.prompt_token_count
            facts[names.OUTPUT_TOKENS] = usage.candidates_token_count + usage.thoughts_token_count
            if usage.thoughts_token_count:
                facts[names.REASONING_TOKENS] = usage.thoughts_token_count
            if usage.cached_content_token_count:
                facts[names.CACHED_TOKENS] = usage.cached_content_token_count
        if error is not None:
            facts[names.ERROR] = error_type(error)
            if isinstance(error, CallError) and error.status is not None:
                facts[names.STATUS_CODE] = error.status
            span.set_status(StatusCode.ERROR)
        span.set_attributes(facts)
        if self._said:
            span.set_attributes(content.answered(self._said))

    def _count_tokens(self) -> None:
        usage = self._usage
        self._tracer.instruments.tokens(
            self._without_error(),
            prompt=usage.prompt_token_count if usage else 0,
            output=usage.candidates_token_count + usage.thoughts_token_count if usage else 0,
            thoughts=usage.thoughts_token_count if usage else 0,
            cached=usage.cached_content_token_count if usage else 0,
            kinds=(
                _by_kind(usage.prompt_tokens_details if usage else ()),
                _by_kind(usage.candidates_tokens_details if usage else ()),
            ),
        )


def _by_kind(details: tuple[ModalityTokenCount, ...]) -> Mapping[str, int]:
    kinds: dict[str, int] = {}
    for each in details:
        word = str(each.modality).lower()
        kind = word if word in _MODALITIES else "unknown"
        kinds[kind] = kinds.get(kind, 0) + each.token_count
    return kinds


_MODALITIES: Final = frozenset({"text", "image", "audio", "video", "document"})


def error_type(error: BaseException) -> str:
    """Return what went wrong in one word of few: the class of an error of ours, or ``cancelled``."""
    if isinstance(error, Exception):
        return type(error).__name__
    return "cancelled"  # asyncio and trio have different names for it
