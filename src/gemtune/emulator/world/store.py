"""What the service remembers: tuned models, their jobs, examples and permissions. No I/O and no clock in here."""

from __future__ import annotations

import random
import string
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.contents import Depot, StoredContent
from gemtune.emulator.messages.known_errors import forbidden, missing
from gemtune.emulator.world.answers import Answers, ExampleIndex
from gemtune.emulator.world.base_models import BaseModel
from gemtune.emulator.world.batches.lines import BatchFate
from gemtune.emulator.world.objects import Objects
from gemtune.emulator.world.recall.rows import KnownRows
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.tuning import Job, JobFate, JobProgress
from gemtune.emulator.world.typed import check

ROLES = {"READER": 1, "WRITER": 2, "OWNER": 3}
_BASE36 = string.digits + string.ascii_lowercase
_NO_BATCH_FATE = BatchFate()


@attrs.frozen
class Principal:
    """Who makes a call."""

    email: str
    project: str | None = None


@attrs.frozen(kw_only=True)
class MethodCall:
    """One request, as a handler sees it.

    Args:
        method: such as ``"tunedModels.get"``.
        version: ``"v1"`` or ``"v1beta"``.
        params: the variables of the path.
        query: the method's own query parameters, under their proto names.
        body: the decoded request message.
        caller: who asks.
        now: the time, in nanoseconds since 1970.
        fate: of the tuning job, if the call creates one.
        batch_fate: of the batch, if the call creates one.
    """

    method: str
    version: str
    params: dict[str, str]
    query: dict[str, str]
    body: Value = attrs.field(repr=False)
    caller: Principal
    now: int
    fate: JobFate
    batch_fate: BatchFate = _NO_BATCH_FATE


@attrs.define
class StoredPermission:
    """Who may do what with one tuned model."""

    id: str
    grantee_type: str
    email: str | None
    role: str
    number: int = 0

    def __attrs_post_init__(self) -> None:
        check(self, "id", "grantee_type", "email", "role", "number")
        if self.role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, not {self.role!r}")

    def covers(self, caller: Principal) -> bool:
        """Return whether this permission is about a caller."""
        if self.grantee_type == "EVERYONE":
            return True
        return self.email is not None and self.email.casefold() == caller.email.casefold()


@attrs.define(kw_only=True)
class StoredModel:
    """One tuned model with everything that hangs on it."""

    number: int
    id: str
    operation_id: str
    base_model: str
    source: str | None
    display_name: str
    description: str
    temperature: float | None
    top_p: float | None
    top_k: int | None
    reader_project_numbers: list[int]
    hyperparameters: Value
    examples: ExampleIndex
    job: Job
    permissions: dict[str, StoredPermission]
    patched: int | None = None
    cancelled: int | None = None

    @property
    def name(self) -> str:
        return f"tunedModels/{self.id}"

    @property
    def operation_name(self) -> str:
        return f"{self.name}/operations/{self.operation_id}"

    def progress(self, now: int) -> JobProgress:
        return self.job.progress(now, self.cancelled)

    def state(self, now: int, settings: Settings) -> str:
        return settings.cancelled_state if self.cancelled is not None else self.progress(now).state

    def role(self, caller: Principal, *, beside_everyone: bool = False) -> int:
        """Return the caller's highest role as a number (0 for none); roles are nested."""
        roles = [
            ROLES.get(permission.role, 0)
            for permission in self.permissions.values()
            if permission.covers(caller) and not (beside_everyone and permission.grantee_type == "EVERYONE")
        ]
        # Documented: members of these projects may read, without a permission of their own.
        if caller.project is not None and caller.project in map(str, self.reader_project_numbers):
            roles.append(ROLES["READER"])
        return max(roles, default=0)


class Shelf(Protocol):
    """What one service keeps beside the tuned models; it is cleared, written and read with them."""

    def clear(self) -> None:
        """Forget everything."""

    def dump(self) -> object:
        """Return all that outlives the process, as JSON."""

    def restore(self, kept: Any) -> None:
        """Take over what another process left; raises ValueError, TypeError or LookupError if it is damaged."""


@runtime_checkable
class CountedShelf(Protocol):
    """A shelf with numbers for the emulator's statistics."""

    def statistics(self, now: int) -> dict[str, object]:
        """Return what there is, in numbers."""


@runtime_checkable
class FilledShelf(Protocol):
    """A shelf with contents in the depot, which it is told when it is put up."""

    depot: Depot | None

    def contents(self) -> Iterable[StoredContent]:
        """Return them; one that is kept for two reasons comes twice."""


class WorkingShelf:
    """A shelf with work that is due at some time, such as the results of a batch that are to be written."""

    __slots__ = ()

    def due(self, now: int) -> bool:
        """Return whether there is work by now; asked before every request."""
        raise NotImplementedError

    def work(self, store: Store, now: int) -> None:
        """Do the work that is due, in a thread; several may come at once, and each returns when it is done."""
        raise NotImplementedError


@attrs.define(repr=False)
class Store:
    """The memory of the service; handlers change it, one call at a time."""

    settings: Settings
    base_models: dict[str, BaseModel]
    answers: Answers | None = None
    known: KnownRows = attrs.field(factory=KnownRows)
    tuned_models: dict[str, StoredModel] = attrs.field(factory=dict, init=False)
    objects: Objects = attrs.field(init=False)
    shelves: dict[str, Shelf] = attrs.field(factory=dict, init=False)
    recent: dict[str, deque[int]] = attrs.field(factory=dict, init=False)
    _doomed: dict[str, int] = attrs.field(factory=dict, init=False)
    _random: random.Random = attrs.field(init=False)
    _created: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.objects = self.shelves["objects"] = Objects(self.settings)
        self.reset()

    def __repr__(self) -> str:
        return f"Store(base_models={len(self.base_models)}, tuned_models={len(self.tuned_models)})"

    def reset(self) -> None:
        """Forget everything; ids begin again from the seed."""
        self.tuned_models.clear()
        for shelf in self.shelves.values():
            if isinstance(shelf, FilledShelf) and not isinstance(shelf, Objects):  # which gives up its own
                for content in {id(each): each for each in shelf.contents()}.values():
                    self.objects.depot.retire(content)
            shelf.clear()
        self.recent.clear()
        self._doomed.clear()
        self._random = random.Random(self.settings.seed)  # noqa: S311 - ids of an emulator
        self._created = 0

    def add(self, model: StoredModel) -> None:
        """Keep a new tuned model, until it is deleted or its fate overtakes it."""
        self.tuned_models[model.name] = model
        if model.job.deleted is not None:
            self._doomed[model.name] = model.job.deleted

    def remove(self, model: StoredModel) -> None:
        """Forget a tuned model."""
        del self.tuned_models[model.name]
        self._doomed.pop(model.name, None)

    def overtake(self, now: int) -> None:
        """Forget the models that somebody else has deleted by now."""
        # Done at each request and not by a timer: a stepped clock knows no background.
        for name in [name for name, deleted in self._doomed.items() if deleted <= now]:
            self.remove(self.tuned_models[name])

    def statistics(self, now: int) -> dict[str, object]:
        """Return how many tuned models there are, in all and in each state, and how many objects."""
        states = Counter(model.state(now, self.settings) for model in self.tuned_models.values())
        counted = [shelf.statistics(now) for shelf in self.shelves.values() if isinstance(shelf, CountedShelf)]
        every = {"tuned_models": len(self.tuned_models), "states": dict(states), "objects": len(self.objects)}
        return every | {name: value for each in counted for name, value in each.items()}

    @property
    def numbers(self) -> int:
        """How many numbers have been used."""
        return self._created

    def restore(self, models: Iterable[StoredModel], numbers: int) -> None:
        """Take over what another process left; its ids do not come again."""
        self.reset()
        for model in models:
            self.add(model)
        self._created = numbers
        # Seeded by how far the former process had come, or its ids would come again.
        self._random = random.Random(f"{self.settings.seed}/{numbers}")  # noqa: S311 - ids of an emulator

    def random_id(self, length: int) -> str:
        """Return an id of small letters and digits; the same seed gives the same ids."""
        return "".join(self._random.choices(_BASE36, k=length))

    def next_number(self) -> int:
        """Return a number that orders lists and is never used twice."""
        self._created += 1
        return self._created

    def tuned_model(self, name: str, caller: Principal, role: str) -> StoredModel:
        """Return a tuned model on which the caller has at least this role; 404 or 403 otherwise."""
        model = self.tuned_models.get(name)
        if model is None:
            raise missing(name)
        if model.role(caller) < ROLES[role]:
            raise forbidden(name)
        return model

    def visible_to(self, caller: Principal) -> Iterator[StoredModel]:
        """Return the tuned models that the caller may read, oldest first."""
        return (model for model in self.tuned_models.values() if model.role(caller))

    def running(self, now: int) -> int:
        """Count the tuning jobs that are not over."""
        return sum(not model.progress(now).done for model in self.tuned_models.values())

    def spend_request(self, model: str, now: int) -> float | None:
        """Count a request against the model's quota per minute; return the seconds to wait if it is used up."""
        limit, minute = self.settings.requests_per_minute, 60 * 10**9
        if limit is None:
            return None
        recent = self.recent.setdefault(model, deque())
        # A sliding minute: the oldest request leaves the window 60 s after it came.
        while recent and recent[0] <= now - minute:
            recent.popleft()
        if len(recent) >= limit:
            return (recent[0] + minute - now) / 10**9 if recent else 60.0
        recent.append(now)
        return None


def tidy(store: Store) -> None:
    """Remove the files of contents that a killed process left and that no shelf has; blocks."""
    every = [each for shelf in store.shelves.values() if isinstance(shelf, FilledShelf) for each in shelf.contents()]
    store.objects.depot.tidy({each.data.name for each in every if isinstance(each.data, Path)})


def due(store: Store, now: int) -> list[WorkingShelf]:
    """Return the shelves that have work to do before anybody may look."""
    return [shelf for shelf in store.shelves.values() if isinstance(shelf, WorkingShelf) and shelf.due(now)]
