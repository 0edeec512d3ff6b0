"""The emulated service, whichever faces it shows: what it remembers, who may call, what is to go wrong.

Nothing in here is HTTP: the front serves requests from it, ``/_emulator`` commands it, a test holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio.to_thread
import attrs

from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.trouble.faults import Faults
from gemtune.emulator.trouble.quotas import Load
from gemtune.emulator.trouble.replicas import Replicas
from gemtune.emulator.world.answers import Answers
from gemtune.emulator.world.auth import Auth
from gemtune.emulator.world.clock import Clock, SteppedClock
from gemtune.emulator.world.face import Face, RouteMatch
from gemtune.emulator.world.keeping.files import FileInUseError
from gemtune.emulator.world.keeping.state import StateFile
from gemtune.emulator.world.recall.reading import rows_of
from gemtune.emulator.world.recall.rows import KnownRows
from gemtune.emulator.world.request_log import RequestLog
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import FilledShelf, Store


@attrs.define(repr=False, eq=False)
class EmulatedService:
    """An emulator without its HTTP.

    Args:
        settings: the knobs.
        clock: its time.
        auth: who is let in; may be changed while it runs.
        store: what it remembers.
        faces: the services it shows; the first one answers for what is nobody's.
        faults: what is to go wrong; add faults at any time.
        load: what limits generateContent; may be changed while it runs.
        state: the file that keeps what it stores, if any.
        requests: the requests that came in.
        hosts: names besides this machine's under which it may be called.
    """

    settings: Settings
    clock: Clock
    auth: Auth
    store: Store
    faces: tuple[Face, ...]
    faults: Faults = attrs.field(factory=Faults)
    load: Load = attrs.field(factory=Load)
    state: StateFile | None = None
    requests: RequestLog = attrs.field(init=False)
    replicas: Replicas = attrs.field(init=False)
    hosts: set[str] = attrs.field(init=False)
    in_flight: int = attrs.field(default=0, init=False)
    peak_in_flight: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.requests = RequestLog(self.settings.request_log_size, self.settings.request_log_bytes)
        self.replicas = Replicas(self.settings)
        self.hosts = set(self.settings.allow_hosts)
        for face in self.faces:
            shelf = face.new_shelf(self.settings)
            if shelf is not None:
                self.store.shelves[face.name] = shelf
                if isinstance(shelf, FilledShelf):
                    shelf.depot = self.store.objects.depot

    def __repr__(self) -> str:
        models, requests = len(self.store.tuned_models), self.requests.statistics()["requests"]
        return f"<Emulator {self.clock!r} tuned_models={models} requests={requests}>"

    def find(self, verb: str, path: str, query: str = "") -> RouteMatch | None:
        """Return the route of a request, of the first face that has one."""
        return next((match for face in self.faces if (match := face.find(verb, path, query))), None)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Count a request for the length of a block."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    def statistics(self) -> dict[str, object]:
        """Return counts of what happened since the start or the last reset."""
        now = self.clock.now()
        self.store.overtake(now)
        return {
            **self.store.statistics(now),
            **self.requests.statistics(),
            "faults_followed": self.faults.followed,
            "faults_pending": len(self.faults.pending()),
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
        }

    def reset(self) -> None:
        """Forget models, requests and faults; the clock keeps its time."""
        self.store.reset()
        self.requests.clear()
        self.faults.clear()
        self.faults.followed = 0
        # the requests under way are not forgotten, and so neither is their number
        self.peak_in_flight = self.in_flight

    @property
    def answers(self) -> Answers | None:
        """Scripted answers; may be replaced while it runs."""
        return self.store.answers

    @answers.setter
    def answers(self, answers: Answers | None) -> None:
        self.store.answers = answers

    @property
    def knows(self) -> KnownRows:
        """The held-out rows whose right answers are known; any rows may be assigned, see ``create_app``."""
        return self.store.known

    @knows.setter
    def knows(self, rows: object) -> None:
        self.store.known = rows if isinstance(rows, KnownRows) else KnownRows.of(rows_of(rows))

    def advance(self, seconds: float) -> None:
        """Move a stepped clock on by this many seconds; raises ValueError for any other clock."""
        if not isinstance(self.clock, SteppedClock):
            raise ValueError(f"only a stepped clock can be advanced; this one is {self.clock!r}")  # noqa: TRY004
        self.clock.advance(seconds)

    def retire(self, base_model: str) -> None:
        """Stop serving a base model: from now on inference on the models tuned from it is a 404."""
        self.store.base_models.pop(base_model, None)

    async def keep(self) -> None:
        """Write the state file, if there is one, and remove the contents that nothing needs any more.

        Raises:
            RpcError: 500 if it cannot be written.
        """
        try:
            if self.state:
                await self.state.save(self.clock, self.store)
            elif gone := self.store.objects.depot.given_up():
                await anyio.to_thread.run_sync(self.store.objects.depot.remove, gone)
        except (OSError, FileInUseError) as error:
            raise RpcError("INTERNAL", f"The emulator cannot write its state: {error}") from error
