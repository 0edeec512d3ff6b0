"""The stateless cursor of one job: which snapshots somebody has dealt with, in a text that fits a header.

The service keeps all snapshots of a job, so that a cursor needs no memory on our side: any process can
resume from it after any restart. Its form is ``j1.<name>.<createTime>.<attempt>.<steps>.<newest
computeTime>[.end]``: the name in base64url, the times in hexadecimal nanoseconds (0 where unknown), the
steps as runs (``1-10,12-20/2``). Runs, not the highest step: a step that was skipped must not be lost.
Steps that may be of different attempts, though nothing has shown a restart, stand apart, each part with its
own newest time: ``<steps>.<newest>.<steps>.<newest>``. Where there are more than fit, the last ones are left
out, so that their snapshots come again: delivery across restarts is at least once.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from gemtune.errors import InvalidInput

LONGEST: Final = 255
_ACCEPTED: Final = 4096
_INT32: Final = 2**31 - 1

_FORM: Final = re.compile(
    r"j1\.(?P<name>[A-Za-z0-9_-]{1,2048})\.(?P<created>[0-9a-f]{1,16})\.(?P<attempt>[1-9][0-9]{0,8})"
    r"(?P<parts>(?:\.[0-9,/-]{0,2048}\.[0-9a-f]{1,16}){1,64})(?P<ended>\.end)?"
)
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.~-]{0,254}(?:/[A-Za-z0-9][\w.~-]{0,254}){1,7}", re.ASCII)
_RUN: Final = re.compile(r"(\d{1,10})(?:-(\d{1,10})(?:/(\d{1,10}))?)?", re.ASCII)


class Runs:
    """A set of steps, kept as runs with a stride: small, and cheap to grow at its end."""

    __slots__ = ("ranges",)

    def __init__(self, ranges: Iterable[range] = ()) -> None:
        """Begin with ascending, non-empty ranges."""
        self.ranges = list(ranges)

    def __contains__(self, step: int) -> bool:
        """Return whether the step is in the set."""
        return any(step in run for run in self.ranges)

    def __bool__(self) -> bool:
        """Return whether there is any step."""
        return bool(self.ranges)

    def __repr__(self) -> str:
        """Return the runs as a cursor writes them."""
        return f"Runs({self.text()!r})"

    @property
    def highest(self) -> int:
        """The highest step, or -1."""
        return self.ranges[-1][-1] if self.ranges else -1

    def add(self, step: int) -> None:
        """Put in a step that is not in the set."""
        if step < self.highest:
            steps = sorted([step, *(each for run in self.ranges for each in run)])
            self.ranges = []
            for each in steps:
                self._append(each)
        else:
            self._append(step)

    def _append(self, step: int) -> None:
        last = self.ranges[-1] if self.ranges else range(0)
        if len(last) == 1 or (len(last) > 1 and step - last[-1] == last.step):
            self.ranges[-1] = range(last[0], step + 1, step - last[-1])
        else:
            self.ranges.append(range(step, step + 1))

    def text(self, room: int = _ACCEPTED) -> str:
        """Return as many of the runs as fit in ``room`` characters, the lowest first."""
        text = ""
        for run in self.ranges:
            word = str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"
            if len(run) > 1 and run.step > 1:
                word += f"/{run.step}"
            if len(text) + len(word) + 1 > room:
                break
            text = f"{text},{word}" if text else word
        return text


def _parse_runs(text: str) -> list[range]:
    ranges: list[range] = []
    for word in text.split(",") if text else ():
        match = _RUN.fullmatch(word)
        if match is None:
            raise ValueError(word)
        first = int(match[1])
        last = int(match[2] or first)
        stride = int(match[3] or 1)
        run = range(first, last + 1, stride or 1)
        if not stride or not run or run[-1] != last or last > _INT32 or (ranges and first <= ranges[-1][-1]):
            raise ValueError(word)
        ranges.append(run)
    return ranges


def _parse_parts(text: str) -> tuple[Part, ...]:
    words = text.split(".")[1:]
    return tuple(
        Part(tuple(_parse_runs(steps)), int(newest, 16)) for steps, newest in zip(words[::2], words[1::2], strict=True)
    )


@attrs.frozen
class Part:
    """Steps that are all of one attempt.

    Args:
        steps: The steps.
        newest: The newest of their computeTimes in ns; what is newer is of a later attempt. 0: unknown.
    """

    steps: tuple[range, ...] = ()
    newest: int = 0

    def __contains__(self, step: int) -> bool:
        """Return whether a step is among them."""
        return any(step in run for run in self.steps)


@attrs.frozen(kw_only=True)
class Cursor:
    """A parsed cursor.

    Args:
        job: The job's name.
        created: The model's createTime in ns since 1970, which tells models of one name apart; 0: unknown.
        attempt: Which run of the job, from 1.
        parts: The steps dealt with, of which no two parts share one.
        ended: Whether the terminal event was delivered.
    """

    job: str
    created: int = 0
    attempt: int = 1
    parts: tuple[Part, ...] = ()
    ended: bool = False

    def __str__(self) -> str:
        """Return the text form, of at most 255 characters for every name of up to 128."""
        head = cursor_head(self.job, self.created, self.attempt)
        return cursor_text(head, [(Runs(part.steps), part.newest) for part in self.parts], ended=self.ended)

    @property
    def begun(self) -> bool:
        """Whether its owner has dealt with any snapshot."""
        return any(part.steps for part in self.parts)

    @property
    def newest(self) -> int:
        """The newest computeTime in ns that its owner has dealt with, or 0."""
        return max((part.newest for part in self.parts), default=0)

    def has(self, step: int, time: int) -> bool:
        """Return whether its owner has dealt with the snapshot of a step with a computeTime in ns."""
        return any(step in part and (not part.newest or time <= part.newest) for part in self.parts)


def cursor_head(job: str, created: int, attempt: int) -> str:
    """Return what does not change from snapshot to snapshot."""
    name = base64.urlsafe_b64encode(job.encode()).rstrip(b"=").decode()
    return f"j1.{name}.{created:x}.{attempt}"


def cursor_text(head: str, parts: Sequence[tuple[Runs, int]], *, ended: bool = False) -> str:
    """Return the cursor with these steps, each part with its newest time."""
    text, end = head, ".end" if ended else ""
    for place, (steps, newest) in enumerate(parts or [(Runs(), 0)]):
        tail = f".{newest:x}"
        room = LONGEST - len(text) - 1 - len(tail) - len(end)
        kept = steps.text(room if place else max(room, 24))
        if kept or not place:
            text += f".{kept}{tail}"
    return text + end


def parse_cursor(text: str) -> Cursor:
    """Read a cursor; it may come from anybody (a Last-Event-ID header), so it is read strictly.

    Args:
        text: The cursor of an event.

    Returns:
        Its parts; the job's name is well-formed, but whether the caller may see that job is not decided here.

    Raises:
        InvalidInput: It is no cursor of this version.
    """
    if not isinstance(text, str) or len(text) > _ACCEPTED:
        raise _refused("it is not a text of at most 4096 characters")
    version = re.match(r"([a-z])(\d{1,3})\.", text, re.ASCII)
    if version is not None and version[1] != "j":
        raise _refused(f"'{version[1]}{version[2]}' is not the cursor of a single job ('j1')")
    if version is not None and version[2] != "1":
        raise _refused(f"it has version 'j{version[2]}', this gemtune reads version 'j1'")
    match = _FORM.fullmatch(text)
    if match is None:
        raise _refused("it does not have the form of one")
    try:
        encoded = match["name"]
        name = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
        cursor = Cursor(
            job=name,
            created=int(match["created"], 16),
            attempt=int(match["attempt"]),
            parts=_parse_parts(match["parts"]),
            ended=match["ended"] is not None,
        )
    except (binascii.Error, ValueError):
        raise _refused("its name or its steps are damaged") from None
    if not _NAME.fullmatch(name) or not text.startswith(f"{cursor_head(name, cursor.created, cursor.attempt)}."):
        raise _refused("its name is not that of a job")
    return cursor


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"this is no cursor to resume from: {why}; pass an event's cursor as it is, or none to begin anew",
        field="cursor",
    )
