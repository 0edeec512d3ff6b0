"""What a piece of code does, counted and not timed.

``cost`` counts executed lines, every new object of some size by its length, and calls into C by what they have to go
through. ``regex_steps`` counts what a backtracking engine tries. Both are the same in every run and on every machine,
so a test can demand that twice the input costs at most about twice as much.
"""

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from re import _constants as op
from re import _parser as parser
from typing import Any

SIZED = (str, bytes, bytearray, list, tuple, dict, set, frozenset)
CHEAP = {"append", "get", "setdefault", "add", "items", "values", "keys", "extend", "__contains__", "clear", "update"}


class Meter:
    """Counts while it traces."""

    def __init__(self) -> None:
        self.total = 0
        self.seen: dict[int, object] = {}  # holds them, so that no two have the same id

    def meet(self, value: object) -> None:
        if isinstance(value, SIZED) and len(value) > 8 and id(value) not in self.seen:
            self.seen[id(value)] = value
            self.total += len(value)

    def trace(self, frame: Any, event: str, arg: object) -> Any:
        self.total += 1
        if event == "call" and frame.f_code is json.loads.__code__:
            self.total += len(frame.f_locals["s"])
        if event == "return":
            self.meet(arg)
        else:
            for value in frame.f_locals.values():
                self.meet(value)
        return self.trace

    def profile(self, frame: Any, event: str, arg: object) -> None:
        if event == "c_call":
            owner = getattr(arg, "__self__", None)
            free = getattr(arg, "__name__", "") in CHEAP or not isinstance(owner, SIZED)
            self.total += 1 if free else 1 + len(owner)


def cost(function, *args) -> int:
    """Return what a call costs, whether it succeeds or is refused with an error of its own."""
    meter = Meter()
    trace, profile = sys.gettrace(), sys.getprofile()
    sys.setprofile(meter.profile)
    sys.settrace(meter.trace)
    try:
        with contextlib.suppress(Exception):
            function(*args)
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
    return meter.total


# ── regular expressions ────────────────────────────────────────────────────────────────────────────────────────────


class Engine:
    """A backtracking matcher that counts its attempts; it knows as much of the language as the emulator uses."""

    def __init__(self, pattern: str, flags: int) -> None:
        self.tree = parser.parse(pattern, flags)
        self.dot_all = bool(flags & re.DOTALL)
        self.steps = 0

    def sequence(self, nodes: Any, text: str, at: int) -> Iterator[int]:
        if not nodes:
            yield at
            return
        for end in self.node(nodes[0], text, at):
            yield from self.sequence(nodes[1:], text, end)

    def node(self, node: Any, text: str, at: int) -> Iterator[int]:  # noqa: C901 - a case for each kind of node
        self.steps += 1
        kind, value = node
        if kind in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
            if at < len(text) and self.takes(kind, value, text[at]):
                yield at + 1
        elif kind is op.BRANCH:
            for branch in value[1]:
                yield from self.sequence(list(branch), text, at)
        elif kind is op.SUBPATTERN:
            yield from self.sequence(list(value[3]), text, at)
        elif kind in (op.MAX_REPEAT, op.POSSESSIVE_REPEAT):
            yield from self.repeat(kind, value, text, at)
        elif kind is op.ATOMIC_GROUP:
            for end in self.sequence(list(value), text, at):
                yield end
                return
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            direction, inner = value
            start = at if direction > 0 else at - parser.SubPattern(None, list(inner)).getwidth()[1]
            found = start >= 0 and any(True for _ in self.sequence(list(inner), text, start))
            if found is (kind is op.ASSERT):
                yield at
        elif kind is op.AT:
            if at == (0 if value is op.AT_BEGINNING else len(text)):
                yield at
        else:
            raise NotImplementedError(kind)

    def repeat(self, kind: Any, value: Any, text: str, at: int) -> Iterator[int]:
        # Each round takes its first way; giving back is tried round by round. Enough for bodies that match in one way.
        low, high, inner = value
        ends = [at]
        while len(ends) <= high:
            end = next(self.sequence(list(inner), text, ends[-1]), None)
            if end is None or end == ends[-1]:
                break
            ends.append(end)
        if kind is op.POSSESSIVE_REPEAT:
            if len(ends) > low:
                yield ends[-1]
            return
        for number in range(len(ends) - 1, low - 1, -1):
            self.steps += 1
            yield ends[number]

    def takes(self, kind: Any, value: Any, character: str) -> bool:
        if kind is op.LITERAL:
            return ord(character) == value
        if kind is op.NOT_LITERAL:
            return ord(character) != value
        if kind is op.ANY:
            return self.dot_all or character != "\n"
        negated = value[0][0] is op.NEGATE
        return negated is not any(map(self.is_in, value[negated:], [character] * len(value)))

    @staticmethod
    def is_in(item: Any, character: str) -> bool:
        kind, value = item
        if kind is op.LITERAL:
            return ord(character) == value
        if kind is op.RANGE:
            return value[0] <= ord(character) <= value[1]
        classes = {op.CATEGORY_DIGIT: r"\d", op.CATEGORY_SPACE: r"\s", op.CATEGORY_WORD: r"\w",
                   op.CATEGORY_NOT_SPACE: r"\S", op.CATEGORY_NOT_WORD: r"\W", op.CATEGORY_NOT_DIGIT: r"\D"}  # fmt: skip
        return re.fullmatch(classes[value], character) is not None


def regex_steps(pattern: str, flags: int, method: str, text: str) -> int:
    """Return how many attempts a backtracking engine makes, at one place or at all that no match has covered."""
    engine = Engine(pattern, flags)
    at = 0
    while at <= len(text):
        ends = engine.sequence(list(engine.tree), text, at)
        if method == "fullmatch":
            any(end == len(text) for end in ends)
            break
        end = next(ends, None)
        if method in ("match", "search") and (end is not None or method == "match"):
            break
        at = end if end is not None and end > at else at + 1
    return engine.steps
