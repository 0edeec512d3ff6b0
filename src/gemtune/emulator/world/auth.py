"""Who calls, and whether they may: API keys, OAuth tokens, scopes and quota projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import attrs

from gemtune.emulator.messages.known_errors import (
    api_key_blocked,
    api_key_refused,
    insufficient_scope,
    project_denied,
    quota_project_missing,
    unauthenticated,
)
from gemtune.emulator.world.clock import SECOND
from gemtune.emulator.world.face import RouteMatch
from gemtune.emulator.world.store import Principal


def _scopes(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


@attrs.frozen(kw_only=True)
class Token:
    """An OAuth access token the emulator knows.

    Args:
        email: whose it is; None for the default user.
        scopes: what it may be used for; None for everything.
        expires_at: seconds since 1970 on the emulator's clock; None for never.
    """

    email: str | None = None
    scopes: frozenset[str] | None = attrs.field(default=None, converter=_scopes)
    expires_at: float | None = None


@attrs.frozen(kw_only=True)
class ApiKey:
    """An API key the emulator knows.

    Args:
        email: who uses it; None for the default user.
        expired: it is refused as expired.
        blocked: it is restricted to other services.
    """

    email: str | None = None
    expired: bool = False
    blocked: bool = False


@attrs.frozen
class Credential:
    """What a request carries."""

    token: str | None = attrs.field(default=None, repr=False)
    api_key: str | None = attrs.field(default=None, repr=False)
    project: str | None = None

    @classmethod
    def read(cls, headers: Mapping[str, str], query: Mapping[str, str]) -> Credential:
        """Return the credential of a request; header names are in lower case."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else None
        token = token or query.get("access_token") or query.get("oauth_token")
        key = headers.get("x-goog-api-key") or query.get("key")
        return cls(token or None, key or None, headers.get("x-goog-user-project"))


def _as_token(value: str | Token) -> Token:
    return Token(email=value) if isinstance(value, str) else value


def _as_key(value: str | ApiKey) -> ApiKey:
    return ApiKey(email=value) if isinstance(value, str) else value


@attrs.define
class Auth:
    """The rules of admission; everything may be changed while the emulator runs.

    Args:
        mode: ``"any"`` lets everybody in; ``"required"`` wants some credential; ``"strict"`` knows only the tokens
            and keys below.
        tokens: OAuth access tokens; a plain string is the email of its owner.
        api_keys: API keys; a plain string is the email of its user.
        require_quota_project: OAuth calls must name a project in ``x-goog-user-project``.
        projects: the projects a caller may name; None for any.
    """

    mode: Literal["any", "required", "strict"] = "any"
    tokens: dict[str, str | Token] = attrs.field(factory=dict, repr=False)
    api_keys: dict[str, str | ApiKey] = attrs.field(factory=dict, repr=False)
    require_quota_project: bool = False
    projects: set[str] | None = None

    def admit(self, credential: Credential, match: RouteMatch, now: int, default_email: str) -> Principal:
        """Return who the caller is.

        Raises:
            RpcError: 400, 401 or 403, as the service refuses such a credential.
        """
        if match.route.public:
            return Principal(default_email)
        # With both, the token decides and the key is not looked at.
        if credential.token is not None:
            email = self._admit_token(credential.token, match, now)
            self._check_project(credential.project, match.face.host)
        elif credential.api_key is not None:
            email = self._admit_key(credential.api_key, match)
        elif self.mode == "any":
            email = None
        else:
            raise match.face.anonymous()
        return Principal(email or default_email, credential.project)

    def _admit_token(self, text: str, match: RouteMatch, now: int) -> str | None:
        known = self.tokens.get(text)
        # Only strict knows whom it does not know; otherwise every credential is the default user's.
        if known is None:
            if self.mode == "strict":
                raise unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", match.face.rpc_name(match), match.face.host)
            return None
        token = _as_token(known)
        if token.expires_at is not None and now >= token.expires_at * SECOND:
            raise unauthenticated("ACCESS_TOKEN_EXPIRED", match.face.rpc_name(match), match.face.host)
        if token.scopes is not None and match.route.scopes and token.scopes.isdisjoint(match.route.scopes):
            raise insufficient_scope(match.route.scopes, match.face.rpc_name(match), match.face.host)
        return token.email

    def _admit_key(self, text: str, match: RouteMatch) -> str | None:
        known = self.api_keys.get(text)
        if known is None:
            if self.mode != "strict":
                return None
            if text.startswith("AQ."):
                raise unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", match.face.rpc_name(match), match.face.host)
            raise api_key_refused(match.face.host)
        key = _as_key(known)
        if key.expired:
            raise api_key_refused(match.face.host, expired=True)
        if key.blocked:
            raise api_key_blocked(match.face.rpc_name(match), match.face.host)
        return key.email

    def _check_project(self, project: str | None, host: str) -> None:
        if project is None:
            if self.require_quota_project:
                raise quota_project_missing(host)
        elif self.projects is not None and project not in self.projects:
            raise project_denied(project, host)
