"""Inference: replies of base and tuned models, whole, in pieces, and counted."""

from __future__ import annotations

from collections.abc import Sequence

from gemtune.config import RetryPolicy
from gemtune.errors import InvalidInput, NotSupported
from gemtune.http.caller import Caller
from gemtune.protocol import gemini, names
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


class Inference:
    """The part of a client that puts models to work."""

    _caller: Caller

    async def generate_content(
        self,
        model: object,
        contents: ContentLike | GenerateContentRequest,
        *,
        system_instruction: str | Part | Content | None = None,
        generation_config: GenerationConfig | None = None,
        safety_settings: Sequence[SafetySetting] = (),
        tools: Sequence[Tool] = (),
        tool_config: ToolConfig | None = None,
        cached_content: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> GenerateContentResponse:
        """Return a model's reply.

        Args:
            model: A name, a TunedModel, a Model or a TuningJob; a bare id means a base model.
            contents: What to say: a str, Part, Content, or a list of them; or a whole GenerateContentRequest.
            system_instruction: A str, Part or Content that frames the answer.
            generation_config: Temperature, token limits, response format ...
            safety_settings: Thresholds for harm categories.
            tools: Tools the model may call.
            tool_config: How it may call them.
            cached_content: The name of cached content to build on.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call. An attempt whose fate is unknown is repeated at most twice.

        Raises:
            CallError: What went wrong; a reply that was blocked or cut short is a reply, not an error.
        """
        # Not kept in a variable: a thousand calls in flight would keep a thousand requests for the garbage collector.
        call = gemini.generate_content(
            names.model_name(model),
            _request(
                contents, system_instruction, generation_config, safety_settings, tools, tool_config, cached_content
            ),
        )
        return await self._caller.call(call, timeout=timeout, retry=retry)

    def stream_generate_content(
        self,
        model: object,
        contents: ContentLike | GenerateContentRequest,
        *,
        system_instruction: str | Part | Content | None = None,
        generation_config: GenerationConfig | None = None,
        safety_settings: Sequence[SafetySetting] = (),
        tools: Sequence[Tool] = (),
        tool_config: ToolConfig | None = None,
        cached_content: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> GenerateContentStream:
        """Return a model's reply in pieces as they arrive; the arguments are those of ``generate_content``.

        Nothing is sent before the first piece is asked for: ``async for chunk in client.stream_generate_content(...)``.
        """
        call = gemini.stream_generate_content(
            names.model_name(model),
            _request(
                contents, system_instruction, generation_config, safety_settings, tools, tool_config, cached_content
            ),
        )
        return GenerateContentStream(self._caller, call, timeout, retry)

    async def count_tokens(
        self,
        model: object,
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
        name = names.model_name(model)
        if name.startswith("tunedModels/"):
            base = getattr(model, "base_model", "") or await self._base_of(name)
            raise NotSupported(
                f"tokens cannot be counted on {name}: the service counts for base models only; "
                f"use client.count_tokens({base!r}, contents)"
            )
        request = _request(contents, system_instruction, None, (), tools, None, None)
        return await self._caller.call(gemini.count_tokens(name, request), timeout=timeout, retry=retry)

    async def _base_of(self, name: str) -> str:
        return (await self._caller.call(gemini.get_tuned_model(name))).base_model


def _request(
    contents: ContentLike | GenerateContentRequest,
    system_instruction: str | Part | Content | None,
    generation_config: GenerationConfig | None,
    safety_settings: Sequence[SafetySetting],
    tools: Sequence[Tool],
    tool_config: ToolConfig | None,
    cached_content: str | None,
) -> GenerateContentRequest:
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
        safety_settings=tuple(safety_settings),
        tools=tuple(tools),
        tool_config=tool_config,
        cached_content=cached_content,
    )
