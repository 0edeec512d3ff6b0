"""Vertex AI: how models are asked, on the host of the location where they are served."""

from __future__ import annotations

from functools import partial
from typing import Final

from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import decode, dumps, encode
from gemtune.protocol.hosts import origin_of
from gemtune.types import CountTokensResponse, GenerateContentRequest, GenerateContentResponse

_REPLY: Final = partial(decode, GenerateContentResponse)


def generate_content(model: str, request: GenerateContentRequest) -> Call[GenerateContentResponse]:
    """``generateContent`` of an endpoint or of a publisher's model."""
    return Call(
        method="generateContent",
        verb="POST",
        path=f"/v1/{model}:generateContent",
        body=dumps(encode(request), strict=True),
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
        body=dumps(encode(request), strict=True),
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
        body=dumps(encode(request), strict=True),
        effect=Effect.READ,
        decode=partial(decode, CountTokensResponse),
        resource=model,
        origin=origin_of(model),
    )
