"""The resume token of a watcher or a subscription: which events of which jobs have been dealt with, as a string.

Its form is ``c1.`` and the base64url of deflated JSON: ``{"jobs": [cursor ...], "since": seconds, "discarded":
[cursor ...]}``. It holds names and steps, no address and no secret. Versions are told apart by the prefix; an unknown
one is refused.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from gemtune.errors import InvalidInput
from gemtune.story.cursor import Cursor, parse_cursor

# A token is compressed, and a few bytes can be made to inflate to a thousand times as many. What a watcher writes of
# 10,000 jobs that differ by a number inflates to 17 to 45 times its size, the longer their names the more, and takes at
# least 3.3 characters for each.
_MOST_INFLATED: Final = 64
_SLACK: Final = 64 << 10
_FEWEST_CHARACTERS: Final = 2
# Bounds for a token that may come from outside: about a thousand jobs, which take some 50 ms to read.
_OUTSIDE: Final = 65_536
_OUTSIDE_INFLATED: Final = 512 << 10
# The end of the year 9999, the last that a timestamp of the API can name (google.protobuf.Timestamp).
_LATEST: Final = 253_402_300_799


@attrs.frozen
class ResumeToken:
    """What its owner has dealt with.

    Args:
        jobs: The cursor of each job by name, those of discarded ones included.
        since: When the watch began, in seconds since 1970; 0 if that is not known.
        discarded: The names of the jobs that were discarded: nobody wants to see them until they are named again.
    """

    jobs: Mapping[str, Cursor] = attrs.field(factory=dict)
    since: float = 0.0
    discarded: frozenset[str] = frozenset()

    @property
    def unfinished(self) -> list[str]:
        """The names of the jobs that are to be watched again."""
        return [name for name, cursor in self.jobs.items() if not cursor.ended and name not in self.discarded]

    @classmethod
    def parse(cls, text: str, *, outside: bool = False) -> ResumeToken:
        """Read a resume token, or the cursor of a single job.

        Args:
            text: The string.
            outside: Whether it may come from anybody, such as a browser: then it is bounded as what fits a request.

        Raises:
            InvalidInput: It is neither, or of a version that is unknown here.
        """
        if not isinstance(text, str) or not text.startswith("c"):
            cursor = parse_cursor(text)
            return cls({cursor.job: cursor})
        version = re.match(r"c(\d{1,3})\.", text, re.ASCII)
        if version is None or version[1] != "1":
            found = f"version 'c{version[1]}'" if version else "no version"
            raise _refused(f"it has {found}, this gemtune reads version 'c1'")
        if outside and len(text) > _OUTSIDE:
            raise _refused(f"it has more than {_OUTSIDE:,} characters; a longer one can only begin a watch")
        try:
            value = json.loads(_inflated(text, _OUTSIDE_INFLATED if outside else math.inf))
            jobs, left = _cursors(value["jobs"]), _cursors(value.get("discarded", []))
            since = float(value.get("since", 0))
            if not 0 <= since <= _LATEST:
                raise ValueError(since)
            return cls(left | jobs, since, frozenset(left.keys() - jobs.keys()))
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError, zlib.error):
            raise _refused("it is damaged") from None

    def renamed(self, name: Callable[[str], str]) -> ResumeToken:
        """Return it with the names that its reader has for the jobs, as a service may know one under two."""
        jobs = {}
        for cursor in self.jobs.values():
            ours = name(cursor.job)
            jobs[ours] = cursor if ours == cursor.job else attrs.evolve(cursor, job=ours)
        return attrs.evolve(self, jobs=jobs, discarded=frozenset(map(name, self.discarded)))

    @staticmethod
    def text(cursors: Iterable[str], since: float, discarded: Iterable[str] = ()) -> str:
        """Return the string for some cursors."""
        value = {"jobs": list(cursors), "since": since, "discarded": list(discarded)}
        plain = json.dumps(value, separators=(",", ":")).encode()
        text = _packed(plain, zlib.Z_DEFAULT_STRATEGY)
        # Names so alike that the token would be refused as made up: then it is written longer.
        return text if len(plain) <= _room(text) else _packed(plain, zlib.Z_HUFFMAN_ONLY)


def _room(text: str) -> int:
    """Return how many bytes a token may inflate to."""
    return _MOST_INFLATED * len(text) + _SLACK


def _packed(plain: bytes, strategy: int) -> str:
    deflate = zlib.compressobj(strategy=strategy)
    return "c1." + base64.urlsafe_b64encode(deflate.compress(plain) + deflate.flush()).rstrip(b"=").decode()


def _inflated(text: str, most: float) -> bytes:
    """Return the JSON of a token, in which there is nothing that would cost more than its characters."""
    packed = base64.urlsafe_b64decode(text[3:].encode("ascii") + b"==")
    inflate = zlib.decompressobj()
    plain = inflate.decompress(packed, int(min(_room(text), most)))
    if inflate.unconsumed_tail or not inflate.eof:
        raise ValueError("too large, or cut off")
    # Nested lists take a hundred times the memory of their brackets, and cursors are dearer than their characters.
    if plain.count(b"[") > 2 or plain.count(b"{") > 1 or plain.count(b'"') > len(text) / _FEWEST_CHARACTERS * 2 + 64:
        raise ValueError("no watcher writes this")
    return plain


def _cursors(texts: object) -> dict[str, Cursor]:
    if not isinstance(texts, list):
        raise TypeError(type(texts))
    return {cursor.job: cursor for cursor in map(parse_cursor, texts)}


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"resume is not a resume token ({why}); pass one unchanged, or leave it out to start anew",
        field="resume",
    )
