"""What a request and its answer say, for those who have asked to have it on their spans; others get figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.util.types import AttributeValue

from gemtune.protocol.codec import encode, loads
from gemtune.telemetry import names
from gemtune.types import GenerateContentResponse

_LARGEST: Final = 64 * 1024
"""Bytes of a body that are read for telemetry: more would delay the call that they describe."""
_ROLES: Final = {"model": "assistant"}


def settings_of(body: bytes | None) -> dict[str, AttributeValue]:
    """Return what a request's generation config says, as attributes."""
    # Most requests have none, and looking for the word costs nothing beside reading JSON.
    if not body or b'"generationConfig"' not in body or len(body) > _LARGEST:
        return {}
    config = _read(body).get("generationConfig")
    if not isinstance(config, dict):
        return {}
    return {attribute: config[field] for field, attribute in names.SETTINGS.items() if field in config}


def asked(body: bytes | None) -> dict[str, AttributeValue]:
    """Return the prompt, and what frames it, as attributes in the form of the conventions: JSON text."""
    if not body or len(body) > _LARGEST:
        return {}
    request = _read(body)
    facts: dict[str, AttributeValue] = {names.INPUT_MESSAGES: _text(_messages(request.get("contents", ())))}
    system = request.get("systemInstruction")
    if isinstance(system, dict):
        facts[names.SYSTEM_INSTRUCTIONS] = _text(_parts(system))
    return facts


def answered(replies: Sequence[GenerateContentResponse]) -> dict[str, AttributeValue]:
    """Return the answers, put together from the pieces of a stream if there are several."""
    messages: dict[int, dict[str, Any]] = {}
    for reply in replies:
        for candidate in reply.candidates:
            message = messages.setdefault(candidate.index or 0, {"role": "assistant", "parts": []})
            if candidate.content is not None:
                _join(message["parts"], _parts(encode(candidate.content)))
            if candidate.finish_reason:
                message["finish_reason"] = str(candidate.finish_reason).lower()
    return {names.OUTPUT_MESSAGES: _text([messages[index] for index in sorted(messages)])} if messages else {}


def _join(parts: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    for part in more:
        if parts and part["type"] == parts[-1]["type"] == "text":
            parts[-1]["content"] += part["content"]
        else:
            parts.append(part)


def _read(body: bytes) -> dict[str, Any]:
    found = loads(body)
    return found if isinstance(found, dict) else {}


def _messages(contents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": _ROLES.get(each.get("role", ""), "user"), "parts": _parts(each)} for each in contents]


def _parts(content: Any) -> list[dict[str, Any]]:
    return [_part(part) for part in content.get("parts", ())]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part; of what is no text, its kind and its type, but not its bytes."""
    match part:
        case {"text": text, "thought": True}:
            return {"type": "reasoning", "content": text}
        case {"text": text}:
            return {"type": "text", "content": text}
        case {"functionCall": {"name": name, **rest}}:
            return {"type": "tool_call", "name": name, "arguments": rest.get("args")}
        case {"functionResponse": {"name": name, **rest}}:
            return {"type": "tool_call_response", "id": name, "response": rest.get("response")}
        case {"inlineData": {"mimeType": mime}}:
            return {"type": "blob", "mime_type": mime}
        case {"fileData": {"fileUri": uri, **rest}}:
            return {"type": "uri", "mime_type": rest.get("mimeType"), "uri": uri}
    return {"type": next(iter(part), "empty")}


def _text(value: object) -> str:
    return names.exportable(json.dumps(value, ensure_ascii=False))  # whose escapes are those of JSON
