"""What is to go wrong, and when: instructions that requests use up in the order they were given."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from attrs import asdict, define, evolve, field, fields_dict, frozen, validators

from .errors import HTTP_STATUS
from .tuning import JobFate

__all__ = ["Fault", "Faults"]

_STATUS_OF = {code: status for status, code in reversed(HTTP_STATUS.items())}


def _fate(value: JobFate | Mapping[str, object] | None) -> JobFate | None:
    return JobFate(**value) if isinstance(value, Mapping) else value  # type: ignore[arg-type]


@frozen(kw_only=True)
class Fault:
    """One instruction for the next request of a method.

    Args:
        method: such as ``"tunedModels.create"``; ``"*"`` for any.
        times: how many requests use it up.
        status: HTTP status to answer with.
        body: a dict is sent as JSON, a string as it is; left out, Google's error envelope for the status.
        headers: added to the reply, or in place of its own.
        message: of the envelope, when there is no ``body``.
        delay: seconds of the emulator's clock before anything else happens.
        act: carry the request out first, then answer as told: the reply is lost, the deed is done.
        drop: close the connection instead of answering.
        html: answer with a frontend's HTML page.
        garbage: answer 200 with the beginning of a JSON body.
        after: of a stream: elements sent before things go wrong.
        raw: of a stream: the error comes as bare JSON without ``data:``.
        job: fate of the tuning job that the request creates; the reply itself is not touched.
    """

    method: str = "*"
    times: int = field(default=1, validator=validators.ge(1))
    status: int | None = None
    body: object = None
    headers: dict[str, str] = field(factory=dict, converter=dict)
    message: str | None = None
    delay: float = field(default=0.0, validator=validators.ge(0))
    act: bool = False
    drop: bool = False
    html: bool = False
    garbage: bool = False
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
        return self.status is not None or self.body is not None or self.drop or self.html or self.garbage

    @property
    def error_body(self) -> dict[str, object]:
        """Google's envelope for the status."""
        code = self.status or 503
        status = _STATUS_OF.get(code, "UNKNOWN")
        message = self.message or _MESSAGES.get(code, f"The emulator was told to answer {code}.")
        return {"error": {"code": code, "message": message, "status": status}}


_MESSAGES = {
    429: "You exceeded your current quota, please check your plan and billing details. For more information on this "
    "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
    500: "An internal error has occurred. Please retry or report in "
    "https://developers.generativeai.google/guide/troubleshooting",
    503: "This model is currently experiencing high demand. Spikes in demand are usually temporary. Please try again "
    "later.",
    504: "Deadline expired before operation could complete.",
}


@define
class Faults:
    """The instructions still to be followed, a queue per method."""

    _queues: defaultdict[str, deque[Fault]] = field(factory=lambda: defaultdict(deque), init=False)
    followed: int = field(default=0, init=False)

    def add(self, *faults: Fault | Mapping[str, object]) -> None:
        """Append instructions; mappings are read like the control endpoint's JSON."""
        for fault in faults:
            made = fault if isinstance(fault, Fault) else Fault.from_dict(fault)
            self._queues[made.method].append(made)

    def take(self, method: str) -> Fault | None:
        """Use up the next instruction for a method; its own come before those for any method."""
        for key in (method, "*"):
            queue = self._queues.get(key)
            if queue:
                fault = queue.popleft()
                if fault.times > 1:
                    queue.appendleft(evolve(fault, times=fault.times - 1))
                self.followed += 1
                return fault
        return None

    def pending(self) -> list[Fault]:
        return [fault for queue in self._queues.values() for fault in queue]

    def clear(self) -> None:
        self._queues.clear()

    def replace(self, faults: Iterable[Fault | Mapping[str, object]]) -> None:
        """Forget what is pending and take these instead."""
        self.clear()
        self.add(*faults)
