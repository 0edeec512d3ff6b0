"""Conversations as Vertex AI learns them: what one may hold, and where a wrong one is wrong.

An example is ``{"systemInstruction": ..., "contents": [...], "tools": [...]}`` and ends with what the model is to say.
For preference tuning it ends with a question, and ``completions`` holds two answers with the scores 1 and 0. What is
learned is text and calls of functions, and in supervised tuning files in Cloud Storage; the service finds everything
else only once the job runs, and the job fails then.

Keys may be written in either style of Google's (``systemInstruction``, ``system_instruction``), as the service takes
both. An example that is right is left as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from gemtune.datasets.problems import row_error
from gemtune.errors import InvalidInput

Method: TypeAlias = Literal["supervised", "preference"]

_EXAMPLE: Final = frozenset({"systeminstruction", "contents", "tools", "toolconfig"})
_TURN: Final = frozenset({"role", "parts"})
_ROLES: Final = frozenset({"user", "model", "function"})
_KINDS: Final = frozenset({"text", "filedata", "functioncall", "functionresponse"})
_TEXT: Final = frozenset({"text"})
_INLINE: Final = _KINDS | {"inlinedata"}
_BESIDE: Final = frozenset({"videometadata", "mediaresolution", "thoughtsignature"})
"""What may stand beside the one thing that a part holds."""
LONG: Final = 131_072 * 4
"""Characters of about so many tokens as one example may have."""


def key_of(name: object) -> str:
    """Return a key as it is compared, in either style of spelling."""
    return str(name).replace("_", "").lower()


def spelled(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object by its keys as they are compared."""
    return {key_of(key): each for key, each in value.items()}


@attrs.define
class Looked:
    """What was seen of one example while it was checked.

    Args:
        characters: The characters of its text.
        files: Whether it refers to files.
        anywhere: Whether files may lie elsewhere than in Cloud Storage, inline as well: so the Gemini API is asked, but
            nothing is tuned on them.
        left_out: The keys that the service does not know there.
    """

    characters: int = 0
    files: bool = False
    anywhere: bool = False
    left_out: tuple[str, ...] = ()


def is_conversation(row: Mapping[str, Any]) -> bool:
    """Return whether a row is laid out as Vertex AI has it."""
    return isinstance(row.get("contents"), list | tuple)


def check(row: Mapping[str, Any], method: Method, *, anywhere: bool = False) -> tuple[Mapping[str, Any], Looked]:
    """Return an example as it can be sent, the same object if it may stay as it is.

    Args:
        row: The example.
        method: How to tune on it.
        anywhere: Whether its files may lie elsewhere than in Cloud Storage.

    Raises:
        InvalidInput: It could not be learned; the message begins with the place.
    """
    seen = Looked(anywhere=anywhere)
    if len(row) == 1 and method == "supervised":  # nothing but contents, as most examples are
        _contents(row["contents"], seen, method)
        return row, seen
    allowed = _EXAMPLE if method == "supervised" else _EXAMPLE | {"completions"}
    known = {key: name for name in row if (key := key_of(name)) in allowed}
    contents = row[known["contents"]]
    _contents(contents, seen, method)
    if method == "preference":
        _completions(row.get(known.get("completions", "")), seen)
    _tools(row.get(known.get("tools", "")), "tools")
    changed: dict[str, Any] = {}
    system = known.get("systeminstruction")
    if system is not None and row[system] is not None:
        instruction = _instruction(row[system], system, seen)
        if instruction is not row[system]:
            changed[system] = instruction
    extra = tuple(str(name) for name in row if name not in known.values())
    empty = [name for name in known.values() if row[name] is None]
    seen.left_out = extra
    if not (extra or empty or changed):
        return row, seen
    kept = {name: value for name, value in row.items() if name in known.values() and value is not None}
    return {**kept, **changed}, seen


def wrong(where: str, what: str, code: str = "invalid_input") -> InvalidInput:
    """Return the error about something, by its place in the example and the name that Google has for it."""
    return row_error(f"{where} {what}", code=code, path=where, field=where.partition("[")[0].partition(".")[0])


def _contents(contents: object, seen: Looked, method: Method) -> None:
    if not isinstance(contents, list | tuple) or not contents:
        code = "missing_contents_list" if contents is None else "invalid_contents_list"
        raise wrong("contents", "must be a list of turns", code)
    role: str | None = "user"
    kinds = _TEXT if method == "preference" else _INLINE if seen.anywhere else _KINDS
    for number, content in enumerate(contents):
        role = _text_turn(content, seen) or _turn(content, f"contents[{number}]", seen, kinds=kinds)
    if method == "supervised" and role != "model":
        what = f"ends with a turn of {role!r}: the last turn is what the model is to learn (role 'model')"
        raise wrong("contents", what, "no_answer")
    if method == "preference" and role == "model":
        what = "ends with a turn of 'model': the last turn is the question that the completions answer"
        raise wrong("contents", what, "no_question")


def _text_turn(content: Any, seen: Looked) -> str | None:
    """Return the role of a turn that is one text, as nearly all are: a file of a gigabyte holds millions; else None."""
    if type(content) is not dict or len(content) != 2:
        return None
    role, parts = content.get("role"), content.get("parts")
    if type(parts) is not list or len(parts) != 1 or type(role) is not str or role not in _ROLES:
        return None
    part = parts[0]
    if type(part) is not dict or len(part) != 1 or type(text := part.get("text")) is not str or not text.strip():
        return None
    seen.characters += len(text)
    return role


def _turn(content: object, where: str, seen: Looked, *, kinds: frozenset[str]) -> str:
    if not isinstance(content, Mapping):
        raise wrong(where, "must be an object with role and parts", "invalid_content_item")
    given = content if content.keys() == _TURN else spelled(content)
    for key in given.keys() - _TURN:
        what = f"holds {_as_written(content, key)!r}; a turn has role and parts"
        raise wrong(where, what, "invalid_content_item")
    role = given.get("role") or "user"
    if role not in _ROLES:
        raise wrong(f"{where}.role", f"is {role!r:.40}, and must be 'user' or 'model'", "unrecognized_role")
    _parts(given.get("parts"), f"{where}.parts", seen, kinds=kinds)
    return str(role)


def _parts(parts: object, where: str, seen: Looked, *, kinds: frozenset[str]) -> None:
    if not isinstance(parts, list | tuple) or not parts:
        code = "content_item_missing_key" if parts is None else "missing_or_invalid_parts"
        raise wrong(where, 'must be a list of parts such as {"text": "..."}', code)
    before = seen.characters
    said = True
    for number, part in enumerate(parts):
        said = _part(part, f"{where}[{number}]", seen, kinds=kinds) and said
    if said and seen.characters == before:
        raise wrong(where, "is empty; fill it in or drop the row", "missing_text")


def _part(part: object, where: str, seen: Looked, *, kinds: frozenset[str]) -> bool:
    """Check a part, and return whether it is text."""
    if not isinstance(part, Mapping):
        raise wrong(where, 'must be an object such as {"text": "..."}', "invalid_part")
    given = {key: value for key, value in spelled(part).items() if value is not None}
    held = [key for key in given if key not in _BESIDE]
    for key in held:
        place = f"{where}.{_as_written(part, key)}"
        if key == "inlinedata" and key not in kinds:
            what = "cannot be learned: put the file into Cloud Storage (fileData)"
            raise wrong(place, what, "file_not_in_cloud_storage")
        if key not in kinds:
            what = f"cannot be learned, only {'text' if kinds is _TEXT else 'text, fileData and calls'}"
            raise wrong(place, what, "invalid_part")
    if len(held) != 1:
        what = f"must hold one thing, such as text, and holds {', '.join(held) or 'nothing'}"
        raise wrong(where, what, "invalid_part")
    (kind,) = held
    value, place = given[kind], f"{where}.{_as_written(part, kind)}"
    if kind == "text":
        if not isinstance(value, str):
            raise wrong(place, "must be a string", "missing_text")
        seen.characters += len(value) if not value.isspace() else 0
    elif kind in {"filedata", "inlinedata"}:
        _file(value, place, anywhere=seen.anywhere)
        seen.files = True
    else:
        _call(value, place, answered=kind == "functionresponse")
    return kind == "text"


def _file(value: object, where: str, *, anywhere: bool) -> None:
    given = spelled(value) if isinstance(value, Mapping) else {}
    uri = given.get("fileuri")
    if not anywhere and not (isinstance(uri, str) and uri.startswith("gs://") and len(uri) > len("gs://x/")):
        what = f"must be a file in Cloud Storage, 'gs://bucket/name', not {uri!r:.60}"
        raise wrong(f"{where}.fileUri", what, "file_not_in_cloud_storage")
    if not isinstance(given.get("mimetype"), str) or not given["mimetype"]:
        what = "is missing; write what the file is, such as 'image/png'"
        raise wrong(f"{where}.mimeType", what, "invalid_part")


def _call(value: object, where: str, *, answered: bool) -> None:
    given = spelled(value) if isinstance(value, Mapping) else {}
    if not isinstance(given.get("name"), str) or not given["name"]:
        raise wrong(f"{where}.name", "is missing; write the name of the function", "invalid_part")
    key = "response" if answered else "args"
    if not isinstance(given.get(key, None if answered else {}), Mapping):
        raise wrong(f"{where}.{key}", "must be an object", "invalid_part")


def _instruction(value: object, name: str, seen: Looked) -> Any:
    if isinstance(value, str):
        value = {"parts": [{"text": value}]}
    if not isinstance(value, Mapping):
        raise wrong(name, "must be an object with parts", "invalid_system_instruction")
    for key in spelled(value).keys() - _TURN:
        what = f"holds {_as_written(value, key)!r}; it has parts only"
        raise wrong(name, what, "invalid_system_instruction")
    _parts(spelled(value).get("parts"), f"{name}.parts", seen, kinds=_TEXT)
    if any(key_of(key) == "role" for key in value):
        # Documented as ignored, and reported as refused: without it the line is right either way.
        return {key: each for key, each in value.items() if key_of(key) != "role"}
    return value


def _tools(value: object, where: str) -> None:
    if value is None:
        return
    if not isinstance(value, list | tuple) or not all(isinstance(tool, Mapping) for tool in value):
        raise wrong(where, 'must be a list of objects such as {"functionDeclarations": [...]}')


def _completions(value: object, seen: Looked) -> None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        count = f"{len(value)}" if isinstance(value, list | tuple) else "none"
        raise wrong("completions", f"must be two answers, one with score 1 and one with score 0, not {count}")
    for number, each in enumerate(value):
        where = f"completions[{number}]"
        given = spelled(each) if isinstance(each, Mapping) else {}
        role = _turn(given.get("completion"), f"{where}.completion", seen, kinds=_TEXT)
        if role != "model":
            what = f"is {role!r:.40}, and must be 'model'"
            raise wrong(f"{where}.completion.role", what, "unrecognized_role")
    scores = sorted(_scores(value))
    if scores != [0, 1]:
        raise wrong(
            "completions", f"must have the scores 1 (the better answer) and 0, not {scores[1]:g} and {scores[0]:g}"
        )


def _scores(value: Any) -> Iterator[float]:
    for number, each in enumerate(value):
        score = spelled(each).get("score", 0)  # a zero may be left out, as everywhere in Google's JSON
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise wrong(f"completions[{number}].score", f"must be 1 or 0, not {score!r:.40}")
        yield score


def _as_written(value: Mapping[str, Any], key: str) -> str:
    return next(str(name) for name in value if key_of(name) == key)
