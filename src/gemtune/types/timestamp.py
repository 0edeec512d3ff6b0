"""Moments as the API writes them: RFC 3339 in UTC, to the nanosecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self, SupportsIndex, overload

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


class Timestamp(datetime):
    """A moment in UTC that keeps nanoseconds, where a datetime would keep microseconds.

    It orders and compares by nanoseconds, also with any aware datetime. ``str()`` is its exact RFC 3339 text
    with 0, 3, 6 or 9 digits. What is computed from it (sums, ``replace``, ``astimezone``) is a
    plain datetime.

    Args:
        year, month, day, hour, minute, second, microsecond: As for a datetime.
        tzinfo: UTC and nothing else.
        fold: As for a datetime; without a meaning in UTC.
        nanosecond: Nanoseconds of the second, 0 to 999 999 999; replaces ``microsecond``.

    Raises:
        ValueError: A number out of range, or another time zone.
    """

    __slots__ = ("_nanosecond",)
    _nanosecond: int

    def __new__(
        cls,
        year: SupportsIndex,
        month: SupportsIndex,
        day: SupportsIndex,
        hour: SupportsIndex = 0,
        minute: SupportsIndex = 0,
        second: SupportsIndex = 0,
        microsecond: SupportsIndex = 0,
        tzinfo: tzinfo | None = UTC,
        *,
        fold: int = 0,
        nanosecond: int | None = None,
    ) -> Self:
        """Make one from its parts."""
        if tzinfo is not UTC:
            raise ValueError("a Timestamp is in UTC: use Timestamp.of(moment) for any aware datetime")
        if nanosecond is None:
            nanosecond = int(microsecond) * 1000
        elif not 0 <= nanosecond <= 999_999_999:
            raise ValueError("nanosecond must be in 0..999999999")
        self = super().__new__(cls, year, month, day, hour, minute, second, nanosecond // 1000, tzinfo, fold=fold)
        self._nanosecond = nanosecond
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read RFC 3339 text with up to 9 digits and any offset.

        Args:
            text: Such as ``2024-03-14T15:11:23.766989274Z``.

        Returns:
            The same moment in UTC.

        Raises:
            ValueError: The text is not RFC 3339.
        """
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError("not an RFC 3339 time")
        seconds, digits, sign, hours, minutes = match.groups()
        moment = datetime.fromisoformat(seconds)
        if sign is not None:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            moment = moment + offset if sign == "-" else moment - offset
        return cls._from_parts(moment, int(digits.ljust(9, "0")) if digits else 0)

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """Return the same moment as a Timestamp.

        Args:
            moment: Any aware datetime; a Timestamp keeps its nanoseconds.

        Raises:
            ValueError: The datetime is naive.
        """
        if isinstance(moment, cls):
            return moment
        if moment.tzinfo is None:
            raise ValueError("a naive datetime names no moment: give it a time zone")
        moment = moment.astimezone(UTC)
        return cls._from_parts(moment, moment.microsecond * 1000)

    @classmethod
    def _from_parts(cls, moment: datetime, nanosecond: int) -> Self:
        # Not by way of __new__, whose checks are not needed here: a long history has hundreds of them in every look.
        self = datetime.__new__(
            cls,
            moment.year,
            moment.month,
            moment.day,
            moment.hour,
            moment.minute,
            moment.second,
            nanosecond // 1000,
            UTC,
        )
        self._nanosecond = nanosecond
        return self

    @property
    def nanosecond(self) -> int:
        """Nanoseconds of the second, 0 to 999 999 999."""
        return self._nanosecond

    def __str__(self) -> str:
        """Return the exact RFC 3339 text."""
        text = f"{self.year:04}-{self.month:02}-{self.day:02}T{self.hour:02}:{self.minute:02}:{self.second:02}"
        rest = self._nanosecond
        if not rest:
            return text + "Z"
        if not rest % 1_000_000:
            return f"{text}.{rest // 1_000_000:03}Z"
        return f"{text}.{rest:09}Z" if rest % 1000 else f"{text}.{rest // 1000:06}Z"

    def __repr__(self) -> str:
        """Return ``Timestamp('2024-03-14T15:11:23.766989274Z')``."""
        return f"Timestamp('{self}')"

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """Pickle as text."""
        return (type(self).parse, (str(self),))

    def _plain(self) -> datetime:
        return datetime(self.year, self.month, self.day, self.hour, self.minute, self.second, self.microsecond, UTC)

    def astimezone(self, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """Return the moment in another time zone, as a plain datetime."""
        return self._plain().astimezone(tz)

    def replace(self, *args: Any, **changes: Any) -> datetime:  # type: ignore[override]
        """Return a plain datetime with the changes."""
        return self._plain().replace(*args, **changes)

    def __add__(self, other: timedelta) -> datetime:  # type: ignore[override]
        """Return a plain datetime."""
        return self._plain() + other

    __radd__ = __add__  # type: ignore[assignment]

    @overload  # type: ignore[override]
    def __sub__(self, other: datetime) -> timedelta: ...
    @overload
    def __sub__(self, other: timedelta) -> datetime: ...
    def __sub__(self, other: datetime | timedelta) -> datetime | timedelta:
        """Return the time between two moments, to the microsecond, or a plain datetime."""
        return self._plain() - other

    __hash__ = datetime.__hash__

    def _rest(self, other: object) -> int:
        """Return how many nanoseconds lie between two moments of the same microsecond."""
        return self._nanosecond % 1000 - (other._nanosecond % 1000 if isinstance(other, Timestamp) else 0)

    def __eq__(self, other: object) -> bool:
        """Compare to the nanosecond."""
        return super().__eq__(other) is True and self._rest(other) == 0

    def __ne__(self, other: object) -> bool:
        """Compare to the nanosecond."""
        return not self == other

    def __lt__(self, other: datetime) -> bool:  # type: ignore[override]
        """Compare to the nanosecond."""
        return self._rest(other) < 0 if super().__eq__(other) is True else super().__lt__(other)

    def __le__(self, other: datetime) -> bool:  # type: ignore[override]
        """Compare to the nanosecond."""
        return self._rest(other) <= 0 if super().__eq__(other) is True else super().__le__(other)

    def __gt__(self, other: datetime) -> bool:  # type: ignore[override]
        """Compare to the nanosecond."""
        return self._rest(other) > 0 if super().__eq__(other) is True else super().__gt__(other)

    def __ge__(self, other: datetime) -> bool:  # type: ignore[override]
        """Compare to the nanosecond."""
        return self._rest(other) >= 0 if super().__eq__(other) is True else super().__ge__(other)
