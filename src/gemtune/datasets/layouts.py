"""Rows in the layouts of chat models: OpenAI's ``messages``, Vertex AI's ``contents``, ``conversations``.

A tuned model of the Gemini API learns pairs: one input, one output. A chat of one turn is such a pair; its system
instruction is joined to the input, as there is no other place for it. A chat of several turns is none, and is refused
rather than cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gemtune.datasets.headings import PREFACES, plain
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy

_LAYOUTS: Final = {
    "messages": "the chat layout of OpenAI (messages)",
    "contents": "the contents layout of Vertex AI",
    "conversations": "the conversations layout of ShareGPT",
}
COLUMNS: Final = {
    "messages": ("messages: user", "messages: assistant"),
    "contents": ("contents: user", "contents: model"),
    "conversations": ("conversations: human", "conversations: gpt"),
}
"""What a report says of a layout instead of the columns for input and output, in the words of the file."""
ROLES: Final = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "model",
    "model": "model",
    "gpt": "model",
    "bot": "model",
}
ON_VERTEX: Final = Remedy("tune on Vertex AI, which takes it: ", Argument("vertexai", True))
_SYSTEM: Final = frozenset(map(plain, PREFACES))


def layout_of(row: Mapping[str, object]) -> str | None:
    """Return the key that shows which chat layout a row has; None if it has none."""
    return next((key for key in _LAYOUTS if turns_of(row.get(key)) is not None), None)


def turns_of(value: object) -> Sequence[Mapping[str, object]] | None:
    """Return the turns of a chat; None if a value is none."""
    value = value.tolist() if hasattr(value, "tolist") else value  # numpy's array, as Parquet files give
    if isinstance(value, list | tuple) and value and all(isinstance(turn, Mapping) for turn in value):
        return value if any(role_key(turn) or "parts" in turn for turn in value) else None
    return None


def pair(row: Mapping[str, object], key: str) -> tuple[str, object]:
    """Return input and output of a chat of one turn.

    Raises:
        InvalidInput: It has several turns, or holds something else than text.
    """
    layout = _LAYOUTS[key]
    turns = turns_of(row[key]) or ()
    said: list[tuple[str, str, str]] = []
    # Beside the turns: Vertex AI's systemInstruction, PaLM's context.
    system = [_text(value, layout) for name, value in row.items() if plain(name) in _SYSTEM and value is not None]
    for turn in turns:
        role = str(turn.get(role_key(turn) or "role", "user")).lower()
        part = ROLES.get(role)
        if part is None or turn.get("tool_calls") or turn.get("function_call"):
            raise InvalidInput(f"{layout} holds a call of a tool or a turn of {role!r:.40}: only text can be learned")
        if turn.get("weight") in (0, "0"):
            raise InvalidInput(f"{layout} marks an answer with weight 0, which is not to be learned: drop the row")
        text = _text(next((turn[name] for name in ("content", "parts", "value") if name in turn), None), layout)
        if part == "system":
            system.append(text)
        else:
            said.append((part, role, text))
    if [part for part, _, _ in said] != ["user", "model"]:
        order = ", ".join(role for _, role, _ in said[:6]) + (", ..." if len(said) > 6 else "")
        raise InvalidInput(
            f"{layout} with {len(said)} turns ({order}): only one question with its answer can be learned here; "
            "make a row of each pair of turns",
            ON_VERTEX,
        )
    question, answer = (text for _, _, text in said)
    if not question.strip():
        return "", answer
    return "\n\n".join([*filter(str.strip, system), question]), answer


def role_key(turn: Mapping[str, object]) -> str | None:
    # Vertex AI lets a turn without a role be the user's.
    return next((name for name in ("role", "author", "from") if name in turn), None)


def _text(value: object, layout: str) -> str:
    """Return the text of a string, of parts, or of a content with parts."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and "parts" in value:
        return _text(value["parts"], layout)
    if isinstance(value, Mapping) and isinstance(value.get("text"), str) and value.get("type", "text") == "text":
        return str(value["text"])
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return "".join(_text(part, layout) for part in value)
    raise InvalidInput(f"{layout} holds something else than text, such as an image: only text can be learned")
