"""What generateContent and countTokens are asked (API pages: generate-content, tokens)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from gemtune.types.content import Content, ContentLike, Part, to_content, to_contents
from gemtune.types.message import Json, Message, as_tuple
from gemtune.types.openenum import OpenEnum
from gemtune.types.safety import SafetySetting
from gemtune.types.tools import Tool, ToolConfig


class MediaResolution(OpenEnum):
    """How closely the model looks at media."""

    MEDIA_RESOLUTION_UNSPECIFIED = "MEDIA_RESOLUTION_UNSPECIFIED"
    MEDIA_RESOLUTION_LOW = "MEDIA_RESOLUTION_LOW"
    MEDIA_RESOLUTION_MEDIUM = "MEDIA_RESOLUTION_MEDIUM"
    MEDIA_RESOLUTION_HIGH = "MEDIA_RESOLUTION_HIGH"


class ResponseModality(OpenEnum):
    """What an answer may be made of."""

    MODALITY_UNSPECIFIED = "MODALITY_UNSPECIFIED"
    TEXT = "TEXT"
    IMAGE = "IMAGE"
    AUDIO = "AUDIO"


class ServiceTier(OpenEnum):
    """How urgently a request is served, and at which price."""

    UNSPECIFIED = "unspecified"
    STANDARD = "standard"
    FLEX = "flex"
    PRIORITY = "priority"


class ThinkingLevel(OpenEnum):
    """How deeply the model thinks."""

    THINKING_LEVEL_UNSPECIFIED = "THINKING_LEVEL_UNSPECIFIED"
    MINIMAL = "MINIMAL"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


@attrs.frozen(kw_only=True)
class ThinkingConfig(Message):
    """Whether and how long the model thinks.

    Args:
        include_thoughts: Whether the reply shows the thoughts.
        thinking_budget: How many tokens it may think; 0 switches thinking off if the model allows it.
        thinking_level: How deeply it thinks.
    """

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: ThinkingLevel | None = attrs.field(default=None, converter=attrs.converters.optional(ThinkingLevel))


@attrs.frozen(kw_only=True)
class ImageConfig(Message):
    """What a generated image looks like.

    Args:
        aspect_ratio: Such as ``16:9``.
        image_size: ``512``, ``1K``, ``2K`` or ``4K``.
    """

    aspect_ratio: str | None = None
    image_size: str | None = None


def _modalities(values: Iterable[ResponseModality | str]) -> tuple[ResponseModality, ...]:
    return tuple(map(ResponseModality, as_tuple(values)))


@attrs.frozen(kw_only=True)
class GenerationConfig(Message):
    """How the model answers; what is left out is the model's default.

    Args:
        candidate_count: How many answers.
        stop_sequences: Up to 5 strings at which an answer ends.
        max_output_tokens: The longest answer, in tokens.
        temperature: Randomness, 0 to 2.
        top_p: Nucleus probability.
        top_k: Candidates per token.
        seed: Seed of the randomness.
        response_mime_type: ``text/plain``, ``application/json`` or ``text/x.enum``.
        response_schema: The answer's shape as an OpenAPI 3.0 schema.
        presence_penalty: Penalty on tokens already used.
        frequency_penalty: Penalty on tokens by how often they were used.
        response_logprobs: Whether the reply shows log probabilities.
        logprobs: How many per step, 0 to 20.
        enable_enhanced_civic_answers: As the API names it.
        response_modalities: What the answer may be made of.
        speech_config: Voices, as plain JSON.
        thinking_config: Whether and how long the model thinks.
        media_resolution: How closely it looks at media.
        response_json_schema: Instead of ``response_schema``, a JSON Schema.
        image_config: What a generated image looks like.
        response_format: Formats per kind of answer, as plain JSON.
        translation_config: Translation of speech, as plain JSON.
    """

    candidate_count: int | None = None
    stop_sequences: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    response_mime_type: str = ""
    response_schema: Json | None = attrs.field(default=None, hash=False)
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    enable_enhanced_civic_answers: bool | None = None
    response_modalities: tuple[ResponseModality, ...] = attrs.field(default=(), converter=_modalities)
    speech_config: Json | None = attrs.field(default=None, hash=False)
    thinking_config: ThinkingConfig | None = None
    media_resolution: MediaResolution | None = attrs.field(
        default=None, converter=attrs.converters.optional(MediaResolution)
    )
    response_json_schema: Json | None = attrs.field(default=None, hash=False)
    image_config: ImageConfig | None = None
    response_format: Json | None = attrs.field(default=None, hash=False)
    translation_config: Json | None = attrs.field(default=None, hash=False)


def _optional_contents(value: ContentLike) -> tuple[Content, ...]:
    return () if value == () else to_contents(value)


def _instruction(value: str | Part | Content | Iterable[str | Part] | None) -> Content | None:
    return None if value is None else to_content(value)


@attrs.frozen(kw_only=True)
class GenerateContentRequest(Message):
    """One question to a model.

    Args:
        model: ``models/...`` or ``tunedModels/...``; may be left to the address of the call.
        contents: The conversation so far; anything that ``to_contents`` takes.
        safety_settings: From which probability on harm is blocked.
        generation_config: How the model answers.
        tools: What it may use.
        tool_config: How it uses it.
        system_instruction: What the model is to know beforehand; a string will do. Tuned models refuse it.
        cached_content: The name of a cached beginning of the conversation.
        service_tier: How urgently the request is served.
        store: Whether the service may log it; None for the project's setting.
    """

    model: str = ""
    contents: tuple[Content, ...] = attrs.field(converter=to_contents)
    safety_settings: tuple[SafetySetting, ...] = attrs.field(default=(), converter=as_tuple)
    generation_config: GenerationConfig | None = None
    tools: tuple[Tool, ...] = attrs.field(default=(), converter=as_tuple)
    tool_config: ToolConfig | None = None
    system_instruction: Content | None = attrs.field(default=None, converter=_instruction)
    cached_content: str | None = None
    service_tier: ServiceTier | None = attrs.field(default=None, converter=attrs.converters.optional(ServiceTier))
    store: bool | None = None


@attrs.frozen(kw_only=True)
class CountTokensRequest(Message):
    """How many tokens a prompt has: give the contents alone, or the whole request.

    Args:
        contents: The conversation so far.
        generate_content_request: The whole request, with its system instruction and tools.
    """

    contents: tuple[Content, ...] = attrs.field(default=(), converter=_optional_contents)
    generate_content_request: GenerateContentRequest | None = None
