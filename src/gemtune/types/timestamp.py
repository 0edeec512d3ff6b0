"""Moments as the API writes them: RFC 3339 in UTC, to the nanosecond.

The service stamps its snapshots with nanoseconds, and whether a step has been computed anew is decided by comparing
two such stamps (``story.snapshots``). A datetime would drop the last three digits, so a moment is kept as one integer.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import total_ordering
from typing import Final, Self

import attrs

_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - all arithmetic here is in UTC, and faster without saying so
_FIRST: Final = -62_135_596_800 * _SECOND
_END: Final = 253_402_300_800 * _SECOND
"""The years 1 to 9999: what google.protobuf.Timestamp can name, and a datetime can hold."""


@total_ordering
@attrs.frozen(eq=False, repr=False)
class Timestamp:
    """A moment in UTC, exact to the nanosecond.

    Moments compare and subtract among each other and with any aware datetime. ``str()`` is the exact RFC 3339 text,
    ``to_datetime()`` the moment for calendars, formats and time zones.

    Args:
        nanoseconds: Nanoseconds since the beginning of 1970.

    Raises:
        ValueError: The moment is not in the years 1 to 9999.

    Example:
        >>> created = Timestamp.parse("2024-03-14T15:11:23.766989274Z")
        >>> created.to_datetime().hour
        15
    """

    nanoseconds: int

    def __attrs_post_init__(self) -> None:
        if not _FIRST <= self.nanoseconds < _END:
            raise ValueError("a Timestamp lies in the years 1 to 9999")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read RFC 3339 text with up to 9 digits and any offset.

        Args:
            text: Such as ``2024-03-14T15:11:23.766989274Z``.

        Raises:
            ValueError: The text is not RFC 3339.
        """
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError("not an RFC 3339 time")
        to_second, digits, sign, hours, minutes = match.groups()
        since = datetime.fromisoformat(to_second) - _EPOCH
        seconds = since.days * 86400 + since.seconds
        if sign is not None:
            offset = int(hours) * 3600 + int(minutes) * 60
            seconds += offset if sign == "-" else -offset
        return cls(seconds * _SECOND + (int(digits.ljust(9, "0")) if digits else 0))

    @classmethod
    def of(cls, moment: datetime | Timestamp) -> Timestamp:
        """Return the same moment as a Timestamp.

        Args:
            moment: Any aware datetime, or a Timestamp, which is returned as it is.

        Raises:
            ValueError: The datetime is naive.
        """
        if isinstance(moment, Timestamp):
            return moment
        if moment.tzinfo is None:
            raise ValueError("a naive datetime names no moment: give it a time zone")
        since = moment.astimezone(UTC).replace(tzinfo=None) - _EPOCH
        return cls((since.days * 86400 + since.seconds) * _SECOND + since.microseconds * 1000)

    def to_datetime(self) -> datetime:
        """Return the moment as a datetime in UTC, rounded down to the microsecond."""
        return (_EPOCH + timedelta(microseconds=self.nanoseconds // 1000)).replace(tzinfo=UTC)

    def timestamp(self) -> float:
        """Return the seconds since 1970, as a datetime does."""
        return self.nanoseconds / _SECOND

    def __str__(self) -> str:
        seconds, rest = divmod(self.nanoseconds, _SECOND)
        text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
        # The proto3 JSON mapping: 0, 3, 6 or 9 digits, as few as are exact.
        if not rest:
            return text + "Z"
        if not rest % 1_000_000:
            return f"{text}.{rest // 1_000_000:03}Z"
        return f"{text}.{rest:09}Z" if rest % 1000 else f"{text}.{rest // 1000:06}Z"

    def __repr__(self) -> str:
        return f"Timestamp('{self}')"

    def __eq__(self, other: object) -> bool:
        since = _since(other)
        return NotImplemented if since is None else self.nanoseconds == since

    def __lt__(self, other: datetime | Timestamp) -> bool:
        since = _since(other)
        return NotImplemented if since is None else self.nanoseconds < since

    def __hash__(self) -> int:
        return hash(self.to_datetime())  # what equals a datetime hashes as it does

    def __sub__(self, other: datetime | Timestamp) -> timedelta:
        since = _since(other)
        return NotImplemented if since is None else timedelta(microseconds=(self.nanoseconds - since) // 1000)

    def __rsub__(self, other: datetime) -> timedelta:
        return -(self - other)


def _since(other: object) -> int | None:
    """Return the nanoseconds of something that names a moment; None if it does not, as a naive datetime."""
    if isinstance(other, Timestamp):
        return other.nanoseconds
    return Timestamp.of(other).nanoseconds if isinstance(other, datetime) and other.tzinfo is not None else None
