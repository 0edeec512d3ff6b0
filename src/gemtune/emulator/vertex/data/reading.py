"""Training data, as a running job reads it: lines of JSON, checked, counted, and ready to be answered from.

What is wrong with a line is found here and not at creation, as on the service; the job's error names the lines. An
example that is too long is no error: it is dropped and counted.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.vertex.data.stats import Counted, preference_stats, supervised_stats
from gemtune.emulator.world.answers import ExampleIndex, count_tokens
from gemtune.emulator.world.recall.rows import KnownRows
from gemtune.emulator.world.typed import check, fits

MOST_TOKENS = 131_072
MOST_VALIDATION_ROWS = 5_000
_MOST_PAIRS = 10_000  # that answers are looked for in; a gigabyte of examples must not live in memory
_MOST_CHARACTERS = 1 << 24  # of the prompts and answers of validation data
_MOST_NAMED = 10
_PART_KEYS = frozenset(
    {"text", "fileData", "file_data", "functionCall", "function_call", "functionResponse", "function_response"}
)
_INVALID_ARGUMENT, _NOT_FOUND = 3, 5


def _pairs(pairs: Iterable[Iterable[str]]) -> list[Any]:
    return [tuple(pair) for pair in pairs]  # lists, in a state file


def _tuple(error: Iterable[object] | None) -> Any:
    return None if error is None else tuple(error)


@attrs.frozen(kw_only=True)
class TuningData:
    """What a job knows of a dataset.

    Args:
        count: examples that are used.
        pairs: (prompt, answer) of the first ones.
        stats: the message with its statistics, but for the number of steps.
        error: (google.rpc code, message) if it cannot be used.
    """

    count: int = 1
    pairs: list[tuple[str, str]] = attrs.field(factory=list, converter=_pairs)
    stats: Value = attrs.field(factory=dict)
    error: tuple[int, str] | None = attrs.field(default=None, converter=_tuple)

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(TuningData))
        if self.count < 1 or not fits(self.pairs, list[tuple[str, str]]):
            raise ValueError(f"data of {self.count} examples, or with an example that is not a pair of strings")

    @cached_property
    def index(self) -> ExampleIndex:
        """Its pairs, ready to be searched."""
        return ExampleIndex.build(self.pairs)

    @cached_property
    def known(self) -> KnownRows:
        """Its pairs as right answers, if they are held out."""
        return KnownRows.of(self.pairs)


class _BadLine(ValueError):
    """What is wrong with one line."""


def data_key(raw: bytes | None, *what: object) -> str:
    """Return what tells a dataset from any other."""
    digest = hashlib.sha256(raw or b"")
    digest.update(repr((raw is None, *what)).encode())
    return digest.hexdigest()


def read_data(
    raw: bytes | None, uri: str, *, preference: bool, dropped: Iterable[int] = (), validation: bool = False
) -> TuningData:
    """Return what a job makes of a dataset.

    Args:
        raw: the object; None if there is none.
        uri: its name, for the error.
        preference: whether its lines are preference pairs.
        dropped: examples (from 1) that are left out besides those that are too long.
        validation: whether it is a validation file.
    """
    what = "validation" if validation else "training"
    if raw is None:
        why = "the object does not exist, or the tuning service agent may not read it"
        text = f"The {what} dataset {uri} cannot be read: {why}."
        return TuningData(error=(_NOT_FOUND, text))
    bad: list[str] = []
    used: list[Counted] = []
    left_out: list[tuple[int, str]] = []
    unwanted = set(dropped)
    for number, line in enumerate(_lines(raw), start=1):
        try:
            example = _example(line, preference=preference)
        except _BadLine as error:
            bad.append(f"Line {number}: {error}")
            continue
        if example.tokens > MOST_TOKENS:
            left_out.append((number, f"The example has {example.tokens} tokens; at most {MOST_TOKENS} are supported."))
        elif number in unwanted:
            left_out.append((number, "The example was dropped."))
        else:
            # Of all but the first ones only the numbers are kept.
            used.append(example if len(used) < _MOST_PAIRS else attrs.evolve(example, pairs=[], sample=[]))
    if not bad and not used:
        bad = ["It holds no usable example."]
    elif not bad and validation and len(used) > MOST_VALIDATION_ROWS:
        bad = [f"It has {len(used)} rows; at most {MOST_VALIDATION_ROWS} are supported."]
    if bad:
        more = f" And {len(bad) - _MOST_NAMED} more." if len(bad) > _MOST_NAMED else ""
        text = f"Invalid {what} dataset {uri}: {' '.join(bad[:_MOST_NAMED])}{more}"
        return TuningData(error=(_INVALID_ARGUMENT, text))
    stats = preference_stats(used, left_out) if preference else supervised_stats(used, left_out)
    pairs = [pair for example in used for pair in example.pairs]
    if validation:
        sizes = itertools.accumulate(len(asked) + len(answered) for asked, answered in pairs)
        pairs = [pair for pair, size in zip(pairs, sizes, strict=True) if size <= _MOST_CHARACTERS]
    return TuningData(count=len(used), pairs=pairs, stats=stats)


def _lines(raw: bytes) -> Iterator[bytes]:
    """Return the lines of a file; the last one may lack its end, and empty ones at the end are none."""
    lines = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return iter(lines)


def _example(line: bytes, *, preference: bool) -> Counted:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadLine(f"invalid JSON ({str(error)[:80]}).") from None
    if not isinstance(value, dict):
        raise _BadLine("it is not a JSON object.")
    contents = _contents(value.get("contents"), "contents")
    system = value.get("systemInstruction", value.get("system_instruction"))
    if system is not None:
        _check_content(system, "systemInstruction", roles=None)
    asked = [content for content in contents if content.get("role") != "model"]
    extra = [system] if system else []
    if preference:
        return _preference(value, contents, extra)
    if contents[-1].get("role") != "model":
        raise _BadLine("contents must end with a turn of the role model.")
    answers = [content for content in contents if content.get("role") == "model"]
    pairs = [
        (_text(first), _text(second))
        for first, second in itertools.pairwise(contents)
        if first.get("role") != "model" and second.get("role") == "model"
    ]
    return Counted(
        input_tokens=sum(count_tokens(_text(content)) for content in [*extra, *asked]),
        output_tokens=sum(count_tokens(_text(content)) for content in answers),
        messages=len(contents), pairs=pairs, sample=contents,
    )  # fmt: skip


def _preference(value: Mapping[str, Any], contents: list[Any], extra: list[Any]) -> Counted:
    if contents[-1].get("role") != "user":
        raise _BadLine("contents must end with a turn of the role user.")
    completions = value.get("completions")
    if not isinstance(completions, list) or len(completions) != 2:
        raise _BadLine("completions must hold exactly two completions.")
    for number, completion in enumerate(completions):
        where = f"completions[{number}]"
        if not isinstance(completion, dict) or completion.get("score") not in (0, 1):
            raise _BadLine(f"{where}.score must be 0 or 1.")
        _check_content(completion.get("completion"), f"{where}.completion", roles=("model",))
    scores = [float(completion["score"]) for completion in completions]
    best = max(completions, key=lambda completion: float(completion["score"]))
    return Counted(
        input_tokens=sum(count_tokens(_text(content)) for content in [*extra, *contents]),
        output_tokens=sum(count_tokens(_text(completion["completion"])) for completion in completions),
        messages=len(contents), pairs=[(_text(contents[-1]), _text(best["completion"]))],
        sample=[{"contents": contents, "completions": completions}], scores=scores,
    )  # fmt: skip


def _contents(given: Any, where: str) -> list[Any]:
    if not isinstance(given, list) or not given:
        raise _BadLine(f"missing required `{where}` field.")
    for number, content in enumerate(given):
        _check_content(content, f"{where}[{number}]", roles=("user", "model", "function", None))
    if given[0].get("role") == "model":
        raise _BadLine(f"{where} must begin with a turn of the role user.")
    return given


def _check_content(content: Any, where: str, roles: tuple[str | None, ...] | None) -> None:
    if not isinstance(content, dict):
        raise _BadLine(f"{where} must be an object with role and parts.")
    if roles is not None and content.get("role") not in roles:
        raise _BadLine(f"{where}.role must be user or model, not {content.get('role')!r:.40}.")
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        raise _BadLine(f"{where}.parts must not be empty.")
    for number, part in enumerate(parts):
        if not isinstance(part, dict) or not _PART_KEYS & part.keys():
            raise _BadLine(f"{where}.parts[{number}] must hold text, fileData or a function call.")
        if not isinstance(part.get("text", ""), str):
            raise _BadLine(f"{where}.parts[{number}].text must be a string.")


def _text(content: Mapping[str, Any]) -> str:
    return "".join(part.get("text", "") for part in content["parts"])
