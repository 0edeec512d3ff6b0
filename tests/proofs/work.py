"""Counts what a parser does, in operations and not in seconds, so that the same input always costs the same.

Three things are added up while a function runs:

- every line of Python that is run, whoever's it is (``sys.settrace``);
- for every call of a method of str, bytes and bytearray that goes over its object, the length of that object
  (``sys.setprofile``);
- for every call of a regular expression or of a JSON parser, the length of its subject, and the square of the length if
  the expression may go over a stretch again and again (``goes_back``).

It does not see copies by slicing. A parser that cuts its rest off its buffer again and again finds the next piece by a
method, though, so that the second rule notices.
"""

import functools
import json
import re
import re._constants as ops
import re._parser
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from gemtune.protocol.codec import text as codec_text

SCANS = {
    *("casefold", "count", "decode", "encode", "find", "index", "isdecimal", "isprintable", "lower", "lstrip"),
    *("partition", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "strip"),
    *("translate", "upper"),
}
"""Methods that may go over the whole of their object; ``startswith`` and the like do not."""
TEXT = str | bytes | bytearray


def goes_back(pattern: "re.Pattern") -> bool:
    """Whether matching may take more than some passes over the subject; careful rather than clever.

    An unbounded repeat is harmless if what begins the attempt cannot be part of it: then no stretch belongs to two
    attempts. ``"[^"]*"`` is harmless, ``<[^>]*>`` is not: in ``<<<<`` it looks from each ``<`` to the end.
    """
    return any(map(_goes_back, _branches(re._parser.parse(pattern.pattern, pattern.flags))))


def _branches(items) -> Iterator[list]:
    for op, value in items:
        if op is ops.BRANCH:
            for branch in value[1]:
                yield from _branches(branch)
            return
    yield list(items)


def _goes_back(items: list) -> bool:
    first = items[0] if items else None
    for place, (op, value) in enumerate(items):
        if op in {ops.MAX_REPEAT, ops.MIN_REPEAT} and value[1] is ops.MAXREPEAT:
            if place == len(items) - 1 and not _repeats(value[2]):
                continue  # nothing after it can fail
            starts = next(iter(value[2])) if _repeats(value[2]) else first
            inner = _sets(value[2]) if not _repeats(value[2]) else [s for r in _repeats(value[2]) for s in _sets(r)]
            if starts[0] is not ops.LITERAL or any(_contains(one, starts[1]) for one in inner):
                return True
        elif op is ops.SUBPATTERN and any(map(_goes_back, _branches(value[3]))):
            return True
    return False


def _repeats(items) -> list:
    found = []
    for op, value in items:
        if op in {ops.MAX_REPEAT, ops.MIN_REPEAT} and value[1] is ops.MAXREPEAT:
            found.append(value[2])
        elif op is ops.SUBPATTERN:
            found += _repeats(value[3])
    return found


def _sets(items) -> list:
    return [item for item in items if item[0] in {ops.IN, ops.ANY, ops.LITERAL, ops.NOT_LITERAL, ops.CATEGORY}]


def _contains(item, char: int) -> bool:
    op, value = item
    if op is ops.LITERAL:
        return value == char
    if op is ops.NOT_LITERAL:
        return value != char
    if op is not ops.IN:
        return True
    negated = value[0][0] is ops.NEGATE
    inside = any(
        (one is ops.LITERAL and arg == char)
        or (one is ops.RANGE and arg[0] <= char <= arg[1])
        or (one is ops.CATEGORY and re.compile("[" + {
            ops.CATEGORY_DIGIT: r"\d", ops.CATEGORY_SPACE: r"\s", ops.CATEGORY_WORD: r"\w",
        }.get(arg, r"\s\S") + "]").match(chr(char)) is not None)
        for one, arg in value
    )  # fmt: skip
    return inside is not negated


@attrs.define
class Work:
    """What was done so far."""

    done: int = 0

    def parse(self, function: Callable, subject: object, *args: object, **options: object) -> object:
        self.done += len(subject) if isinstance(subject, TEXT) else 0
        return function(subject, *args, **options)


class CountingPattern:
    """A regular expression that adds its work."""

    def __init__(self, work: Work, pattern: "re.Pattern") -> None:
        self._work, self._pattern = work, pattern
        self._square = goes_back(pattern)

    def __getattr__(self, name: str) -> object:
        found = getattr(self._pattern, name)
        if not callable(found):
            return found

        def call(*args, **options):
            subject = args[1] if name in {"sub", "subn"} else args[0]
            self._work.done += len(subject) ** (2 if self._square else 1)
            return found(*args, **options)

        return call


@contextmanager
def counted() -> Iterator[Work]:
    """Count until the block is left."""
    work = Work()
    patterns = [
        (module, name, value)
        for key, module in list(sys.modules.items())
        if key.startswith("gemtune.")
        for name, value in list(vars(module).items())
        if isinstance(value, re.Pattern)
    ]
    compiled, loads, fast = re._compile, json.loads, codec_text._orjson

    def trace(frame, event, _):
        work.done += event == "line"
        return trace

    def profile(_frame, event, builtin):
        if event == "c_call" and builtin.__name__ in SCANS and isinstance(builtin.__self__, TEXT):
            work.done += len(builtin.__self__)

    class Fast:
        loads = staticmethod(lambda body: work.parse(fast.loads, body))
        dumps = staticmethod(getattr(fast, "dumps", None))

    for module, name, value in patterns:
        setattr(module, name, CountingPattern(work, value))
    re._compile = lambda pattern, flags: CountingPattern(work, compiled(pattern, flags))
    json.loads = functools.partial(work.parse, loads)
    codec_text._orjson = fast and Fast
    before = sys.gettrace(), sys.getprofile()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        yield work
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
        re._compile, json.loads, codec_text._orjson = compiled, loads, fast
        for module, name, value in patterns:
            setattr(module, name, value)
