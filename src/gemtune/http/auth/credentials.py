"""Credentials as a caller sees them: those that never change, and those whose tokens expire.

The rules of refreshing, along the life of one token (seconds before its expiry; a quarter of a short life at most)::

    obtained ......... 225 ................... 5 ......... expiry
    | it is served     | it is served, and a   | it is not sent any more: callers wait for
    |                  | refresh is under way  | the refresh, which may take 30 s

A fresh token costs a caller a microsecond. A refresh never blocks the event loop, happens once however many callers
wait, and outlives callers that are cancelled. A token that the service refused is replaced once; if its successor
is refused within a second, no further one is asked for, because that would not help either.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final, Protocol, Self, cast

import anyio
import attrs

from gemtune.errors import CredentialsError, SettingsError
from gemtune.http.auth.grant import BOUND, Grant, Headers, Ready
from gemtune.loops import call_soon, current_loop

AHEAD: Final = 225.0
"""Seconds before its expiry from which a token is refreshed (google-auth's threshold)."""
MARGIN: Final = 5.0
"""Seconds before its expiry from which a token is not sent any more: the request takes its time as well."""
UNDATED: Final = 300.0
"""Seconds for which a token without expiry is used before the callable is asked again."""
PAUSE: Final = 1.0
"""Least seconds between two refreshes, when one failed or its token was refused."""


class Credentials(Protocol):
    """What a caller needs of a credential."""

    @property
    def kind(self) -> str:
        """What it is, for whoever reads that it was refused."""

    @property
    def source(self) -> str:
        """Where it was taken from, if that is known."""

    def ready(self) -> Ready | None:
        """Return headers to send now, or None if ``obtain`` must be awaited."""

    async def obtain(self) -> Ready:
        """Return headers, waiting for a refresh if need be; raise CredentialsError if it fails."""

    async def renew(self, generation: int) -> bool:
        """After a 401, get another token than the refused one; return whether a replay makes sense."""


@attrs.frozen
class Static:
    """A credential that never changes: an API key or a given token.

    Args:
        kind: What it is, for the representation.
        headers: Names and values.
        source: Where it was taken from, such as ``GOOGLE_API_KEY``.
    """

    kind: str
    headers: Headers = attrs.field(repr=False)
    source: str = ""
    _always: Ready = attrs.field(init=False, repr=False)

    @_always.default
    def _make_always(self) -> Ready:
        return Ready(0, self.headers)

    def ready(self) -> Ready:
        return self._always

    async def obtain(self) -> Ready:
        return self._always

    async def renew(self, generation: int) -> bool:  # noqa: ARG002
        return False  # the same credential would be refused again


Fetch = Callable[[bool], Grant] | Callable[[bool], Awaitable[Grant]]
"""Gets a token; True asks for another one than before. A plain function may block: it runs in a thread."""


@attrs.frozen
class _Token:
    """A token with the times of its life."""

    ready: Ready
    landed: float
    refresh_at: float
    expires: float

    @classmethod
    def of(cls, grant: Grant, generation: int, now: float) -> Self:
        lifetime = UNDATED if grant.lifetime is None else grant.lifetime
        return cls(
            Ready(generation, grant.headers),
            landed=now,
            refresh_at=now + lifetime - min(AHEAD, lifetime / 4),
            expires=now + lifetime - min(MARGIN, lifetime / 4),
        )


@attrs.frozen
class _Failure:
    """How the last refresh failed, and when."""

    error: CredentialsError
    at: float


@attrs.define(eq=False)
class _Refresh:
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

    source: ClassVar[str] = ""

    kind: str
    _fetch: Fetch = attrs.field(repr=False)
    _clock: Callable[[], float] = attrs.field(default=time.monotonic, repr=False)
    _token: _Token | None = attrs.field(default=None, init=False, repr=False)
    _generation: int = attrs.field(default=0, init=False)
    _refused: bool = attrs.field(default=False, init=False, repr=False)
    _refresh: _Refresh | None = attrs.field(default=None, init=False, repr=False)
    _failure: _Failure | None = attrs.field(default=None, init=False, repr=False)

    def ready(self) -> Ready | None:
        """Return the token while it is good; shortly before its expiry, begin to refresh it."""
        now = self._clock()
        token = self._token
        if token is not None and now < token.refresh_at:
            return token.ready
        self._give_up(now)
        if token is None or now >= token.expires:
            return None
        if self._refresh is None and not self._failed_lately(now):
            if inspect.iscoroutinefunction(self._fetch):
                return None  # there is no task to run it in but the caller's
            self._begin(now)
        return token.ready

    async def obtain(self) -> Ready:
        """Return a good token, waiting for the one refresh under way.

        Raises:
            CredentialsError: The refresh failed, and no earlier token is good any more.
        """
        while True:
            now = self._clock()
            self._give_up(now)
            token, refresh = self._token, self._refresh
            if token is not None and now < (token.expires if refresh else token.refresh_at):
                return token.ready
            if refresh is not None:
                await self._wait(refresh)
            elif self._failed_lately(now):
                if token is not None and now < token.expires:
                    return token.ready
                raise _copy(self._failure)
            elif inspect.iscoroutinefunction(self._fetch):
                await self._fetch_here(now)
            else:
                self._begin(now)

    async def renew(self, generation: int) -> bool:
        """Drop the token of this generation, which was refused; return whether there is another one now."""
        token = self._token
        if token is not None and generation == token.ready.generation:
            if self._clock() - token.landed < PAUSE:
                return False  # fresh, and refused all the same
            self._token, self._refused = None, True
        await self.obtain()
        return True

    def _failed_lately(self, now: float) -> bool:
        return self._failure is not None and now - self._failure.at < PAUSE

    def _begin(self, now: float) -> None:
        refresh = self._refresh = _Refresh(now + BOUND)
        loop, forced = current_loop(), self._refused

        def fetch() -> None:
            try:
                result: Grant | CredentialsError = cast("Callable[[bool], Grant]", self._fetch)(forced)
            except Exception as exc:  # noqa: BLE001 - a user's callable may raise anything
                result = _explained(exc)
            call_soon(loop, lambda: self._end(refresh, result))

        # Not a pool's thread: one that hangs must neither block the next refresh nor the end of the program.
        threading.Thread(target=fetch, name="gemtune-refresh", daemon=True).start()

    async def _wait(self, refresh: _Refresh) -> None:
        with anyio.move_on_after(refresh.deadline - self._clock()):
            await refresh.done.wait()
        self._give_up(self._clock())

    def _give_up(self, now: float) -> None:
        if self._refresh is not None and now >= self._refresh.deadline:
            late = CredentialsError(f"no access token came within {BOUND:g} s: check the network")
            self._end(self._refresh, late, at=self._refresh.deadline)

    async def _fetch_here(self, now: float) -> None:
        refresh = self._refresh = _Refresh(now + BOUND)
        result: Grant | CredentialsError | None = None
        try:
            with anyio.fail_after(BOUND):
                result = await cast("Callable[[bool], Awaitable[Grant]]", self._fetch)(self._refused)
        except Exception as exc:  # noqa: BLE001 - a user's callable may raise anything
            result = _explained(exc)
        finally:
            if result is None:  # cancelled: another caller takes over
                self._refresh = None
                refresh.done.set()
        self._end(refresh, result)

    def _end(self, refresh: _Refresh, result: Grant | CredentialsError, at: float | None = None) -> None:
        if self._refresh is not refresh:
            return  # it was given up, and what it brings now comes too late
        self._refresh = None
        now = self._clock() if at is None else at
        if isinstance(result, Grant):
            self._generation += 1
            self._token = _Token.of(result, self._generation, now)
            self._refused, self._failure = False, None
        else:
            self._failure = _Failure(result, now)
        refresh.done.set()


def _explained(exc: Exception) -> CredentialsError:
    if isinstance(exc, CredentialsError):
        exc.__traceback__ = exc.__context__ = None  # its frames hold the token that was refused
        return exc
    if isinstance(exc, SettingsError):  # a proxy or roots that cannot be used, found on the way to the token
        return CredentialsError(exc.message, *exc.remedies)
    error = CredentialsError(f"the token callable failed with {type(exc).__name__}")
    error.__cause__ = exc
    return error


def _copy(failure: _Failure | None) -> CredentialsError:
    if failure is None:
        return CredentialsError("no access token could be obtained")
    # One error raised by many would collect all their tracebacks.
    copy = CredentialsError(failure.error.message, *failure.error.remedies)
    copy.__cause__ = failure.error.__cause__
    return copy
