"""The checkpoint of a whole watcher: which events of which jobs have been dealt with, as versioned text.

Its form is ``c1.`` and the base64url of deflated JSON: ``{"jobs": [cursor ...], "since": seconds}``.  It holds names
and steps, and no address and no secret.  Versions are told apart by the prefix; an unknown one is refused.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from gemtune.errors import InvalidInput
from gemtune.protocol.cursor import Cursor, parse_cursor

__all__ = ["Checkpoint"]

_LARGEST: Final = 64 << 20
"""Most bytes that a checkpoint may inflate to: 10,000 jobs take 2 MB."""
_LATEST: Final = 253_402_300_799
"""The end of the year 9999, the last that a timestamp of the API can name (google.protobuf.Timestamp)."""


@attrs.frozen
class Checkpoint:
    """What its owner has dealt with.

    Args:
        jobs: The cursor of each job, by name.
        since: When the watch began, in seconds since 1970; 0 where that is not known.
    """

    jobs: Mapping[str, Cursor]
    since: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a checkpoint, or the cursor of a single job.

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
            if not isinstance(value["jobs"], list):
                raise TypeError(type(value["jobs"]))
            cursors = [parse_cursor(each) for each in value["jobs"]]
            since = float(value.get("since", 0))
            if not 0 <= since <= _LATEST:
                raise ValueError(since)
            return cls({cursor.job: cursor for cursor in cursors}, since)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError, zlib.error):
            raise _refused("it is damaged") from None

    @staticmethod
    def text(cursors: Iterable[str], since: float) -> str:
        """Return the text form."""
        plain = json.dumps({"jobs": list(cursors), "since": since}, separators=(",", ":"))
        return "c1." + base64.urlsafe_b64encode(zlib.compress(plain.encode())).rstrip(b"=").decode()


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"this is no checkpoint to resume from: {why}; pass what checkpoint() returned as it is, or none to begin anew",
        field="resume",
    )
