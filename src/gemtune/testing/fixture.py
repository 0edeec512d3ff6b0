"""What the pytest fixtures hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.client import Client
from gemtune.config import RetryPolicy, WatchPolicy
from gemtune.emulator import Emulator, RunningEmulator, create_app, running_emulator
from gemtune.http._httpx import httpx

if TYPE_CHECKING:
    import pytest

    from gemtune.emulator.trouble.faults import Faults
    from gemtune.emulator.world.answers import Answers
    from gemtune.emulator.world.clock import Clock
    from gemtune.emulator.world.recall.rows import KnownRows
    from gemtune.emulator.world.request_log import RequestLog

_WATCH: dict[str, Any] = {"freshness": 0.05, "terminal_freshness": 0.05, "queued_interval": 0.05, "min_interval": 0.01}
_RETRY: dict[str, Any] = {"initial": 0.01, "maximum": 0.05}


@attrs.define(eq=False)
class GeminiEmulator:
    """A Gemini API for one test.

    Args:
        app: The emulator, an ASGI application.
    """

    app: Emulator

    @classmethod
    def make(cls, **options: Any) -> GeminiEmulator:
        """Return an emulator whose jobs and batches take no time, whose clock stands still, and which has one bucket.

        Args:
            options: Of ``gemtune.emulator.create_app``; they override these defaults.
        """
        defaults: dict[str, Any] = {"clock": "stepped", "queue_seconds": 0.0, "step_seconds": 0.0}
        defaults |= {"batch_queue_seconds": 0.0, "batch_seconds": 0.0, "buckets": ("test-bucket",)}
        return cls(create_app(**(defaults | options)))

    @property
    def clock(self) -> Clock:
        """The emulator's time; it stands still until you advance it."""
        return self.app.clock

    @property
    def faults(self) -> Faults:
        """The faults to come: ``gemini_emulator.faults.add(Fault(method="tunedModels.create", status=503))``."""
        return self.app.faults

    @property
    def requests(self) -> RequestLog:
        """The requests that came in, oldest first; ``requests.of("tunedModels.create")`` are those of one method."""
        return self.app.requests

    @property
    def answers(self) -> Answers | None:
        """What models answer: a mapping from prompt to text, or a function of a ``Prompt``; may be assigned."""
        return self.app.answers

    @answers.setter
    def answers(self, answers: Answers | None) -> None:
        """Change what models answer from now on."""
        self.app.answers = answers

    @property
    def knows(self) -> KnownRows:
        """The held-out rows whose right answers are known; rows of any usual kind may be assigned.

        A model answers the share of them right that follows from its loss, so that tests of an evaluation have
        something to measure: ``gemini_emulator.knows = {"1": "2", "3": "4"}``.
        """
        return self.app.knows

    @knows.setter
    def knows(self, rows: object) -> None:
        """Let these rows be known from now on, and no others."""
        self.app.knows = rows

    def advance(self, seconds: float) -> None:
        """Advance the emulator's clock, and with it jobs, quotas and delays."""
        self.app.advance(seconds)

    def client(self, **options: Any) -> Client:
        """Return a client of this emulator, without a socket, on any event loop.

        Args:
            options: Of ``gemtune.Client``; by default it has an API key, or with ``vertexai=True`` a token, and waits
                little.
        """
        defaults: dict[str, Any] = {
            "base_url": "http://127.0.0.1",
            "transport": httpx.ASGITransport(self.app),
            "watch": WatchPolicy(**_WATCH),
            "retry": RetryPolicy(**_RETRY),
        }
        if not {"api_key", "token", "credentials"} & options.keys():
            defaults["token" if options.get("vertexai") else "api_key"] = "emulator"
        return Client(**(defaults | options))

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Listen on a socket of this machine for the length of a block, and return the address."""
        with self.serving() as server:
            yield server.url

    def serving(self) -> RunningEmulator:
        """Return the emulator on a socket of this machine, for the length of a ``with`` block."""
        return running_emulator(self.app)


def shorten_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let policies that do not say otherwise look at jobs, and try again, without long waits."""
    for policy, short in ((WatchPolicy, _WATCH), (RetryPolicy, _RETRY)):
        monkeypatch.setattr(policy, "__init__", _with_defaults(policy.__init__, short))


def _with_defaults(init: Callable[..., None], defaults: dict[str, Any]) -> Callable[..., None]:
    def initialize(policy: object, **given: object) -> None:
        init(policy, **(defaults | given))

    return initialize
