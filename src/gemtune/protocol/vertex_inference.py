"""Vertex AI: how models are asked, on the host of the location where they are served."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from gemtune.errors import InvalidInput
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import decode, dumps, encode
from gemtune.protocol.hosts import origin_of
from gemtune.remedy import Remedy
from gemtune.types import CountTokensResponse, GenerateContentRequest, GenerateContentResponse

_REPLY: Final = partial(decode, GenerateContentResponse)
_LACKING: Final = {
    "service_tier": "the tier is a matter of the project's provisioned throughput",
    "store": "nothing is stored there",
}
"""Fields of a request that only the Gemini API knows; Vertex AI may refuse the whole request for one."""


def generate_content(model: str, request: GenerateContentRequest) -> Call[GenerateContentResponse]:
    """``generateContent`` of an endpoint or of a publisher's model."""
    return Call(
        method="generateContent",
        verb="POST",
        path=f"/v1/{model}:generateContent",
        body=_body(request),
        effect=Effect.BILLED,
        decode=_REPLY,
        resource=model,
        generates=True,
        origin=origin_of(model),
    )


def stream_generate_content(model: str, request: GenerateContentRequest) -> Call[GenerateContentResponse]:
    """``streamGenerateContent`` as server-sent events."""
    return Call(
        method="streamGenerateContent",
        verb="POST",
        path=f"/v1/{model}:streamGenerateContent",
        query=(("alt", "sse"),),
        body=_body(request),
        effect=Effect.BILLED,
        decode=_REPLY,
        resource=model,
        generates=True,
        origin=origin_of(model),
    )


def count_tokens(model: str, request: GenerateContentRequest) -> Call[CountTokensResponse]:
    """``countTokens``, of tuned models as well."""
    return Call(
        method="countTokens",
        verb="POST",
        path=f"/v1/{model}:countTokens",
        body=_body(request),
        effect=Effect.READ,
        decode=partial(decode, CountTokensResponse),
        resource=model,
        origin=origin_of(model),
    )


def _body(request: GenerateContentRequest) -> bytes:
    return dumps(body_of(request), strict=True)


def body_of(request: GenerateContentRequest) -> dict[str, Any]:
    """Return the JSON of a request; the model stands in the address.

    Raises:
        InvalidInput: It holds what only the Gemini API knows.
    """
    for name, why in _LACKING.items():
        if getattr(request, name):
            raise InvalidInput(f"{name} is a field of the Gemini API: {why}", Remedy("leave it out"), field=name)
    if request.generation_config is not None and request.generation_config.enable_enhanced_civic_answers:
        name = "enable_enhanced_civic_answers"
        raise InvalidInput(f"{name} is a setting of the Gemini API", Remedy("leave it out"), field=name)
    body = encode(request)
    body.pop("model", None)
    return body
