"""Enumerations that a newer server may extend."""

from __future__ import annotations

import enum
from typing import Self


class OpenEnum(enum.StrEnum):
    """A string enumeration in which an unknown string is kept instead of being an error.

    Every member equals its string.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        # Not registered with the enumeration: a service that sends ever new words must not make it grow.
        member = str.__new__(cls, value)
        member._name_ = member._value_ = str(value)
        return member

    def __reduce_ex__(self, protocol: object) -> tuple[type[Self], tuple[str]]:
        # By value: some versions of Python pickle by name, which an unknown string does not have.
        return type(self), (self._value_,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @property
    def known(self) -> bool:
        """Whether this version of the SDK has a name for the string."""
        return self._value_ in type(self)._value2member_map_

    def __repr__(self) -> str:
        # State.ACTIVE, or State('PAUSED') for an unknown string
        return f"{type(self).__name__}.{self._name_}" if self.known else f"{type(self).__name__}({self._value_!r})"
