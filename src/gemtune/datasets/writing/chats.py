"""Examples as chats: OpenAI's ``messages`` with its tool calls, and ``conversations`` of ShareGPT."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gemtune.datasets.chats import Manner
from gemtune.datasets.conversations import spelled, wrong
from gemtune.datasets.files import uri_of
from gemtune.datasets.writing.schemas import to_json_schema

_HELD: Final = ("text", "filedata", "inlinedata", "functioncall", "functionresponse")


def openai(example: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """Return an example as OpenAI has it: ``messages``, or for preferences ``input`` and two outputs.

    Raises:
        InvalidInput: It holds what has no place there.
    """
    given = spelled(example)
    messages = [*_system(given), *_messages(given["contents"], manner)]
    tools = _tools(given, manner)
    if not given.get("completions"):
        return {"messages": messages, **tools}
    better, worse = (
        [*_messages([answer], manner, f"completions[{place}]")] for place, answer in enumerate(answers(given))
    )
    return {"input": {"messages": messages, **tools}, "preferred_output": better, "non_preferred_output": worse}


def sharegpt(example: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """Return an example as ShareGPT has it, with ``function_call`` and ``observation`` as LLaMA-Factory reads them.

    Raises:
        InvalidInput: It holds what has no place there.
    """
    given = spelled(example)
    if given.get("completions"):
        raise wrong("completions", "has no place in this layout: use 'preference' or 'openai'", "no_place")
    turns = [{"from": "system", "value": text} for text in [joined_system(given)] if text]
    for place, turn in enumerate(given["contents"]):
        turns += _sharegpt_turns(turn, f"contents[{place}]", manner)
    tools = _tools(given, manner).get("tools")
    functions = [each["function"] for each in tools or ()]
    return {"conversations": turns, **({"tools": json.dumps(functions, ensure_ascii=False)} if functions else {})}


def _sharegpt_turns(turn: Mapping[str, Any], path: str, manner: Manner) -> Iterator[dict[str, Any]]:
    kinds = [kind for kind, _ in parts_of(turn, path, manner)]
    if len(kinds) > 1:
        if set(kinds) != {"text"}:
            raise wrong(path, "holds more than one thing, and a turn of this layout holds one", "no_place")
        manner.lose("parts_joined", path, "has several texts, which become one")
    values = [value for _, value in parts_of(turn, path, Manner())]
    if kinds[0] == "text":
        yield {"from": "gpt" if turn.get("role") == "model" else "human", "value": "".join(values)}
    elif kinds[0] == "functioncall":
        call = {"name": values[0]["name"], "arguments": values[0].get("args") or {}}
        yield {"from": "function_call", "value": json.dumps(call, ensure_ascii=False)}
    elif kinds[0] == "functionresponse":
        yield {"from": "observation", "value": _answered(values[0])}
    else:
        raise wrong(path, "holds a file, which has no place in this layout", "no_place")


def joined_system(given: Mapping[str, Any]) -> str:
    """Return the system instruction as one text; empty if there is none."""
    return "\n\n".join(message["content"] for message in _system(given))


def answers(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the better answer and the worse one."""
    ranked = sorted(given["completions"], key=lambda each: -spelled(each).get("score", 0))
    return [spelled(each)["completion"] for each in ranked]


def parts_of(turn: Mapping[str, Any], path: str, manner: Manner) -> list[tuple[str, Any]]:
    """Return what the parts of a turn hold: what it is, and it."""
    found = []
    for place, part in enumerate(turn.get("parts") or ()):
        given = spelled(part)
        kind = next(kind for kind in _HELD if given.get(kind) is not None)
        for extra in given:
            if extra != kind and given[extra] is not None:
                manner.lose("left_out", f"{path}.parts[{place}]", f"loses {extra!r:.40}, which has no place")
        value = given[kind]
        found.append((kind, value if isinstance(value, str) else spelled_file(kind, value)))
    return found


def spelled_file(kind: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object that a part holds; a file's keys in one spelling."""
    if kind not in {"filedata", "inlinedata"}:
        return value
    given = spelled(value)
    return {"fileUri": given.get("fileuri"), "data": given.get("data"), "mimeType": given.get("mimetype")}


def _system(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    system = given.get("systeminstruction")
    if system is None:
        return []
    parts = [{"text": system}] if isinstance(system, str) else spelled(system)["parts"]
    return [{"role": "system", "content": "\n\n".join(part["text"] for part in parts)}]


def _messages(contents: list[Mapping[str, Any]], manner: Manner, where: str = "") -> Iterator[dict[str, Any]]:
    calls = _Calls()
    for place, turn in enumerate(contents):
        path = where or f"contents[{place}]"
        parts = parts_of(turn, path, manner)
        if turn.get("role") == "model":
            yield _assistant(parts, path, calls, manner)
            continue
        for kind, value in parts:
            if kind == "functionresponse":
                yield {"role": "tool", **calls.answered(value["name"]), "content": _answered(value)}
        pieces = [_piece(kind, value, path, manner) for kind, value in parts if kind != "functionresponse"]
        if pieces:
            if len(pieces) < len(parts):
                manner.lose("order", path, "mixes answers of functions with text, which comes after them")
            plain = len(pieces) == 1 and pieces[0]["type"] == "text"
            yield {"role": "user", "content": pieces[0]["text"] if plain else pieces}


def _assistant(parts: list[tuple[str, Any]], path: str, calls: _Calls, manner: Manner) -> dict[str, Any]:
    kinds = [kind for kind, _ in parts]
    if any(kind not in {"text", "functioncall"} for kind in kinds):
        raise wrong(path, "holds what only a user can give in this layout", "no_place")
    if kinds != sorted(kinds, reverse=True):
        manner.lose("order", path, "has text after a call, which comes before it")
    texts = [value for kind, value in parts if kind == "text"]
    content: Any = None
    if texts:
        content = texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]
    made = [calls.made(value) for kind, value in parts if kind == "functioncall"]
    return {"role": "assistant", "content": content, **({"tool_calls": made} if made else {})}


class _Calls:
    """The calls of a chat under the ids that OpenAI wants and Google does not have."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []

    def made(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Return a call, under an id of its own."""
        self._count += 1
        number = f"call_{self._count}"
        self._open.append((call["name"], number))
        arguments = json.dumps(call.get("args") or {}, ensure_ascii=False)
        return {"id": number, "type": "function", "function": {"name": call["name"], "arguments": arguments}}

    def answered(self, name: str) -> dict[str, Any]:
        """Return what says which call is answered: the first open one of that function."""
        for place, (called, number) in enumerate(self._open):
            if called == name:
                del self._open[place]
                return {"tool_call_id": number}
        return {"tool_call_id": f"call_{name}", "name": name}


def _answered(value: Mapping[str, Any]) -> str:
    """Return what a function answered as text, such that it reads back as the same."""
    response = value.get("response") or {}
    text = response.get("result") if len(response) == 1 else None
    if isinstance(text, str):
        try:
            if not isinstance(json.loads(text), Mapping):
                return text
        except (ValueError, RecursionError):
            return text
    return json.dumps(response, ensure_ascii=False)


def _piece(kind: str, value: Any, path: str, manner: Manner) -> dict[str, Any]:
    if kind == "text":
        return {"type": "text", "text": value}
    uri = uri_of(value)
    if uri is None or not str(value.get("mimeType")).startswith("image/"):
        raise wrong(path, "holds a file that is no image, which has no place in this layout", "no_place")
    if uri.startswith("gs:"):
        manner.lose("address", path, "points to Cloud Storage, which others cannot read", "warning")
    return {"type": "image_url", "image_url": {"url": uri}}


def _tools(given: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    functions: list[Any] = []
    for place, tool in enumerate(given.get("tools") or ()):
        declared = spelled(tool)
        functions += declared.pop("functiondeclarations", None) or []
        for name in declared:
            manner.lose("left_out", f"tools[{place}].{name}", "has no place in this layout", "warning")
    if given.get("toolconfig"):
        manner.lose("left_out", "toolConfig", "has no place in this layout")
    return (
        {"tools": [{"type": "function", "function": to_json_schema(each)} for each in functions]} if functions else {}
    )
