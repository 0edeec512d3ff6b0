"""What is to go wrong, and when: programs of instructions that requests use up in the order they were given.

A program is a resource: it can be read back, and tells which request used up which instruction. A test that ends with
``program.completed`` knows that the fault really happened.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from attrs import asdict, define, evolve, field, fields_dict, frozen, validators

from gemtune.emulator.gemini.routes import ROUTES
from gemtune.emulator.messages.errors import HTTP_STATUS, ApiError
from gemtune.emulator.messages.known_errors import KNOWN_ERRORS
from gemtune.emulator.world.tuning import JobFate

Cut = Literal["reply", "headers", "body", "length", "end", "json"]

_STATUS_OF = {code: status for status, code in reversed(HTTP_STATUS.items())}
_METHODS = tuple(route.method for route in ROUTES)
_USUAL = {429: "batch_429_bare", 500: "internal", 503: "overloaded_new", 504: "deadline"}


def _fate(value: JobFate | Mapping[str, object] | None) -> JobFate | None:
    return JobFate(**value) if isinstance(value, Mapping) else value  # type: ignore[arg-type]


def _pace(value: Iterable[float] | None) -> tuple[int, float] | None:
    if value is None:
        return None
    size, seconds = value
    if not (size >= 1 and seconds >= 0):
        raise ValueError(f"pace must be (bytes, seconds): at least 1 byte, at least 0 seconds; not {value}")
    return int(size), float(seconds)


def _known_method(_: object, _field: object, value: object) -> None:
    if value == "*" or value in _METHODS:
        return
    ending = f".{value}".lower()
    meant = " or ".join(repr(method) for method in _METHODS if f".{method}".lower().endswith(ending))
    advice = f": did you mean {meant}?" if meant else ""
    known = ", ".join(sorted(_METHODS))
    raise ValueError(f"there is no method {value!r}{advice or ':'} a fault's method is '*' or one of {known}")


@frozen(kw_only=True)
class Fault:
    """One instruction for the next request of a method.

    Bytes on a connection (``cut``, ``then``, ``exact``) need a real socket; in process a cut reply is an error at once.

    Args:
        method: whole, such as ``"tunedModels.create"``; ``"*"`` for any.
        times: how many requests use it up.
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
        job: fate of the tuning job that the request creates; the reply itself is not touched.
    """

    method: str = field(default="*", validator=_known_method)
    times: int = field(default=1, validator=validators.ge(1))
    error: str | None = field(default=None, validator=validators.optional(validators.in_(KNOWN_ERRORS)))
    status: int | None = None
    body: object = None
    headers: dict[str, str] = field(factory=dict, converter=dict)
    message: str | None = None
    delay: float = field(default=0.0, validator=validators.ge(0))
    act: bool = False
    drop: bool = False
    html: bool = False
    garbage: bool = False
    exact: str | None = None
    cut: Cut | None = field(default=None, validator=validators.optional(validators.in_(get_args(Cut))))
    pace: tuple[int, float] | None = field(default=None, converter=_pace)
    then: Literal["close", "reset"] | None = field(
        default=None, validator=validators.optional(validators.in_(("close", "reset")))
    )
    after: int | None = None
    raw: bool = False
    job: JobFate | None = field(default=None, converter=_fate)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Fault:
        """An instruction from JSON; raises ValueError for a name it does not know."""
        unknown = set(values) - set(fields_dict(cls))
        if unknown:
            known = ", ".join(fields_dict(cls))
            raise ValueError(f"a fault has no field {min(unknown)!r}; it has {known}")
        try:
            return cls(**values)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"this is not a fault: {error}") from None

    def to_dict(self) -> dict[str, object]:
        """The instruction as JSON, without what is not set."""
        defaults = Fault()
        return {key: value for key, value in asdict(self).items() if key == "method" or value != getattr(defaults, key)}

    @property
    def replaces_reply(self) -> bool:
        told = (self.status, self.body, self.error, self.exact)
        return any(value is not None for value in told) or self.drop or self.html or self.garbage

    @property
    def api_error(self) -> ApiError:
        """The error to answer with: the named one, else the usual one for the status."""
        code = self.status or 503
        name = self.error or _USUAL.get(code)
        if name:
            error = KNOWN_ERRORS[name]()
            code = self.status or error.code
        else:
            error = ApiError(_STATUS_OF.get(code, "UNKNOWN"), f"The emulator was told to answer {code}.", code=code)
        return ApiError(error.status, self.message or error.message, error.details, error.headers, code)


@define
class Step:
    """One instruction of a program.

    Args:
        fault: what it says.
        remaining: requests that are still to use it up.
        requests: the numbers of those that did, as in the journal.
    """

    fault: Fault
    remaining: int
    requests: list[int] = field(factory=list)

    @property
    def completed(self) -> bool:
        return self.remaining == 0

    def to_dict(self) -> dict[str, object]:
        return {**self.fault.to_dict(), "completed": self.completed, "requests": self.requests}


@define
class Program:
    """Instructions that were given together, and what became of them."""

    id: str
    steps: list[Step]

    @property
    def completed(self) -> bool:
        """Whether every instruction was used up."""
        return all(step.completed for step in self.steps)

    def to_dict(self) -> dict[str, object]:
        """The program as JSON."""
        instructions = [step.to_dict() for step in self.steps]
        return {"id": self.id, "completed": self.completed, "instructions": instructions}


@define
class Faults:
    """The programs, and what is still to be followed: a queue per method."""

    programs: dict[str, Program] = field(factory=dict, init=False)
    _queues: defaultdict[str, deque[Step]] = field(factory=lambda: defaultdict(deque), init=False)
    followed: int = field(default=0, init=False)
    _given: int = field(default=0, init=False)

    def add(self, *faults: Fault | Mapping[str, object]) -> Program:
        """Append instructions; mappings are read like the control endpoint's JSON.

        Args:
            faults: in the order in which the requests of a method use them up.

        Returns:
            The program they form.
        """
        made = [fault if isinstance(fault, Fault) else Fault.from_dict(fault) for fault in faults]
        self._given += 1
        program = Program(str(self._given), [Step(fault, fault.times) for fault in made])
        self.programs[program.id] = program
        for step in program.steps:
            self._queues[step.fault.method].append(step)
        return program

    def take(self, method: str, request: int = 0) -> Fault | None:
        """Use up the next instruction for a method; its own come before those for any method."""
        for key in (method, "*"):
            queue = self._queues.get(key)
            if queue:
                step = queue[0]
                step.remaining -= 1
                step.requests.append(request)
                if step.completed:
                    queue.popleft()
                self.followed += 1
                return step.fault
        return None

    def pending(self) -> list[Fault]:
        steps = (step for queue in self._queues.values() for step in queue)
        return [evolve(step.fault, times=step.remaining) for step in steps]

    def remove(self, program_id: str) -> None:
        """Forget one program; raises KeyError when there is none of this id."""
        steps = self.programs.pop(program_id).steps
        for method, queue in self._queues.items():
            self._queues[method] = deque(step for step in queue if not any(step is gone for gone in steps))

    def clear(self) -> None:
        self._queues.clear()
        self.programs.clear()

    def replace(self, faults: Iterable[Fault | Mapping[str, object]]) -> None:
        """Forget what is pending and take these instead."""
        self.clear()
        self.add(*faults)


def read_program(given: object) -> list[Mapping[str, object]]:
    """The instructions in JSON: one, a list of them, or a list for each method."""
    if isinstance(given, list):
        return list(given)
    if not isinstance(given, Mapping):
        raise TypeError("faults are an instruction, a list of them, or {METHOD: [INSTRUCTION, ...]}")
    if given and all(isinstance(listed, list) for listed in given.values()):
        return [{"method": method, **step} for method, listed in given.items() for step in listed]
    return [given]
