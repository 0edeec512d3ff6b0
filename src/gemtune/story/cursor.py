"""The cursor of one job: which snapshots its owner has dealt with, in a string that fits a header.

The service keeps all snapshots of a job, so a cursor needs no memory on our side: any process can resume from it,
after any restart. An example, of a reader who has had the steps 1 to 40 and 42 of a first run::

    j1.dHVuZWRNb2RlbHMvYWJj.18a2f3c4d5e6f700.1.1-40,42.18a2f3e91b2c3d00
    version  the job's name (base64url)  createTime  attempt  claim: steps, newest computeTime

Times are hexadecimal nanoseconds, 0 if unknown; ``.end`` at the end says that the terminal event was delivered. Only on
services that have more than snapshots, two things may stand before that: ``.m3f~1-40``, the steps of which the values
with these bits were delivered (``measures``), and ``.k~1-3``, the checkpoints.

- *Runs of steps, not the highest step*: a step that a look left out must not be lost when it comes later. A run may
  have a stride, ``10-1000/10``, because the service reports every nth step of a long job.
- *A claim holds steps of one attempt.* Steps that may be of different attempts, although nothing has shown a restart,
  stand apart, each claim with its own newest time: ``<steps>.<newest>.<steps>.<newest>``. Without that, a restart
  between two looks could hide behind the other attempt's time.
- *At least once*: runs that do not fit are left out, the last ones first. Their snapshots come again; none is lost.

A cursor comes from anybody (a browser's Last-Event-ID), so nothing here may cost more than its characters: it is read
in one pass, and a run stays a run. ``5-9999999`` is one ``range``, whether it is read, searched, or has a step put into
it.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

import attrs

from gemtune.errors import InvalidInput

LONGEST: Final = 255
_ACCEPTED: Final = 4096
# Characters for checkpoints, of which a job has ten or so.
_CHECKPOINTS: Final = 48
_INT32: Final = 2**31 - 1
# More than any job has: a reply holds all snapshots of a job, and would be larger than a gigabyte.
_MOST_STEPS: Final = 10_000_000
_MOST_CHECKPOINTS: Final = 1000

_FORM: Final = re.compile(
    r"j1\.(?P<name>[A-Za-z0-9_-]{1,2048})\.(?P<created>[0-9a-f]{1,16})\.(?P<attempt>[1-9][0-9]{0,8})"
    r"(?P<claims>(?:\.[0-9,/-]{0,2048}\.[0-9a-f]{1,16}){1,64})"
    r"(?P<measured>(?:\.m[0-9a-f]{1,2}~[0-9,/-]{1,2048}){0,8})(?:\.k~(?P<checkpoints>[0-9,/-]{1,2048}))?(?P<ended>\.end)?"
)
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.~-]{0,254}(?:/[A-Za-z0-9][\w.~-]{0,254}){1,7}", re.ASCII)
_RUN: Final = re.compile(r"(\d{1,10})(?:-(\d{1,10})(?:/(\d{1,10}))?)?", re.ASCII)
_FIRST: Final = itemgetter(0)


class Runs:
    """A set of steps, kept as ascending runs with a stride: small, and cheap to search and to grow."""

    __slots__ = ("ranges",)

    def __init__(self, ranges: Iterable[range] = ()) -> None:
        """Begin with ascending, non-empty ranges."""
        self.ranges = list(ranges)

    def __contains__(self, step: int) -> bool:
        return _holds(self.ranges, step)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __repr__(self) -> str:
        return f"Runs({self.text()!r})"

    @property
    def highest(self) -> int:
        """The highest step, or -1."""
        return self.ranges[-1][-1] if self.ranges else -1

    def add(self, step: int) -> None:
        """Put in a step that is not in the set."""
        run = range(step, step + 1)
        if step > self.highest:
            _join(self.ranges, run)
            return
        # A late step splits the run that it falls into. Only its neighbours can become one run with it, so that a
        # long run is never taken apart step by step.
        place = bisect_right(self.ranges, step, key=_FIRST) - 1
        lower, upper = range(0), range(0)
        if place >= 0:
            around = self.ranges[place]
            below = (step - around[0]) // around.step + 1
            lower, upper = around[:below], around[below:]
        first = max(place - 2, 0)
        near = [*self.ranges[first : max(place, 0)], lower, run, upper, *self.ranges[place + 1 : place + 3]]
        joined: list[range] = []
        for each in near:
            _join(joined, each)
        self.ranges[first : place + 3] = joined

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


def steps_of(numbers: Iterable[int]) -> Runs:
    """Return a set of numbers."""
    runs = Runs()
    for number in sorted(numbers):
        runs.add(number)
    return runs


def _join(ranges: list[range], run: range) -> None:
    """Append a run to ascending ranges, as one with the last of them if their strides agree."""
    if not run:
        return
    if ranges:
        last = ranges[-1]
        stride = run[0] - last[-1]
        if (len(last) == 1 or last.step == stride) and (len(run) == 1 or run.step == stride):
            ranges[-1] = range(last[0], run[-1] + 1, stride)
            return
    ranges.append(run)


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


def _parse_claims(text: str) -> tuple[Claim, ...]:
    words = text.split(".")[1:]
    return tuple(
        Claim(tuple(_parse_runs(steps)), int(newest, 16)) for steps, newest in zip(words[::2], words[1::2], strict=True)
    )


def _parse_measured(text: str) -> tuple[tuple[int, tuple[range, ...]], ...]:
    groups, seen = [], 0
    for word in text.split(".m")[1:]:
        bits, _, steps = word.partition("~")
        mask = int(bits, 16)
        if not mask or mask & seen:
            raise ValueError(word)
        seen |= mask
        groups.append((mask, tuple(_parse_runs(steps))))
    return tuple(groups)


@attrs.frozen
class Claim:
    """What a cursor's owner claims to have dealt with: steps that are all of one attempt.

    Args:
        steps: The steps.
        newest: The newest of their computeTimes in ns; what is newer is of a later attempt. 0: unknown.
    """

    steps: tuple[range, ...] = ()
    newest: int = 0

    def __contains__(self, step: int) -> bool:
        return _holds(self.steps, step)


def _holds(steps: Sequence[range], step: int) -> bool:
    place = bisect_right(steps, step, key=_FIRST) - 1
    return place >= 0 and step in steps[place]


@attrs.frozen(kw_only=True)
class Cursor:
    """A parsed cursor.

    Args:
        job: The job's name.
        created: The model's createTime in ns since 1970, which tells models of one name apart; 0: unknown.
        attempt: Which run of the job, from 1.
        claims: The steps dealt with; no two claims share one.
        ended: Whether the terminal event was delivered.
        measured: Which values were dealt with of which steps, if the service says some of them late.
        checkpoints: The numbers of the checkpoints dealt with.
    """

    job: str
    created: int = 0
    attempt: int = 1
    claims: tuple[Claim, ...] = ()
    ended: bool = False
    measured: tuple[tuple[int, tuple[range, ...]], ...] = ()
    checkpoints: tuple[range, ...] = ()

    def __str__(self) -> str:
        """Return the text form, of at most 255 characters for every name of up to 128."""
        head = cursor_head(self.job, self.created, self.attempt)
        claims = [(Runs(claim.steps), claim.newest) for claim in self.claims]
        measured = [(bits, Runs(steps)) for bits, steps in self.measured]
        return cursor_text(head, claims, measured=measured, checkpoints=Runs(self.checkpoints), ended=self.ended)

    @property
    def begun(self) -> bool:
        """Whether its owner has dealt with any snapshot."""
        return any(claim.steps for claim in self.claims)

    @property
    def newest(self) -> int:
        """The newest computeTime in ns that its owner has dealt with, or 0."""
        return max((claim.newest for claim in self.claims), default=0)

    def values(self, step: int) -> int:
        """Return which values of a step its owner has dealt with, as bits."""
        return sum(bits for bits, steps in self.measured if _holds(steps, step))

    def has_checkpoint(self, number: int) -> bool:
        """Return whether its owner has dealt with a checkpoint."""
        return _holds(self.checkpoints, number)

    def has(self, step: int, time: int) -> bool:
        """Return whether its owner has dealt with the snapshot of a step with a computeTime in ns."""
        return any(step in claim and (not claim.newest or time <= claim.newest) for claim in self.claims)


def cursor_head(job: str, created: int, attempt: int) -> str:
    """Return what does not change from snapshot to snapshot."""
    name = base64.urlsafe_b64encode(job.encode()).rstrip(b"=").decode()
    return f"j1.{name}.{created:x}.{attempt}"


def cursor_text(
    head: str,
    claims: Sequence[tuple[Runs, int]],
    *,
    measured: Iterable[tuple[int, Runs]] = (),
    checkpoints: Runs | None = None,
    ended: bool = False,
) -> str:
    """Return the cursor with these steps, each claim with its newest time."""
    text, end = head, ".end" if ended else ""
    if checkpoints:
        end = f".k~{checkpoints.text(_CHECKPOINTS)}{end}"
    for place, (steps, newest) in enumerate(claims or [(Runs(), 0)]):
        tail = f".{newest:x}"
        room = LONGEST - len(text) - 1 - len(tail) - len(end)
        kept = steps.text(room if place else max(room, 24))
        if kept or not place:
            text += f".{kept}{tail}"
    for bits, steps in measured:
        kept = steps.text(LONGEST - len(text) - len(end) - 5)
        if kept:
            text += f".m{bits:x}~{kept}"
    return text + end


def parse_cursor(text: str) -> Cursor:
    """Read a cursor, strictly: it may come from anybody.

    Args:
        text: The cursor of an event.

    Returns:
        What it says. The job's name is well-formed, but whether the caller may see that job is not decided here.

    Raises:
        InvalidInput: It is not a cursor of this version, or claims more than any job has.
    """
    if not isinstance(text, str) or len(text) > _ACCEPTED:
        raise _refused("it is not a string of at most 4096 characters")
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
            claims=_parse_claims(match["claims"]),
            ended=match["ended"] is not None,
            measured=_parse_measured(match["measured"]) if match["measured"] else (),
            checkpoints=tuple(_parse_runs(match["checkpoints"])) if match["checkpoints"] else (),
        )
    except (binascii.Error, ValueError):
        raise _refused("its name or its steps are damaged") from None
    if sum(len(run) for claim in cursor.claims for run in claim.steps) > _MOST_STEPS:
        raise _refused("it claims more steps than any job has")
    if cursor.checkpoints and sum(map(len, cursor.checkpoints)) > _MOST_CHECKPOINTS:
        raise _refused("it claims more checkpoints than any job has")
    if not _NAME.fullmatch(name) or not text.startswith(f"{cursor_head(name, cursor.created, cursor.attempt)}."):
        raise _refused("its name is not that of a job")
    return cursor


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"this is not a cursor: {why}; pass an event's cursor unchanged, or nothing to start anew",
        field="cursor",
    )
