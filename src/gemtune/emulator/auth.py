"""Who calls, and whether they may: API keys, OAuth tokens, scopes and quota projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from attrs import define, field, frozen

from .clock import SECOND
from .errors import ApiError, error_info
from .routes import Route
from .store import Caller

__all__ = ["ApiKey", "Auth", "Credential", "Token"]

_KEY_INVALID = "API key not valid. Please pass a valid API key."
_KEY_EXPIRED = "API key expired. Please renew the API key."
_NO_CREDENTIAL = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
    "form of API consumer identity to call this API."
)
_BAD_CREDENTIAL = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_NO_QUOTA_PROJECT = (
    "Your application is authenticating by using local Application Default Credentials. The "
    "generativelanguage.googleapis.com API requires a quota project, which is not set by default. To learn how to set "
    "your quota project, see https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds ."
)
_PROJECT_DENIED = (
    "Caller does not have required permission to use project {project}. Grant the caller the "
    "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, by "
    "visiting https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. "
    "Propagation of the new permission may take a few minutes."
)
_REALM = 'Bearer realm="https://accounts.google.com/"'


def _scopes(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


@frozen(kw_only=True)
class Token:
    """An OAuth access token the emulator knows.

    Args:
        email: whose it is; None for the default user.
        scopes: what it may be used for; None for everything.
        expires_at: seconds since 1970 on the emulator's clock; None for never.
    """

    email: str | None = None
    scopes: frozenset[str] | None = field(default=None, converter=_scopes)
    expires_at: float | None = None


@frozen(kw_only=True)
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


@frozen
class Credential:
    """What a request carries."""

    token: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    project: str | None = None

    @classmethod
    def read(cls, headers: Mapping[str, str], query: Mapping[str, str]) -> Credential:
        """The credential of a request; header names are in lower case."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else None
        token = token or query.get("access_token") or query.get("oauth_token")
        key = headers.get("x-goog-api-key") or query.get("key")
        return cls(token or None, key or None, headers.get("x-goog-user-project"))


def _as_token(value: str | Token) -> Token:
    return Token(email=value) if isinstance(value, str) else value


def _as_key(value: str | ApiKey) -> ApiKey:
    return ApiKey(email=value) if isinstance(value, str) else value


@define
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
    tokens: dict[str, str | Token] = field(factory=dict, repr=False)
    api_keys: dict[str, str | ApiKey] = field(factory=dict, repr=False)
    require_quota_project: bool = False
    projects: set[str] | None = None

    def admit(self, credential: Credential, route: Route, version: str, now: int, default_email: str) -> Caller:
        """Who the caller is.

        Raises:
            ApiError: 400, 401 or 403, as the service refuses such a credential.
        """
        if credential.token is not None:
            email = self._admit_token(credential.token, route, version, now)
            self._check_project(credential.project)
        elif credential.api_key is not None:
            email = self._admit_key(credential.api_key, route, version)
        elif self.mode == "any":
            email = None
        else:
            raise ApiError("PERMISSION_DENIED", _NO_CREDENTIAL)
        return Caller(email or default_email, credential.project)

    def _admit_token(self, text: str, route: Route, version: str, now: int) -> str | None:
        known = self.tokens.get(text)
        if known is None:
            if self.mode == "strict":
                raise _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", route, version)
            return None
        token = _as_token(known)
        if token.expires_at is not None and now >= token.expires_at * SECOND:
            raise _unauthenticated("ACCESS_TOKEN_EXPIRED", route, version)
        if token.scopes is not None and route.scopes and token.scopes.isdisjoint(route.scopes):
            raise _insufficient_scope(route, version)
        return token.email

    def _admit_key(self, text: str, route: Route, version: str) -> str | None:
        known = self.api_keys.get(text)
        if known is None:
            if self.mode != "strict":
                return None
            if text.startswith("AQ."):
                raise _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", route, version)
            raise _key_refused(_KEY_INVALID)
        key = _as_key(known)
        if key.expired:
            raise _key_refused(_KEY_EXPIRED)
        if key.blocked:
            text = (
                "Requests to this API generativelanguage.googleapis.com method "
                f"{_full_name(route, version)} are blocked."
            )
            info = error_info("API_KEY_SERVICE_BLOCKED", consumer="projects/318182098261")
            raise ApiError("PERMISSION_DENIED", text, [info, _localized(text)])
        return key.email

    def _check_project(self, project: str | None) -> None:
        if project is None:
            if self.require_quota_project:
                info = error_info("SERVICE_DISABLED", consumer="projects/764086051850")
                raise ApiError("PERMISSION_DENIED", _NO_QUOTA_PROJECT, [info])
        elif self.projects is not None and project not in self.projects:
            info = error_info("USER_PROJECT_DENIED", consumer=f"projects/{project}")
            raise ApiError("PERMISSION_DENIED", _PROJECT_DENIED.format(project=project), [info])


def _full_name(route: Route, version: str) -> str:
    if route.rpc.startswith("Operations."):
        return "google.longrunning." + route.rpc
    return f"google.ai.generativelanguage.{version}.{route.rpc}"


def _localized(text: str) -> dict[str, object]:
    return {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": text}


def _key_refused(text: str) -> ApiError:
    return ApiError("INVALID_ARGUMENT", text, [error_info("API_KEY_INVALID"), _localized(text)])


def _unauthenticated(reason: str, route: Route, version: str) -> ApiError:
    info = error_info(reason, domain="", method=_full_name(route, version))
    headers = {"www-authenticate": f'{_REALM}, error="invalid_token"'}
    return ApiError("UNAUTHENTICATED", _BAD_CREDENTIAL, [info], headers)


def _insufficient_scope(route: Route, version: str) -> ApiError:
    info = error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", method=_full_name(route, version))
    headers = {"www-authenticate": f'{_REALM}, error="insufficient_scope", scope="{" ".join(route.scopes)}"'}
    return ApiError("PERMISSION_DENIED", "Request had insufficient authentication scopes.", [info], headers)
