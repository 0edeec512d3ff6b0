"""Where the authorization headers come from: an API key, a token, a callable, or google-auth.

A fresh token costs a microsecond. A refresh never blocks the event loop, happens once however many callers
wait, begins ahead of the expiry while the old token is still served, and outlives callers that are cancelled.
"""

from __future__ import annotations

import inspect
import math
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Never, Protocol, cast

import anyio
import attrs

from gemtune.errors import CredentialsError, SettingsError
from gemtune.loops import call_soon, current_loop
from gemtune.settings import Secret, Settings

AHEAD: Final = 225.0
"""Seconds before its expiry from which a token is refreshed (google-auth's threshold)."""
MARGIN: Final = 5.0
"""Seconds before its expiry from which a token is not sent any more: the request takes its time, too."""
UNDATED: Final = 300.0
"""Seconds for which a token without expiry is used before the callable is asked again."""
BOUND: Final = 30.0
"""Most seconds that a refresh may take."""
PAUSE: Final = 1.0
"""Least seconds between two refreshes, when one failed or its token was refused."""


class _Unpicklable:
    """What holds secrets: it is neither pickled nor copied by accident."""

    __slots__ = ()

    def __reduce__(self) -> Never:
        raise TypeError("credentials cannot be pickled")


@attrs.frozen
class Ready(_Unpicklable):
    """Headers that can be sent now.

    Args:
        generation: The number of the token; hand it to ``renew`` when the server refuses the token.
        headers: Name and value pairs.
    """

    generation: int
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)


@attrs.frozen
class Grant(_Unpicklable):
    """What a refresh brings.

    Args:
        headers: Name and value pairs.
        lifetime: Seconds for which they are good, or None if unknown.
    """

    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    lifetime: float | None = None


class Credentials(Protocol):
    """What a caller needs of a credential."""

    def ready(self) -> Ready | None:
        """Return headers to send now, or None where ``obtain`` must be awaited."""

    async def obtain(self) -> Ready:
        """Return headers, waiting for a refresh where needed; raise CredentialsError where it fails."""

    async def renew(self, generation: int) -> bool:
        """After a 401, get another token than the refused one; return whether a replay makes sense."""

    def statistics(self) -> dict[str, int]:
        """Return how many refreshes there were and how many failed."""


@attrs.frozen
class Static:
    """A credential that never changes: an API key or a given token.

    Args:
        kind: What it is, for the representation.
        headers: Name and value pairs.
    """

    kind: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    _always: Ready = attrs.field(init=False, repr=False)

    @_always.default
    def _make_always(self) -> Ready:
        return Ready(0, self.headers)

    def ready(self) -> Ready:
        """Return the headers."""
        return self._always

    async def obtain(self) -> Ready:
        """Return the headers."""
        return self._always

    async def renew(self, generation: int) -> bool:  # noqa: ARG002
        """Return False: the same credential would be refused again."""
        return False

    def statistics(self) -> dict[str, int]:
        """Return zeros."""
        return {"refreshes": 0, "failed": 0}


Fetch = Callable[[bool], Grant] | Callable[[bool], Awaitable[Grant]]
"""Gets a token; True asks for another one than before. A plain function may block: it runs in a thread."""


@attrs.define(eq=False)
class _Flight:
    """One refresh under way."""

    deadline: float
    done: anyio.Event = attrs.field(factory=anyio.Event)


@attrs.define(eq=False)
class Refreshing:
    """A credential whose tokens expire.

    Args:
        kind: What it is, for the representation.
        fetch: Gets a token.
        clock: Returns monotonic seconds.
    """

    kind: str
    _fetch: Fetch = attrs.field(repr=False)
    _clock: Callable[[], float] = attrs.field(default=time.monotonic, repr=False)
    _current: Ready | None = attrs.field(default=None, init=False, repr=False)
    _generation: int = attrs.field(default=0, init=False)
    _landed: float = attrs.field(default=-math.inf, init=False, repr=False)
    _refresh_at: float = attrs.field(default=-math.inf, init=False, repr=False)
    _expires: float = attrs.field(default=-math.inf, init=False, repr=False)
    _refused: bool = attrs.field(default=False, init=False, repr=False)
    _flight: _Flight | None = attrs.field(default=None, init=False, repr=False)
    _failure: CredentialsError | None = attrs.field(default=None, init=False, repr=False)
    _failed_at: float = attrs.field(default=-math.inf, init=False, repr=False)
    _failed: int = attrs.field(default=0, init=False)

    def ready(self) -> Ready | None:
        """Return the token while it is good; shortly before its expiry, begin to refresh it."""
        now = self._clock()
        if now < self._refresh_at:
            return self._current
        self._give_up(now)
        if self._current is None or now >= self._expires:
            return None
        if self._flight is None and now - self._failed_at >= PAUSE:
            if inspect.iscoroutinefunction(self._fetch):
                return None  # there is no task to run it in but the caller's
            self._depart(now)
        return self._current

    async def obtain(self) -> Ready:
        """Return a good token, waiting for the one refresh under way.

        Raises:
            CredentialsError: The refresh failed, and no earlier token is good any more.
        """
        while True:
            now = self._clock()
            self._give_up(now)
            if self._current is not None and now < (self._expires if self._flight else self._refresh_at):
                return self._current
            if self._flight is None and now - self._failed_at < PAUSE:
                if self._current is not None and now < self._expires:
                    return self._current
                raise _copy(self._failure)
            flight = self._flight
            if flight is not None:
                await self._wait(flight)
            elif inspect.iscoroutinefunction(self._fetch):
                await self._fetch_here(now)
            else:
                self._depart(now)

    async def renew(self, generation: int) -> bool:
        """Refuse the token of this generation, once; return whether there is another one now."""
        if generation == self._generation:
            if self._clock() - self._landed < PAUSE:
                return False  # fresh, and refused all the same
            self._refresh_at = self._expires = -math.inf
            self._refused = True
        await self.obtain()
        return True

    def _depart(self, now: float) -> None:
        flight = self._flight = _Flight(now + BOUND)
        loop, forced = current_loop(), self._refused

        def fetch() -> None:
            try:
                result: Grant | CredentialsError = cast("Callable[[bool], Grant]", self._fetch)(forced)
            except Exception as exc:  # noqa: BLE001 - a user's callable may raise anything
                result = _explained(exc)
            call_soon(loop, lambda: self._land(flight, result))

        # Not a pool's thread: one that hangs must neither block the next refresh nor the end of the program.
        threading.Thread(target=fetch, name="gemtune-refresh", daemon=True).start()

    async def _wait(self, flight: _Flight) -> None:
        with anyio.move_on_after(flight.deadline - self._clock()):
            await flight.done.wait()
        self._give_up(self._clock())

    def _give_up(self, now: float) -> None:
        if self._flight is not None and now >= self._flight.deadline:
            late = CredentialsError(f"no access token came within {BOUND:g} s: check the network")
            self._land(self._flight, late, at=self._flight.deadline)

    async def _fetch_here(self, now: float) -> None:
        flight = self._flight = _Flight(now + BOUND)
        result: Grant | CredentialsError | None = None
        try:
            with anyio.fail_after(BOUND):
                result = await cast("Callable[[bool], Awaitable[Grant]]", self._fetch)(self._refused)
        except Exception as exc:  # noqa: BLE001 - a user's callable may raise anything
            result = _explained(exc)
        finally:
            if result is None:  # cancelled: another caller takes over
                self._flight = None
                flight.done.set()
        self._land(flight, result)

    def _land(self, flight: _Flight, result: Grant | CredentialsError, at: float | None = None) -> None:
        if self._flight is not flight:
            return
        self._flight = None
        now = self._clock() if at is None else at
        if isinstance(result, Grant):
            lifetime = UNDATED if result.lifetime is None else result.lifetime
            self._generation += 1
            self._current = Ready(self._generation, result.headers)
            self._landed, self._refused, self._failure = now, False, None
            self._expires = now + lifetime - min(MARGIN, lifetime / 4)
            self._refresh_at = now + lifetime - min(AHEAD, lifetime / 4)
        else:
            self._failed += 1
            self._failure, self._failed_at = result, now
        flight.done.set()

    def statistics(self) -> dict[str, int]:
        """Return how many refreshes there were and how many failed."""
        return {"refreshes": self._generation + self._failed, "failed": self._failed}


def _explained(exc: Exception) -> CredentialsError:
    if isinstance(exc, CredentialsError):
        exc.__traceback__ = exc.__context__ = None  # its frames hold the token that was refused
        return exc
    error = CredentialsError(f"the token callable failed with {type(exc).__name__}")
    error.__cause__ = exc
    return error


def _copy(error: CredentialsError | None) -> CredentialsError:
    if error is None:
        return CredentialsError("no access token could be obtained")
    copy = CredentialsError(error.message, *error.remedies)  # one raised by many would collect all their tracebacks
    copy.__cause__ = error.__cause__
    return copy


def bearer(token: object, project: str | None) -> tuple[tuple[str, str], ...]:
    """Return the headers for an access token.

    Raises:
        CredentialsError: The token is not a text that can be sent.
    """
    if not isinstance(token, str) or not token or not all("!" <= char <= "~" for char in token):
        raise CredentialsError("the access token is empty or holds characters that a token cannot have")
    return with_project((("authorization", Secret(f"Bearer {token}")),), project)


def with_project(headers: tuple[tuple[str, str], ...], project: str | None) -> tuple[tuple[str, str], ...]:
    """Add the quota project, which pays for the call, to authorization headers."""
    return headers if project is None else (*headers, ("x-goog-user-project", project))


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
        return Static("API key", (("x-goog-api-key", Secret(settings.api_key or "")),))
    if settings.credential != "token":
        from gemtune.http.auth.google import GoogleSource

        source = GoogleSource(
            credentials=credentials,
            project=settings.project,
            ssl_context=ssl_context,
            trust_env=trust_env,
        )
        return Refreshing(source.kind, source.fetch)
    if isinstance(token, str):
        try:
            return Static("token", bearer(token.strip(), settings.project))
        except CredentialsError as exc:
            raise SettingsError(exc.message, field="token") from None
    if not callable(token):
        raise SettingsError("token must be a text or a callable that returns one", field="token")
    return Refreshing("token callable", _adapted(token, settings.project))


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
            answer.close()
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


def lifetime_until(expiry: datetime) -> float:
    """Return the seconds until an expiry; a naive one is in UTC."""
    aware = expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)
    lifetime = (aware - datetime.now(UTC)).total_seconds()
    if lifetime <= 0:
        raise CredentialsError("the access token obtained has expired already: check this machine's clock")
    return lifetime
