"""Whether an answer is the expected JSON: the same values, however they are written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, ClassVar, Final, Never

import attrs

from gemtune.errors import InvalidInput
from gemtune.metrics.normal import unfenced
from gemtune.metrics.values import HeldOutRow, Metric, Scored

_BEGINS: Final = re.compile(r"[ \t]*```[^`]*")
_ENDS: Final = re.compile(r"[ \t]*```[ \t]*")
_MISSING: Final = object()


def json_equal(*, fields: Iterable[str] | str | None = None, ignore: Iterable[str] | str = ()) -> Metric:
    """Return the metric of whether an answer is the expected JSON.

    The order of keys, white space and the spelling of numbers (``1``, ``1.0``, ``1e0``) make no difference; the order
    of lists, the case of strings, ``true`` and ``1``, ``null`` and a missing key do. The answer may stand in a code
    fence, and text may stand around the fence if it is the only one.

    Args:
        fields: What to compare of two objects, such as ``["name", "address.city"]``; None compares all.
        ignore: What not to compare of two objects, such as ``"id"``.

    Returns:
        A metric whose scores are 1 or 0. An answer that is not JSON is wrong; a row whose expected text is not JSON has
        no score.

    Raises:
        InvalidInput: A field is not a string, or both arguments are given.

    Example:
        >>> row = HeldOutRow(key=1, number=1, request={}, question="Who?", expected='{"name": "Ada", "born": 1815}')
        >>> json_equal().score('```json\\n{"born": 1815.0, "name": "Ada"}\\n```', row)
        True
        >>> json_equal(fields="born").score('{"born": 1815}', row)
        True
    """
    wanted = None if fields is None else _paths("fields", fields)
    left_out = _paths("ignore", ignore)
    if wanted is not None and left_out:
        raise InvalidInput(
            "fields and ignore cannot both be given: fields already says what to compare", field="ignore"
        )

    about = "1 if the answer is the expected JSON, whatever the order of its keys"
    if wanted is not None:
        about = f"1 if the answer is JSON with the expected {', '.join(map('.'.join, wanted))}"
    elif left_out:
        about += f", except for {', '.join(map('.'.join, left_out))}"
    return Metric(
        name="json_equal", score=_JsonScorer(wanted, left_out), kind="share", about=about, expects=True, bounds=(0, 1)
    )


@attrs.frozen
class _JsonScorer:
    wanted: list[tuple[str, ...]] | None
    left_out: list[tuple[str, ...]]
    reads: ClassVar[str] = "JSON"

    def can_read(self, expected: str) -> bool:
        try:
            _parsed(expected)
        except ValueError:
            return False
        return True

    def __call__(self, answer: str, row: HeldOutRow) -> Scored:
        try:
            expected = _parsed(row.expected)
        except ValueError:
            return None
        try:
            found = _parsed(answer)
        except ValueError:
            return False
        if self.wanted is None:
            return _same(_without(expected, self.left_out), _without(found, self.left_out))
        return all(_same(_at(expected, path), _at(found, path)) for path in self.wanted)


def _paths(name: str, given: Iterable[str] | str) -> list[tuple[str, ...]]:
    names = [given] if isinstance(given, str) else list(given)
    for each in names:
        if not isinstance(each, str) or not each:
            raise InvalidInput(f"{name} must be names of fields, not {each!r}", field=name)
    if name == "fields" and not names:
        raise InvalidInput("fields is empty: name at least one field, or leave it out to compare all", field=name)
    return [tuple(each.split(".")) for each in names]


def _parsed(text: str) -> Any:
    """Return the value of a JSON text; ValueError if it is none."""
    plain = unfenced(text).strip().removeprefix("\ufeff")
    blocks = [*_blocks(plain)]
    try:
        # Decimal, because 0.1 and 0.10 are equal and 9007199254740993 is not 9007199254740992.0.
        return json.loads(plain if len(blocks) != 1 else blocks[0], parse_float=Decimal, parse_constant=_refuse)
    except (RecursionError, ArithmeticError) as error:
        raise ValueError(str(error)) from None


def _blocks(text: str) -> Iterator[str]:
    """Yield what stands in the code fences of a text; of a fence that does not end, nothing."""
    inside: list[str] | None = None
    for line in text.split("\n"):
        if inside is None:
            inside = [] if _BEGINS.fullmatch(line) else None
        elif _ENDS.fullmatch(line):
            yield "\n".join(inside)
            inside = None
        else:
            inside.append(line)


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


def _same(left: Any, right: Any) -> bool:
    """Return whether two values are equal, True and 1 being different; without recursion, since answers may nest."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs += [(one[key], other[key]) for key in one]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif isinstance(one, bool) != isinstance(other, bool) or one != other:
            return False
    return True


def _at(value: Any, path: tuple[str, ...]) -> Any:
    """Return what stands at a path; a key that holds the dots itself goes first."""
    if isinstance(value, dict) and ".".join(path) in value:
        return value[".".join(path)]
    for key in path:
        value = value.get(key, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _without(value: Any, paths: list[tuple[str, ...]]) -> Any:
    for path in paths:
        value = _less(value, path)
    return value


def _less(value: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        return value
    whole = ".".join(path)
    if whole in value or len(path) == 1:
        return {key: held for key, held in value.items() if key != whole}
    return {key: _less(held, path[1:]) if key == path[0] else held for key, held in value.items()}
