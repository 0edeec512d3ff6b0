"""The lines of a sweep's journal, each with its own checksum as its last field, like those of a batch's.

::

    {"gemtune_sweep":1,"id":"sweep-0123456789abcdef","of":{"base model":"models/x",...},"crc":"89abcdef"}
    {"point":0,"is":"asked","values":{"epoch_count":4},"crc":"01234567"}
    {"point":0,"is":"creating","crc":"..."}                               on the disk before the creation is sent
    {"point":0,"is":"created","job":"tunedModels/sweep-0123456789abcdef-0","crc":"..."}
    {"point":0,"is":"stopping","reason":"...","step":12,"crc":"..."}      on the disk before the cancellation is sent
    {"point":0,"is":"ended","state":"trained","steps":60,"objective":1.9,"ranked by":"loss",...}
    {"point":1,"is":"evaluated","scores":{"exact_match":0.91},"crc":"..."}

The last line of a kind counts. What a kill has torn at the end is cut off; the point then is one line younger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from gemtune.batch.journal.lines import checked, signed
from gemtune.errors import MalformedResponse
from gemtune.protocol.codec import dumps, loads
from gemtune.sweep.point import PointState

SWEEP_VERSION: Final = 1
_BEGINNING: Final = b'{"gemtune_sweep":'
_PARTS: Final = frozenset({"data", "validation"})


@attrs.frozen
class SweepHeader:
    """What the first line says.

    Args:
        id: The sweep's own id, from which the ids of its jobs are made.
        of: What the sweep is of, by name: the base model, and digests of the data, the space and what all points share.
        version: The version of the format.
    """

    id: str
    of: Mapping[str, str]
    version: int = SWEEP_VERSION

    @classmethod
    def parse(cls, line: bytes) -> SweepHeader | None:
        """Return what the first line says, or None if it is not the first line of a sweep's journal."""
        if not line.startswith(_BEGINNING) or not checked(line):
            return None
        try:
            value = loads(line)
            return cls(str(value["id"]), dict(value["of"]), int(value["gemtune_sweep"]))
        except (MalformedResponse, LookupError, TypeError, ValueError):
            return None

    def to_line(self) -> bytes:
        """Return it as the first line of a journal."""
        return signed(dumps({"gemtune_sweep": self.version, "id": self.id, "of": dict(self.of)})[:-1])

    def differs_from(self, wanted: Mapping[str, str]) -> str:
        """Return in words how a sweep is not the one that the journal is of, or an empty string if it is."""
        ours, theirs = wanted.get("base model", ""), self.of.get("base model", "")
        if ours != theirs:
            return f"belongs to a sweep over {theirs}, not over {ours}"
        changed = {name for name in {*self.of, *wanted} if self.of.get(name) != wanted.get(name)}
        if changed >= _PARTS:  # one seed or share more, or one row: the parts alone do not say which
            said = ["other data or another split of it"]
        else:
            said = [f"other {name}" for name in sorted(_PARTS & changed)]
        said += [f"another {name}" for name in sorted(changed - _PARTS)]
        return f"was written by a sweep with {' and '.join(said)}" if said else ""


def point_line(number: int, kind: str, **said: object) -> bytes:
    """Return a line about a point."""
    return signed(dumps({"point": number, "is": kind, **said})[:-1])


@attrs.define
class KnownPoint:
    """What the journal says of one point.

    Args:
        values: What was chosen; None as long as no line says so.
        creating: Whether its job may have been created.
        job: The job's name, once it is known.
        stopping: Why it was to be stopped; empty if it was not.
        ended: How it ended; None if it has not, as far as is written.
        scores: What its evaluation said.
        evaluated: Whether it was evaluated.
    """

    values: dict[str, float | int] | None = None
    creating: bool = False
    job: str = ""
    stopping: str = ""
    ended: EndedPoint | None = None
    scores: dict[str, float] = attrs.field(factory=dict)
    evaluated: bool = False

    @property
    def begun(self) -> bool:
        """Whether it has a job, may have one, or has ended without one."""
        return self.creating or self.ended is not None

    def take(self, value: Mapping[str, Any]) -> None:
        """Take in what a line says."""
        match value["is"]:
            case "asked":
                self.values = dict(value["values"])
            case "creating":
                self.creating = True
            case "refused":
                self.creating = False
            case "created":
                self.creating, self.job = True, str(value["job"])
            case "stopping":
                self.stopping = str(value["reason"])
            case "ended":
                self.ended = EndedPoint.of(value)
            case "evaluated":
                self.evaluated, self.scores = True, dict(value["scores"])


@attrs.frozen(kw_only=True)
class EndedPoint:
    """How a point ended.

    Args:
        state: The state.
        reason: Why.
        steps: Steps done.
        total: Steps in all; None if unknown.
        objective: What it is ranked by, if an evaluation need not say so.
        ranked_by: What that is the value of.
    """

    state: PointState
    reason: str = ""
    steps: int = 0
    total: int | None = None
    objective: float | None = None
    ranked_by: str = ""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> EndedPoint:
        """Return what a line says."""
        return cls(
            state=PointState(value["state"]),
            reason=str(value.get("reason", "")),
            steps=int(value.get("steps") or 0),
            total=value.get("total"),
            objective=value.get("objective"),
            ranked_by=str(value.get("ranked by", "")),
        )


def read_point(line: bytes, known: dict[int, KnownPoint]) -> bool:
    """Take in a sound line about a point; return whether it is one."""
    try:
        value = loads(line)
        number = value["point"]
        if not isinstance(number, int) or number < 0:
            return False
        known.setdefault(number, KnownPoint()).take(value)
    except (MalformedResponse, LookupError, TypeError, ValueError):
        return False
    return True
