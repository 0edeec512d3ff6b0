"""What a credential yields: headers that can be sent, and for how long. The vocabulary of every kind of credential."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Never

import attrs

from gemtune.errors import CredentialsError
from gemtune.settings import Secret, odd_secret

BOUND: Final = 30.0
"""Most seconds that a refresh may take."""

Headers = tuple[tuple[str, str], ...]
"""Names and values of headers."""


class _Unpicklable:
    """What holds secrets: it is neither pickled nor copied by accident."""

    __slots__ = ()

    def __reduce__(self) -> Never:
        raise TypeError("credentials cannot be pickled")


@attrs.frozen
class Ready(_Unpicklable):
    """Headers that can be sent now.

    Args:
        generation: The number of the token; hand it to ``renew`` if the service refuses the token.
        headers: Names and values.
    """

    generation: int
    headers: Headers = attrs.field(repr=False)


@attrs.frozen
class Grant(_Unpicklable):
    """What a refresh brings.

    Args:
        headers: Names and values.
        lifetime: Seconds for which they are good, or None if unknown.
    """

    headers: Headers = attrs.field(repr=False)
    lifetime: float | None = None


def bearer(token: object, project: str | None) -> Headers:
    """Return the headers for an access token.

    Raises:
        CredentialsError: The token is not a string that can be sent.
    """
    wrong = odd_secret(token)
    if wrong:
        raise CredentialsError(f"the access token {wrong}")
    return with_project((("authorization", Secret(f"Bearer {str(token).strip()}")),), project)


def with_project(headers: Headers, project: str | None) -> Headers:
    """Add the quota project, which pays for the call, to authorization headers."""
    return headers if project is None else (*headers, ("x-goog-user-project", project))


def lifetime_until(expiry: datetime) -> float:
    """Return the seconds until an expiry; a naive one is in UTC, as google-auth's are."""
    aware = expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)
    lifetime = (aware - datetime.now(UTC)).total_seconds()
    if lifetime <= 0:
        raise CredentialsError("the access token obtained has already expired: check this machine's clock")
    return lifetime
