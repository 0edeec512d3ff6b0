"""Inference: replies of base and tuned models, whole, in pieces, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, Unpack

from gemtune import checks
from gemtune.config import RetryPolicy
from gemtune.errors import InvalidInput, NotSupported
from gemtune.http.caller import Caller
from gemtune.protocol import gemini
from gemtune.protocol.call import Call
from gemtune.resources.given import Framing, ModelLike, spelled_out
from gemtune.resources.streams import GenerateContentStream
from gemtune.types import (
    Content,
    ContentLike,
    CountTokensResponse,
    GenerateContentRequest,
    GenerateContentResponse,
    GenerationConfig,
    Part,
    SafetySetting,
    Tool,
    ToolConfig,
    to_content,
    to_contents,
)

T = TypeVar("T")


class InferenceService(Protocol):
    """How one service is asked for replies."""

    def model_name(self, given: object, *, field: str = "model") -> str:
        """Return the name under which requests address a model.

        Args:
            given: A name, a base model, a tuned model or a handle on the job that makes it.
            field: What to call it in an error.

        Raises:
            InvalidInput: It names no model of this service.
        """
        ...

    def generate_content(self, model: str, request: GenerateContentRequest) -> Call[GenerateContentResponse]:
        """Return the call that brings a reply whole."""
        ...

    def stream_generate_content(self, model: str, request: GenerateContentRequest) -> Call[GenerateContentResponse]:
        """Return the call that brings a reply in pieces."""
        ...

    def count_tokens(self, model: str, request: GenerateContentRequest) -> Call[CountTokensResponse]:
        """Return the call that counts a prompt's tokens."""
        ...


class Inference:
    """The part of a client that puts models to work."""

    _caller: Caller
    _service: InferenceService

    def _with_permits(self) -> Inference:
        """Return the same for somebody who holds a permit of the client's limiter for each call."""
        twin = Inference()
        twin._caller, twin._service = self._caller.without_limiter(), self._service
        return twin

    @spelled_out(Framing)
    async def generate_content(
        self,
        model: ModelLike,
        contents: ContentLike | GenerateContentRequest,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        **framing: Unpack[Framing],
    ) -> GenerateContentResponse:
        """Return a model's reply.

        Args:
            model: A TunedModel, a Model, a TuningJob, or a name: in full, or a bare id such as ``gemini-3.7-flash``
                of a base model and ``my-model`` of a tuned one.
            contents: What to say: a str, Part, Content, or a list of them; or a whole GenerateContentRequest.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call. An attempt whose fate is unknown is repeated at most twice.
            framing: ``system_instruction``, a str, Part or Content that frames the answer; ``generation_config``:
                temperature, token limits, response format ...; ``safety_settings``: thresholds for harm categories;
                ``tools`` that the model may call, and ``tool_config``, how; ``cached_content``: its name.

        Raises:
            CallError: What went wrong; a reply that was blocked or cut short is a reply, not an error.
        """
        # Not kept in a variable: a thousand calls in flight would keep a thousand requests for the garbage collector.
        call = self._service.generate_content(self._service.model_name(model), request_of(contents, **framing))
        return await self._caller.call(call, timeout=timeout, retry=retry)

    @spelled_out(Framing)
    def stream_generate_content(
        self,
        model: ModelLike,
        contents: ContentLike | GenerateContentRequest,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        **framing: Unpack[Framing],
    ) -> GenerateContentStream:
        """Return a model's reply in pieces as they arrive; the arguments are those of ``generate_content``.

        Nothing is sent before the first piece is asked for: ``async for chunk in client.stream_generate_content(...)``.
        """
        call = self._service.stream_generate_content(self._service.model_name(model), request_of(contents, **framing))
        return GenerateContentStream(self._caller, call, timeout, retry)

    async def count_tokens(
        self,
        model: ModelLike,
        contents: ContentLike | GenerateContentRequest,
        *,
        system_instruction: str | Part | Content | None = None,
        tools: Sequence[Tool] = (),
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> CountTokensResponse:
        """Count the tokens of a prompt, as a base model counts them.

        Args:
            model: A base model.
            contents: What to count: a str, Part, Content, or a list of them.
            system_instruction: Counted with it.
            tools: Counted with it.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.

        Raises:
            NotSupported: The model is a tuned one; the message names its base model.
        """
        name = self._service.model_name(model)
        # The service binds this method to base models only; its own answer would be that there is no such page.
        if name.startswith("tunedModels/"):
            base = getattr(model, "base_model", "") or await self._base_of(name)
            raise NotSupported(
                f"tokens cannot be counted on {name}: the service counts for base models only; "
                f"use client.count_tokens({base!r}, contents)"
            )
        request = request_of(contents, system_instruction=system_instruction, tools=tools)
        return await self._caller.call(self._service.count_tokens(name, request), timeout=timeout, retry=retry)

    async def _base_of(self, name: str) -> str:
        return (await self._caller.call(gemini.get_tuned_model(name))).base_model


def request_of(
    contents: ContentLike | GenerateContentRequest,
    *,
    system_instruction: str | Part | Content | None = None,
    generation_config: GenerationConfig | None = None,
    safety_settings: Sequence[SafetySetting] = (),
    tools: Sequence[Tool] = (),
    tool_config: ToolConfig | None = None,
    cached_content: str | None = None,
) -> GenerateContentRequest:
    """Return the request that a prompt and its framing make.

    Raises:
        InvalidInput: The prompt is a whole request, and there is framing beside it.
    """
    if isinstance(contents, GenerateContentRequest):
        if any((system_instruction, generation_config, safety_settings, tools, tool_config, cached_content)):
            raise InvalidInput(
                "contents is a whole GenerateContentRequest already: put the other arguments into it",
                field="contents",
            )
        return contents
    return GenerateContentRequest(
        contents=to_contents(contents),
        system_instruction=None if system_instruction is None else to_content(system_instruction, role="system"),
        generation_config=generation_config,
        safety_settings=_all("safety_settings", safety_settings, SafetySetting),
        tools=_all("tools", tools, Tool),
        tool_config=tool_config,
        cached_content=cached_content,
    )


def _all(name: str, values: Sequence[T], kind: type[T]) -> tuple[T, ...]:
    if isinstance(values, tuple) and not values:  # as nearly always
        return ()
    if not isinstance(values, list | tuple) or not all(isinstance(each, kind) for each in values):
        checks.refuse(name, f"a list of gemtune.types.{kind.__name__}", values)
    return tuple(values)
