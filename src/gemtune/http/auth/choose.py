"""Which credential a client uses: from its settings and arguments to one of the kinds."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import cast
from urllib.parse import urlsplit

import attrs

from gemtune.errors import CredentialsError, SettingsError
from gemtune.http.auth.credentials import Credentials, Fetch, Refreshing, Static
from gemtune.http.auth.grant import Grant, bearer, lifetime_until
from gemtune.protocol.advice import CLOUD, GEMINI, Access
from gemtune.settings import Secret, Settings
from gemtune.settings.addresses import is_loopback


def make_credentials(
    settings: Settings,
    *,
    token: object | None = None,
    credentials: object | None = None,
    ssl_context: ssl.SSLContext | None = None,
    trust_env: bool = True,
) -> Credentials:
    """Return the credential that the settings name.

    Args:
        settings: Which kind it is, with the API key and the quota project.
        token: An access token, or a plain or async callable that returns one, alone or with its expiry: a
            datetime, naive ones in UTC as google-auth's are.
        credentials: A google-auth credentials object.
        ssl_context: What the token endpoints are called with.
        trust_env: Whether proxies and roots are taken from the environment.

    Raises:
        SettingsError: The token or the credentials object is of no known kind.
    """
    if settings.credential == "api_key":
        taken = next((entry.source for entry in settings.entries if entry.name == "credential"), "")
        return Static("API key", (("x-goog-api-key", Secret(settings.api_key or "")),), taken)
    if settings.credential != "token":
        from gemtune.http.auth.google import GoogleSource

        source = GoogleSource(
            credentials=credentials,
            project=settings.quota_project,
            ssl_context=ssl_context,
            trust_env=trust_env,
            access=_access(settings),
        )
        return Refreshing(source.kind, source.fetch)
    if isinstance(token, str | bytes | bytearray):
        try:
            return Static("token", bearer(token, settings.quota_project))
        except CredentialsError as exc:
            raise SettingsError(exc.message.replace("the access token", "token", 1), field="token") from None
    if not callable(token):
        raise SettingsError("token must be a string or a callable that returns one", field="token")
    return Refreshing("token callable", _adapted(token, settings.quota_project))


def _access(settings: Settings) -> Access:
    if settings.service != "vertex":
        return GEMINI
    return attrs.evolve(CLOUD, local=is_loopback(urlsplit(settings.base_url).hostname or ""))


def _adapted(function: Callable[..., object], project: str | None) -> Fetch:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    ):

        async def wait(forced: bool) -> Grant:  # noqa: ARG001
            return _granted(await cast("Callable[[], Awaitable[object]]", function)(), project)

        return wait

    def fetch(forced: bool) -> Grant:  # noqa: ARG001
        answer = function()
        if inspect.iscoroutine(answer):
            answer.close()  # or it would warn, at some later time, that it was never awaited
            raise CredentialsError(
                "the token callable returned a coroutine: define it with 'async def' instead of wrapping one"
            )
        return _granted(answer, project)

    return fetch


def _granted(answer: object, project: str | None) -> Grant:
    token, expiry = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
    if expiry is None:
        return Grant(bearer(token, project))
    if not isinstance(expiry, datetime):
        raise CredentialsError("the token callable must return a token, or a token and a datetime")
    return Grant(bearer(token, project), lifetime_until(expiry))
