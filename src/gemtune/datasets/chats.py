"""Conversations in the layouts of others as Vertex AI has them: OpenAI's ``messages``, ``conversations`` of ShareGPT.

Nothing is left out on the way: what has no place there (an image inline, an answer that is not to be learned) is
refused. A gemtune or google-genai object is the JSON that it stands for.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gemtune.datasets.conversations import wrong
from gemtune.datasets.layouts import ROLES, role_key, turns_of
from gemtune.protocol.codec import encode
from gemtune.types.message import Message

_CALLS: Final = ("tool_calls", "function_call")
_ANSWERS: Final = frozenset({"tool", "function"})


def as_json(value: Any) -> Any:
    """Return a value with everything in it that is an object of Google's or ours as plain JSON."""
    if isinstance(value, Message):
        return encode(value)
    if hasattr(value, "model_dump"):  # pydantic, as google-genai's types are
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    return [as_json(each) for each in value] if isinstance(value, list | tuple) else value


def converted(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a chat as an example of Vertex AI's; the turns stand under a key.

    Raises:
        InvalidInput: It holds what cannot be learned.
    """
    example = conversation(turns_of(row[key]) or (), key, [row.get("system"), row.get("system_prompt")])
    if row.get("tools"):
        example["tools"] = _tools(row["tools"])
    return example


def conversation(turns: Iterable[Mapping[str, Any]], where: str, system: Sequence[object] = ()) -> dict[str, Any]:
    """Return turns as ``contents`` and, if there is one, ``systemInstruction``.

    Args:
        turns: Messages with a role each.
        where: What they stand in, for errors.
        system: What stands beside them of a system instruction.
    """
    said = [str(each) for each in system if each]
    contents: list[dict[str, Any]] = []
    names: dict[object, str] = {}
    for number, turn in enumerate(turns):
        place = f"{where}[{number}]"
        word = str(turn.get(role_key(turn) or "role", "user")).lower()
        if turn.get("weight") in (0, "0"):
            raise wrong(place, "has weight 0, which is not to be learned: drop the row")
        if word in _ANSWERS:
            part = _answer(turn, names, place)
            if contents and "functionResponse" in contents[-1]["parts"][-1]:
                contents[-1]["parts"].append(part)  # the answers to calls of one turn are one turn
            else:
                contents.append({"role": "user", "parts": [part]})
            continue
        role = ROLES.get(word)
        if role is None:
            raise wrong(place, f"has the role {word!r:.40}, and must be of 'system', 'user' or 'assistant'")
        parts = [*_parts(turn, place), *_calls(turn, names, place)]
        if role == "system":
            said += [part["text"] for part in parts if "text" in part]
        else:
            contents.append({"role": role, "parts": parts})
    example: dict[str, Any] = {"systemInstruction": {"parts": [{"text": "\n\n".join(said)}]}} if said else {}
    return {**example, "contents": contents}


def _parts(turn: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    value = next((turn[name] for name in ("content", "parts", "value") if turn.get(name) is not None), None)
    if value is None:
        return []
    if isinstance(value, str):
        return [{"text": value}]
    value = value["parts"] if isinstance(value, Mapping) and "parts" in value else value
    pieces = value if isinstance(value, list | tuple) else [value]
    return [_piece(each, f"{place}.content[{number}]") for number, each in enumerate(pieces)]


def _piece(value: object, place: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, Mapping):
        if isinstance(value.get("text"), str) and value.get("type", "text") == "text":
            return {"text": value["text"]}
        if isinstance(image := value.get("image_url"), Mapping | str):
            uri = image.get("url") if isinstance(image, Mapping) else image
            kind = mimetypes.guess_type(str(uri))[0]
            if str(uri).startswith("gs://") and kind:
                return {"fileData": {"mimeType": kind, "fileUri": uri}}
            raise wrong(place, "holds an image that is not in Cloud Storage: put it there (gs://bucket/name.png)")
        if "type" not in value:
            return dict(value)  # Vertex AI's own part, which is checked as such
    raise wrong(place, "cannot be learned, only text, files in Cloud Storage and function calls")


def _calls(turn: Mapping[str, Any], names: dict[object, str], place: str) -> list[dict[str, Any]]:
    parts = []
    for number, call in enumerate(_listed(turn, place)):
        where = f"{place}.tool_calls[{number}]"
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise wrong(where, "lacks the name of the function")
        names[call.get("id")] = function["name"]
        parts.append({"functionCall": {"name": function["name"], "args": _arguments(function.get("arguments"), where)}})
    return parts


def _listed(turn: Mapping[str, Any], place: str) -> list[Any]:
    calls = turn.get("tool_calls") or ([turn["function_call"]] if turn.get("function_call") else [])
    if not isinstance(calls, list | tuple):
        raise wrong(f"{place}.tool_calls", "must be a list")
    return list(calls)


def _arguments(value: object, where: str) -> Mapping[str, Any]:
    found = _object(value or {})
    if found is None:
        raise wrong(f"{where}.arguments", "must be an object in JSON")
    return found


def _answer(turn: Mapping[str, Any], names: Mapping[object, str], place: str) -> dict[str, Any]:
    name = turn.get("name") or names.get(turn.get("tool_call_id"))
    if not isinstance(name, str):
        raise wrong(place, "answers a call that is not there: write the name of the function, or its tool_call_id")
    text = "".join(part.get("text", "") for part in _parts(turn, place))
    found = _object(text)
    return {"functionResponse": {"name": name, "response": {"result": text} if found is None else found}}


def _object(value: object) -> Mapping[str, Any] | None:
    """Return an object that is there as such or as JSON; None for all else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None


def _tools(tools: object) -> object:
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, Mapping) for tool in tools):
        raise wrong("tools", "must be a list of objects")
    functions = [tool["function"] for tool in tools if tool.get("type") == "function" and "function" in tool]
    return [{"functionDeclarations": functions}] if len(functions) == len(tools) else list(tools)
