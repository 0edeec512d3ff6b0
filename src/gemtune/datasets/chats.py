"""Conversations in the layouts of others as Vertex AI has them: OpenAI's ``messages``, ``conversations`` of ShareGPT.

Nothing is left out in silence: what has no place there is refused, such as an image that does not lie in Cloud Storage,
or noted as lost. How far a chat may be bent is its ``Manner``; ``client.tune`` uses the strict one.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from gemtune.datasets.conversations import wrong
from gemtune.datasets.files import FileShelf, file_part
from gemtune.datasets.layouts import ROLES, role_key, turns_of
from gemtune.datasets.problems import Issue, Severity
from gemtune.datasets.writing.schemas import beyond, to_google
from gemtune.protocol.codec import encode
from gemtune.types.message import Message

Weights: TypeAlias = Literal["refuse", "learn"]

_CALLS: Final = ("tool_calls", "function_call")
_ANSWERS: Final = frozenset({"tool", "function", "observation"})
_ROW: Final = frozenset({"system", "system_prompt", "tools", "functions"})
_TURN: Final = frozenset({"role", "author", "from", "content", "parts", "value", "weight", "refusal", *_CALLS})


@attrs.define(eq=False)
class Manner:
    """How far a chat may be bent to fit, and what that loses.

    Args:
        weights: Whether an answer of weight 0, which is not to be learned, is learned or makes its row wrong.
        anywhere: Whether files may lie elsewhere than in Cloud Storage, as for a request, but not for tuning.
        shelf: Takes files that stand in the data itself.
    """

    weights: Weights = "refuse"
    anywhere: bool = False
    shelf: FileShelf | None = None
    _row: int | None = attrs.field(default=None, init=False)
    _losses: list[Issue] = attrs.field(factory=list, init=False)

    def begin(self, row: int) -> list[Issue]:
        """Begin with a row, and return the list into which its losses will come."""
        if self._losses:
            self._losses = []
        self._row = row
        return self._losses

    def lose(self, code: str, path: str, message: str, severity: Severity = "note") -> None:
        """Take note of what an example lacks of its row."""
        self._losses.append(Issue(code=code, severity=severity, message=message, row=self._row, path=path))


@attrs.define(eq=False)
class _Asked:
    """The calls of a chat, and which of them have been answered since its last turn.

    Google finds the call of an answer by the name of the function and, among calls of the same one, by their order;
    OpenAI finds it by its id, so that answers may come in any order.
    """

    _names: dict[object, str] = attrs.field(factory=dict, init=False)
    _places: dict[object, int] = attrs.field(factory=dict, init=False)
    _count: int = attrs.field(default=0, init=False)
    _answered: list[float] = attrs.field(factory=list, init=False)

    def called(self, number: object, name: str) -> None:
        """Take note of a call and its id."""
        self._count += 1
        self._names[number], self._places[number] = name, self._count

    def name(self, number: object) -> str | None:
        """Return the function that was called under an id."""
        return self._names.get(number)

    def end(self) -> None:
        """Take note of a turn that is no answer."""
        self._answered.clear()

    def order(self, parts: list[dict[str, Any]], number: object) -> None:
        """Move the answer that was added last to where its call stands; what has no id stays behind the others."""
        call = float("inf") if number is None else self._places.get(number, float("inf"))
        place = bisect(self._answered, call)
        behind = len(self._answered) - place
        self._answered.insert(place, call)
        parts.insert(len(parts) - 1 - behind, parts.pop())


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


def converted(row: Mapping[str, Any], key: str, manner: Manner) -> dict[str, Any]:
    """Return a chat as an example of Vertex AI's; the turns stand under a key.

    Raises:
        InvalidInput: It holds what cannot be learned.
    """
    example = conversation(turns_of(row[key]) or (), key, manner, [row.get("system"), row.get("system_prompt")])
    for name in row:
        if name != key and name not in _ROW and row[name] is not None:
            manner.lose("left_out", str(name), "has no place in the example")
    return {**example, **tools_of(row, manner)}


def conversation(
    turns: Iterable[Mapping[str, Any]], where: str, manner: Manner, system: Sequence[object] = ()
) -> dict[str, Any]:
    """Return turns as ``contents`` and, if there is one, ``systemInstruction``.

    Args:
        turns: Messages with a role each.
        where: What they stand in, for errors.
        manner: How far they may be bent.
        system: What stands beside them of a system instruction.
    """
    said = [str(each) for each in system if each]
    contents: list[dict[str, Any]] = []
    asked = _Asked()
    for number, given in enumerate(turns):
        turn, place = given, f"{where}[{number}]"
        word = str(turn.get(role_key(turn) or "role", "user")).lower()
        _weigh(turn, place, manner)
        if word in _ANSWERS:
            _add(contents, "user", [_answer(turn, asked, place)], place, manner)
            asked.order(contents[-1]["parts"], turn.get("tool_call_id"))
            continue
        role = "model" if word == "function_call" else ROLES.get(word)
        if role is None:
            what = f"is {word!r:.40}, and must be one of 'system', 'user' or 'assistant'"
            raise wrong(f"{place}.role", what, "unrecognized_role")
        if word == "function_call":  # of ShareGPT, whose value is the call
            turn = {"function_call": _object(turn.get("value")) or {}}
        parts = [*_parts(turn, place, manner), *_calls(turn, asked, place)]
        _note_rest(turn, place, manner)
        if role == "system":
            if contents:
                manner.lose("moved", place, "stands in the middle of the chat, and becomes part of its beginning")
            said += _texts(parts, place)
        else:
            asked.end()
            _add(contents, role, parts, place, manner)
    example: dict[str, Any] = {"systemInstruction": {"parts": [{"text": "\n\n".join(said)}]}} if said else {}
    return {**example, "contents": contents}


def _weigh(turn: Mapping[str, Any], place: str, manner: Manner) -> None:
    if turn.get("weight") not in (0, "0"):
        return
    if manner.weights == "refuse":
        raise wrong(place, "has weight 0, which is not to be learned: drop the row", "weight_zero")
    manner.lose("weight_zero", place, "has weight 0 and will be learned: there is nothing like it", "warning")


def _add(contents: list[dict[str, Any]], role: str, parts: list[dict[str, Any]], place: str, manner: Manner) -> None:
    """Add a turn, or its parts to the last one if that is of the same role: roles take turns."""
    before = contents[-1] if contents else None
    if before is None or before["role"] != role or _are_answers(before["parts"]) != _are_answers(parts):
        contents.append({"role": role, "parts": parts})
        return
    if not _are_answers(parts):  # the answers to calls of one turn are one turn
        manner.lose("consecutive_turns", place, "is of the same role as the turn before, and becomes part of it")
    before["parts"] += parts


def _are_answers(parts: Sequence[Mapping[str, Any]]) -> bool:
    return bool(parts) and "functionResponse" in parts[-1]


def _note_rest(turn: Mapping[str, Any], place: str, manner: Manner) -> None:
    for name in turn.keys() - _TURN:
        if turn[name] is not None:
            manner.lose("left_out", f"{place}.{name}", "has no place in a turn")
    calls = turn.get("tool_calls")
    if isinstance(calls, list | tuple) and any(isinstance(each, Mapping) and "id" in each for each in calls):
        manner.lose("call_ids", f"{place}.tool_calls", "loses its ids: an answer is found by its function's name")


def _parts(turn: Mapping[str, Any], place: str, manner: Manner) -> list[dict[str, Any]]:
    names = ("content", "parts", "value", "refusal")
    value = next((turn[name] for name in names if turn.get(name) is not None), None)
    if value is None or (value == "" and any(turn.get(name) for name in _CALLS)):
        return []
    if isinstance(value, str):
        return [{"text": value}]
    value = value["parts"] if isinstance(value, Mapping) and "parts" in value else value
    pieces = value if isinstance(value, list | tuple) else [value]
    return [_piece(each, f"{place}.content[{number}]", manner) for number, each in enumerate(pieces)]


def _piece(value: object, place: str, manner: Manner) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, Mapping):
        if isinstance(value.get("text"), str) and value.get("type", "text") == "text":
            return {"text": value["text"]}
        if isinstance(value.get("refusal"), str) and value.get("type") == "refusal":
            return {"text": value["refusal"]}
        if isinstance(image := value.get("image_url"), Mapping | str):
            uri = image.get("url") if isinstance(image, Mapping) else image
            if isinstance(image, Mapping) and image.get("detail") not in {None, "auto"}:
                manner.lose("left_out", f"{place}.image_url.detail", "has no place in a part")
            return file_part(str(uri), place, anywhere=manner.anywhere, shelf=manner.shelf)
        if "type" not in value:
            return dict(value)  # Vertex AI's own part, which is checked as such
    what = "cannot be learned, only text, files in Cloud Storage and function calls"
    raise wrong(place, what, "invalid_part")


def _texts(parts: Sequence[Mapping[str, Any]], place: str) -> list[str]:
    if not all("text" in part for part in parts):
        raise wrong(place, "holds something else than text, which has no place there", "invalid_part")
    return [part["text"] for part in parts]


def _calls(turn: Mapping[str, Any], asked: _Asked, place: str) -> list[dict[str, Any]]:
    parts = []
    for number, call in enumerate(_listed(turn, place)):
        where = f"{place}.tool_calls[{number}]"
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise wrong(where, "lacks the name of the function", "invalid_part")
        asked.called(call.get("id"), function["name"])
        parts.append({"functionCall": {"name": function["name"], "args": _arguments(function.get("arguments"), where)}})
    return parts


def _listed(turn: Mapping[str, Any], place: str) -> list[Any]:
    calls = turn.get("tool_calls") or ([turn["function_call"]] if turn.get("function_call") else [])
    if not isinstance(calls, list | tuple):
        raise wrong(f"{place}.tool_calls", "must be a list", "invalid_part")
    return list(calls)


def _arguments(value: object, where: str) -> Mapping[str, Any]:
    found = _object(value or {})
    if found is None:
        raise wrong(f"{where}.arguments", "must be an object in JSON", "invalid_part")
    return found


def _answer(turn: Mapping[str, Any], asked: _Asked, place: str) -> dict[str, Any]:
    name = turn.get("name") or asked.name(turn.get("tool_call_id"))
    if not isinstance(name, str):
        what = "answers a call that is not there: write the name of the function, or its tool_call_id"
        raise wrong(place, what, "invalid_part")
    text = "".join(_texts(_parts(turn, place, Manner()), place))
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


def _read(tools: Any) -> Any:
    if not isinstance(tools, str):
        return tools
    try:
        return json.loads(tools or "null")  # as ShareGPT's data sets have it
    except (ValueError, RecursionError):
        raise wrong("tools", "must be a list of objects in JSON") from None


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    if tool.get("type") in (None, "function"):
        function = tool.get("function")
        if isinstance(function, Mapping):
            return function
        if isinstance(tool.get("name"), str):  # a bare declaration
            return {key: value for key, value in tool.items() if key != "type"}
    raise wrong("tools", "holds what is no function: leave it out")


def tools_of(row: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """Return the tools of a row, which are ``tools`` or, as it was before, ``functions``."""
    tools = _read(row.get("tools"))
    if not tools:
        tools = [{"type": "function", "function": each} for each in row.get("functions") or ()]
    elif row.get("functions"):
        manner.lose("left_out", "functions", "are left out, as there are tools as well", "warning")
    if not tools:
        return {}
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, Mapping) for tool in tools):
        raise wrong("tools", "must be a list of objects")
    if not any("type" in tool for tool in tools) and not all(isinstance(tool.get("name"), str) for tool in tools):
        return {"tools": list(tools)}  # Vertex AI's own
    functions = [to_google(_function(tool)) for tool in tools]
    if any("strict" in each for each in functions):
        manner.lose("left_out", "tools", "lose 'strict', which has no place in the declaration of a function")
        functions = [{key: value for key, value in each.items() if key != "strict"} for each in functions]
    if strange := set[str]().union(*map(beyond, functions)):
        words = ", ".join(sorted(strange))
        manner.lose("schema", "tools", f"say {words}, which Google's schemas do not have; say it otherwise", "warning")
    return {"tools": [{"functionDeclarations": functions}]}
