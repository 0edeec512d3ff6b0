"""google-auth behind one blocking function; it runs in a worker thread, and so do the imports.

google-auth brings no transport of its own that can refresh, so a small one over httpx takes that place.
"""

from __future__ import annotations

import os
import ssl
import sys
import time
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import attrs

from gemtune.errors import CredentialsError, GemtuneError, SettingsError
from gemtune.http._httpx import httpx
from gemtune.http.auth import files
from gemtune.http.auth.grant import BOUND, Grant, bearer, lifetime_until, with_project
from gemtune.http.environment import find_proxy, make_ssl_context
from gemtune.protocol.advice import GEMINI, Access, Addressee, missing, not_renewed

PAUSES: Final = (0.5, 1.0)
"""Seconds to wait before the second and third attempt of a refresh that failed for a passing reason."""


@attrs.define(eq=False)
class GoogleSource:
    """Gets tokens from google-auth.

    Args:
        credentials: A google-auth credentials object; None means Application Default Credentials.
        project: The quota project, or None for the credentials' own.
        ssl_context: What https token endpoints are called with.
        trust_env: Whether proxies and roots are taken from the environment.
        access: What the service wants of a credential.
    """

    credentials: Any = attrs.field(default=None, repr=False)
    project: str | None = None
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    trust_env: bool = True
    access: Access = GEMINI
    _scoped: Any = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.credentials is not None and not (
            callable(getattr(self.credentials, "refresh", None)) and callable(getattr(self.credentials, "apply", None))
        ):
            raise SettingsError(
                f"credentials must be a google-auth credentials object, not {type(self.credentials).__name__}",
                field="credentials",
            )

    @property
    def kind(self) -> str:
        """What it is, for representations."""
        return "google-auth" if self.credentials is not None else "Application Default Credentials"

    @property
    def _addressee(self) -> Addressee:
        return Addressee.of(self.kind, "", os.environ, sys.modules, self.access)

    def fetch(self, forced: bool) -> Grant:
        """Return headers with a good token; blocks for files, the metadata server and the token endpoint.

        Raises:
            CredentialsError: There is no credential, or it cannot be refreshed; the message names the remedy.
        """
        from google.auth import exceptions

        request = _GoogleTransport(ssl_context=self.ssl_context, trust_env=self.trust_env)
        try:
            if self._scoped is None:
                self._scoped = self._load(request)
            # A credentials object of the user's may hold a token that is still good.
            if forced or not self._scoped.valid:
                self._refresh(request)
            return self._grant()
        except exceptions.DefaultCredentialsError as exc:
            message = f"no Google credential was found ({_words(exc)}). {missing(self._addressee)}"
        except exceptions.RefreshError as exc:
            message = f"Google did not renew the credential ({_words(exc)}); {not_renewed(self._addressee)}"
        except exceptions.GoogleAuthError as exc:
            message = f"no access token could be obtained ({_words(exc)}): check network and proxy"
        except (GemtuneError, httpx.HTTPError):
            raise
        except Exception as exc:  # noqa: BLE001 - what google-auth lets through: of files, keys, other libraries
            message = f"google-auth could not use the credential ({type(exc).__name__}): check the file or object"
        finally:
            request.close()
        # Out here, so that google-auth's error, whose frames hold what was sent and answered, is not its context.
        raise CredentialsError(message)

    def _load(self, request: _GoogleTransport) -> Any:
        import google.auth
        from google.auth.credentials import with_scopes_if_required

        if self.credentials is not None:
            return with_scopes_if_required(self.credentials, list(self.access.scopes))  # type: ignore[no-untyped-call]
        named = os.environ.get(files.VARIABLE)
        info = files.read(named, self.access) if named else {}
        if info.get("type") == "external_account":
            return files.external_account(info, self.access)
        from gemtune.http.auth import metadata

        try:
            asking = cast("Any", metadata.ending_before(request))
            credentials, _ = google.auth.default(scopes=list(self.access.scopes), request=asking)
        except google.auth.exceptions.DefaultCredentialsError:
            here = None if named else metadata.find(request, self.access.scopes)
            if here is None:
                raise
            return here
        return credentials

    def _refresh(self, request: _GoogleTransport) -> None:
        from google.auth import exceptions

        # google-auth repeats some failures of its own accord, but not those of the transport, which is ours.
        for pause in (*PAUSES, None):
            try:
                self._scoped.refresh(request)
            except exceptions.GoogleAuthError as exc:
                passing = isinstance(exc, exceptions.TransportError) or exc.retryable
                if pause is None or not passing:
                    raise
                time.sleep(pause)
            else:
                return

    def _grant(self) -> Grant:
        # apply() and not .token: some kinds add headers of their own (a quota project, a trust boundary).
        headers: dict[str, str] = {}
        self._scoped.apply(headers)
        named = {name.lower(): str(value) for name, value in headers.items()}
        own = named.pop("x-goog-user-project", None) or getattr(self._scoped, "quota_project_id", None)
        token = named.pop("authorization", "").removeprefix("Bearer ")
        project = self.project or own
        pairs = bearer(token, project) if token else with_project((), project)
        expiry = getattr(self._scoped, "expiry", None)
        return Grant((*pairs, *named.items()), lifetime_until(expiry) if expiry is not None else None)


def _words(exc: Exception) -> str:
    # The first argument is text; a second one may be the endpoint's whole answer.
    text = str(exc.args[0]) if exc.args else type(exc).__name__
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:300]


@attrs.frozen
class _Response:
    status: int
    headers: Mapping[str, str]
    data: bytes


@attrs.define(eq=False)
class _GoogleTransport:
    """google-auth's transport interface (google.auth.transport.Request) over httpx.

    Proxies are for https only: plain http goes to the metadata server, which is close by.
    """

    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    trust_env: bool = True
    _clients: dict[str, httpx.Client] = attrs.field(factory=dict, init=False, repr=False)

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Response:
        """Carry out one request and return its answer, whatever its status."""
        from google.auth import exceptions

        parts = urlsplit(url)
        try:
            reply = self._client(f"{parts.scheme}://{parts.netloc}").request(
                method, url, content=body, headers=headers, timeout=min(timeout or BOUND, BOUND)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            # Without the cause: httpx's exceptions hold the request, and with it the refresh token.
            message = f"{parts.hostname}: {type(exc).__name__}"
        else:
            return _Response(reply.status_code, reply.headers, reply.content)
        raise exceptions.TransportError(message)  # type: ignore[no-untyped-call]

    def _client(self, origin: str) -> httpx.Client:
        if origin not in self._clients:
            secure = origin.startswith("https:")
            context = (self.ssl_context or make_ssl_context(self.trust_env)) if secure else False
            proxy = find_proxy(origin) if secure and self.trust_env else None
            self._clients[origin] = httpx.Client(verify=context, proxy=proxy, trust_env=False)
        return self._clients[origin]

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()
