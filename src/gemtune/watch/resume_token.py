"""The resume token of a watcher or a subscription: which events of which jobs have been dealt with, as versioned text.

Its form is ``c1.`` and the base64url of deflated JSON: ``{"jobs": [cursor ...], "since": seconds, "discarded":
[cursor ...]}``. It holds names and steps, and no address and no secret. Versions are told apart by the prefix; an
unknown one is refused.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from gemtune.errors import InvalidInput
from gemtune.events import Event
from gemtune.story.cursor import Cursor, parse_cursor
from gemtune.watch.record import Record

if TYPE_CHECKING:
    from gemtune.watch.subscription import Subscription

_LARGEST: Final = 64 << 20
"""Most bytes that a resume token may inflate to: 10,000 jobs take 2 MB."""
_LATEST: Final = 253_402_300_799
"""The end of the year 9999, the last that a timestamp of the API can name (google.protobuf.Timestamp)."""


@attrs.frozen
class ResumeToken:
    """What its owner has dealt with.

    Args:
        jobs: The cursor of each job, by name, of discarded ones too.
        since: When the watch began, in seconds since 1970; 0 where that is not known.
    """

    jobs: Mapping[str, Cursor]
    since: float = 0.0
    discarded: frozenset[str] = frozenset()
    """The names of the jobs that were discarded: nobody wants to see them until they are named again."""

    @property
    def going_on(self) -> list[str]:
        """The names of the jobs that are to be watched again."""
        return [name for name, cursor in self.jobs.items() if not cursor.ended and name not in self.discarded]

    @classmethod
    def parse(cls, text: str) -> ResumeToken:
        """Read a resume token, or the cursor of a single job.

        Raises:
            InvalidInput: It is neither, of no version that is known here.
        """
        if not isinstance(text, str) or not text.startswith("c"):
            cursor = parse_cursor(text)
            return cls({cursor.job: cursor})
        version = re.match(r"c(\d{1,3})\.", text, re.ASCII)
        if version is None or version[1] != "1":
            found = f"version 'c{version[1]}'" if version else "no version"
            raise _refused(f"it has {found}, this gemtune reads version 'c1'")
        try:
            packed = base64.urlsafe_b64decode(text[3:].encode("ascii") + b"==")
            inflate = zlib.decompressobj()
            plain = inflate.decompress(packed, _LARGEST)
            if inflate.unconsumed_tail or not inflate.eof:
                raise ValueError("too large, or cut off")
            value = json.loads(plain)
            jobs, left = _cursors(value["jobs"]), _cursors(value.get("discarded", []))
            since = float(value.get("since", 0))
            if not 0 <= since <= _LATEST:
                raise ValueError(since)
            return cls(left | jobs, since, frozenset(left.keys() - jobs.keys()))
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError, zlib.error):
            raise _refused("it is damaged") from None

    @staticmethod
    def text(cursors: Iterable[str], since: float, discarded: Iterable[str] = ()) -> str:
        """Return the text form."""
        value = {"jobs": list(cursors), "since": since, "discarded": list(discarded)}
        plain = json.dumps(value, separators=(",", ":"))
        return "c1." + base64.urlsafe_b64encode(zlib.compress(plain.encode())).rstrip(b"=").decode()


def cursor_of(record: Record, readers: Iterable[Subscription[Event]]) -> str:
    """Return the cursor of a job up to which every reader has come; those that have left count as far as they came."""
    history = record.history
    assert history is not None  # noqa: S101 - nobody resumes the service's own record
    if record.past and history.outcome is not None:
        return history.outcome.cursor
    before = record.ended_before
    if before is not None and not 0 < before.created < history.log.now.created:
        return str(before)
    concerned = [each for each in readers if each._concerns(record) and not each._has_end(record)]
    places = [each._read_to(record) for each in concerned if each._wants_snapshots]
    over = history.finished and all(each._read_to(record)[1] == len(record.marks) for each in concerned)
    if not places and (record.begun or not concerned):
        over = over and record.end_read  # who waits for ends only passes over snapshots that others have yet to read
    return history.cursor if over else record.cursor(*min(places, default=record.read_to))


def _cursors(texts: object) -> dict[str, Cursor]:
    if not isinstance(texts, list):
        raise TypeError(type(texts))
    return {cursor.job: cursor for cursor in map(parse_cursor, texts)}


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"resume is not a resume token ({why}); pass one unchanged, or leave it out to start anew",
        field="resume",
    )
