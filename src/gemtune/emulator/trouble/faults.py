"""What is to go wrong, and when: scenarios, lists of faults that requests use up in the order they were given.

A fault belongs to a method and to its next ``times`` requests, never to a moment or a probability: a test says "the
second look fails", and it is the second look in every run. A scenario is a resource: it can be read back, and tells
which request met which fault, so that a test that ends with ``scenario.completed`` knows that they all happened.

A fault acts at one of three places, and what it may be combined with follows from that:

1. before the request is read: ``delay``;
2. instead of the reply: ``status``, ``error``, ``body``, ``html``, ``garbage``, ``exact``, ``drop``. With ``act`` the
   request is carried out all the same: the deed is done and its caller cannot know, which is what "never twice" is
   about;
3. on the way to the caller: ``headers``, ``cut``, ``pace``, ``then``, and ``after`` in the middle of a stream.

``job`` and ``batch`` are none of these: they are the fate of the job or the batch that the request creates.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal

import attrs

from gemtune.emulator.messages.errors import HTTP_STATUS, RpcError
from gemtune.emulator.messages.http import Cut
from gemtune.emulator.messages.json_text import dumps
from gemtune.emulator.messages.known_errors import KNOWN_ERRORS
from gemtune.emulator.world.batches.lines import BatchFate
from gemtune.emulator.world.route import known_methods
from gemtune.emulator.world.tuning import JobFate
from gemtune.emulator.world.typed import check

_KEPT = 1_000  # scenarios that are completed, and numbers of requests that met one fault
_STATUS_OF = {code: status for status, code in reversed(HTTP_STATUS.items())}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _fate(value: JobFate | Mapping[str, object] | None) -> JobFate | None:
    return JobFate(**value) if isinstance(value, Mapping) else value  # type: ignore[arg-type]


def _batch_fate(value: BatchFate | Mapping[str, object] | None) -> BatchFate | None:
    return BatchFate(**value) if isinstance(value, Mapping) else value  # type: ignore[arg-type]


def _pace(value: Iterable[float] | None) -> tuple[int, float] | None:
    return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]


def _known_method(_: object, _field: object, value: object) -> None:
    methods = known_methods()
    if value == "*" or value in methods:
        return
    # A method that no request has would be waited for in vain, and the test would pass for the wrong reason.
    ending = f".{value}".lower()
    meant = " or ".join(repr(method) for method in methods if f".{method}".lower().endswith(ending))
    advice = f": did you mean {meant}?" if meant else ""
    known = ", ".join(sorted(methods))
    raise ValueError(f"there is no method {value!r}{advice or ':'} a fault's method is '*' or one of {known}")


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def _is_header(item: tuple[str, str]) -> bool:
    name, value = item
    framing = name.lower() in ("content-length", "transfer-encoding")
    printable = _is_latin(value) and all(character == "\t" or character >= " " for character in value)
    return bool(_HEADER_NAME.fullmatch(name)) and not framing and printable and value == value.strip()


def _is_sendable(body: object) -> bool:
    try:
        return isinstance(body, bytes) or dumps(body) is not None
    except (TypeError, ValueError, RecursionError):
        return False


# What a value of the right type must be besides.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "times": (lambda times: times >= 1, "at least 1"),
    "error": (lambda name: name in KNOWN_ERRORS, f"one of {', '.join(KNOWN_ERRORS)}"),
    "status": (lambda status: 200 <= status <= 599, "from 200 to 599"),
    "delay": (lambda seconds: seconds >= 0, "at least 0 seconds"),
    "after": (lambda elements: elements >= 0, "at least 0 elements"),
    "exact": (_is_latin, "of latin-1 characters"),
    "pace": (lambda pace: pace[0] >= 1 and pace[1] >= 0, "(bytes, seconds): at least 1 byte, at least 0 seconds"),
    "headers": (
        lambda headers: all(map(_is_header, headers.items())),
        "names and values that HTTP allows, without content-length and transfer-encoding: see cut and exact",
    ),
    "body": (_is_sendable, "JSON, a string or bytes"),
}
_ANYTHING: tuple[Callable[[Any], bool], str] = (lambda _: True, "")


@cache
def _defaults() -> dict[str, object]:
    fields = {each.name: each.default for each in attrs.fields(Fault) if each.name != "method"}
    return fields | {"headers": {}}


@attrs.frozen(kw_only=True)
class Fault:
    """What goes wrong with the next request of a method.

    Bytes on a connection (``cut``, ``then``, ``exact``) need a real socket; in process a cut reply is an error at once.

    Args:
        method: whole, such as ``"tunedModels.create"``; ``"*"`` for any.
        times: how many requests meet it.
        error: an observed error of the service by its name, such as ``"rate_limit_free_tier"``.
        status: HTTP status to answer with.
        body: a dict is sent as JSON, a string as it is; left out, Google's error envelope for the status.
        headers: added to the reply, or in place of its own.
        message: of the envelope, when there is no ``body``.
        delay: seconds of the emulator's clock before anything else happens.
        act: carry the request out first, then answer as told: the reply is lost, the deed is done.
        drop: close the connection instead of answering.
        html: answer with a frontend's HTML page.
        garbage: answer 200 with the beginning of a JSON body.
        exact: these characters (latin-1) on the connection instead of an HTTP reply; then it is closed.
        cut: reset before the ``"reply"``, in the middle of its ``"headers"`` or ``"body"``; closed in the middle of a
            body with a Content-Length (``"length"``) or without (``"end"``); or half of its ``"json"``, well framed.
            The request is carried out, unless another reply is told.
        pace: (bytes, seconds): the body comes so many bytes at a time, so far apart on the emulator's clock.
        then: after the reply ``"close"`` the connection, without having said so, or ``"reset"`` it as soon as the next
            request comes on it.
        after: of a stream: elements sent before things go wrong.
        raw: of a stream: the error comes as bare JSON without ``data:``.
        job: fate of the tuning job or the batch that the request creates; the reply itself is not touched.
        batch: fate of the lines of the batch that the request creates; the reply itself is not touched.
    """

    method: str = attrs.field(default="*", validator=_known_method)
    times: int = 1
    error: str | None = None
    status: int | None = None
    body: object = None
    headers: dict[str, str] = attrs.field(factory=dict, converter=dict)
    message: str | None = None
    delay: float = 0.0
    act: bool = False
    drop: bool = False
    html: bool = False
    garbage: bool = False
    exact: str | None = None
    cut: Cut | None = None
    pace: tuple[int, float] | None = attrs.field(default=None, converter=_pace)
    then: Literal["close", "reset"] | None = None
    after: int | None = None
    raw: bool = False
    job: JobFate | None = attrs.field(default=None, converter=_fate)
    batch: BatchFate | None = attrs.field(default=None, converter=_batch_fate)

    def __attrs_post_init__(self) -> None:
        """Refuse now what could not be followed later: the request that meets it may be somebody else's."""
        given = self._given()
        check(self, *given)
        for name in given:
            is_right, wanted = _RULES.get(name, _ANYTHING)
            value = getattr(self, name)
            if value is not None and not is_right(value):
                raise ValueError(f"{name} must be {wanted}, not {value!r:.100}")

    def _given(self) -> list[str]:
        """Return the names of the fields, besides the method, that differ from their defaults in value or type."""
        return [
            name
            for name, default in _defaults().items()
            if type(value := getattr(self, name)) is not type(default) or value != default
        ]

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Fault:
        """Return a fault from JSON; raises ValueError for a name it does not know."""
        if not isinstance(values, Mapping):
            raise ValueError(f"a fault is an object with some of {', '.join(attrs.fields_dict(cls))}")  # noqa: TRY004
        unknown = set(values) - set(attrs.fields_dict(cls))
        if unknown:
            known = ", ".join(attrs.fields_dict(cls))
            raise ValueError(f"a fault has no field {min(unknown)!r}; it has {known}")
        try:
            return cls(**values)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"this is not a fault: {error}") from None

    def to_dict(self) -> dict[str, object]:
        """Return the fault as JSON, without what is not set."""
        said = {name: getattr(self, name) for name in self._given()}
        if self.job is not None:
            said["job"] = attrs.asdict(self.job)
        if self.batch is not None:
            said["batch"] = attrs.asdict(self.batch)
        return {"method": self.method, **said}

    @property
    def replaces_reply(self) -> bool:
        """Whether something else is answered than what the request would get."""
        told = (self.status, self.body, self.error, self.exact)
        return any(value is not None for value in told) or self.drop or self.html or self.garbage

    def rpc_error(self, usual: Callable[[int], RpcError | None]) -> RpcError:
        """Return the error to answer with: the one named, otherwise the usual one of a service for the status."""
        code = self.status or 503
        error = KNOWN_ERRORS[self.error]() if self.error else usual(code)
        if error is not None:
            code = self.status or error.code
        else:
            error = RpcError(_STATUS_OF.get(code, "UNKNOWN"), f"The emulator was told to answer {code}.", code=code)
        return RpcError(error.status, self.message or error.message, error.details, error.headers, code)


@attrs.define
class PlantedFault:
    """One fault of a scenario, and which requests met it.

    Args:
        fault: what it says.
        remaining: requests that are still to use it up.
        requests: the numbers of those that did, as in the request log; of the first thousand, if there are more.
    """

    fault: Fault
    remaining: int
    requests: list[int] = attrs.field(factory=list)

    @property
    def completed(self) -> bool:
        return self.remaining == 0

    def to_dict(self) -> dict[str, object]:
        return {**self.fault.to_dict(), "completed": self.completed, "requests": self.requests}


@attrs.define
class Scenario:
    """Faults that were planted together, and what became of them."""

    id: str
    faults: list[PlantedFault]

    @property
    def completed(self) -> bool:
        """Whether every fault was used up."""
        return all(planted.completed for planted in self.faults)

    def to_dict(self) -> dict[str, object]:
        """Return the scenario as JSON."""
        faults = [planted.to_dict() for planted in self.faults]
        return {"id": self.id, "completed": self.completed, "faults": faults}


@attrs.define
class Faults:
    """The scenarios, and the faults that are still to come: a queue for each method."""

    scenarios: dict[str, Scenario] = attrs.field(factory=dict, init=False)
    _queues: defaultdict[str, deque[PlantedFault]] = attrs.field(factory=lambda: defaultdict(deque), init=False)
    followed: int = attrs.field(default=0, init=False)
    _given: int = attrs.field(default=0, init=False)

    def add(self, *faults: Fault | Mapping[str, object]) -> Scenario:
        """Plant faults; mappings are read like the control endpoint's JSON.

        Args:
            faults: in the order in which the requests of a method use them up.

        Returns:
            The scenario they form.
        """
        made = [fault if isinstance(fault, Fault) else Fault.from_dict(fault) for fault in faults]
        self._given += 1
        scenario = Scenario(str(self._given), [PlantedFault(fault, fault.times) for fault in made])
        self.scenarios[scenario.id] = scenario
        self._forget()
        for planted in scenario.faults:
            self._queues[planted.fault.method].append(planted)
        return scenario

    def _forget(self) -> None:
        """Forget the oldest scenario that is completed, if many are kept."""
        if len(self.scenarios) > _KEPT:
            oldest = next((scenario for scenario in self.scenarios.values() if scenario.completed), None)
            if oldest is not None:
                del self.scenarios[oldest.id]

    @property
    def planted(self) -> int:
        """How many faults the scenarios have."""
        return sum(len(scenario.faults) for scenario in list(self.scenarios.values()))

    def take(self, method: str, request: int = 0) -> Fault | None:
        """Use up the next fault of a method; its own come before those of any method."""
        for key in (method, "*"):
            queue = self._queues.get(key)
            if queue:
                planted = queue[0]
                planted.remaining -= 1
                if len(planted.requests) < _KEPT:
                    planted.requests.append(request)
                if planted.completed:
                    queue.popleft()
                self.followed += 1
                return planted.fault
        return None

    def pending(self) -> list[Fault]:
        """Return the faults that are still to come, with the times that are left of each."""
        every = (planted for queue in list(self._queues.values()) for planted in list(queue))
        return [attrs.evolve(planted.fault, times=planted.remaining) for planted in every]

    def remove(self, scenario_id: str) -> None:
        """Forget one scenario; raises KeyError if there is none with this id."""
        gone = set(map(id, self.scenarios.pop(scenario_id).faults))
        for method, queue in self._queues.items():
            self._queues[method] = deque(planted for planted in queue if id(planted) not in gone)

    def clear(self) -> None:
        self._queues.clear()
        self.scenarios.clear()

    def replace(self, faults: Iterable[Fault | Mapping[str, object]]) -> None:
        """Forget what is pending and plant these instead."""
        self.clear()
        self.add(*faults)


def read_scenario(given: object) -> list[Mapping[str, object]]:
    """Return the faults in JSON: one, a list of them, or a list for each method."""
    if isinstance(given, list):
        return list(given)
    if not isinstance(given, Mapping):
        raise TypeError("the body must be a fault, a list of them, or {METHOD: [FAULT, ...]}")
    if given and all(isinstance(listed, list) for listed in given.values()):
        return [{"method": method, **step} for method, listed in given.items() for step in listed]
    return [given]
