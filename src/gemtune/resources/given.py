"""What callers may give: what stands for a model, a job or prompts, and the options that several methods share.

The types are for checkers and editors. At run time all of it is checked where it is used, because most callers have no
type checker.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, TypedDict, TypeVar

from gemtune.config import BatchPolicy
from gemtune.errors import InvalidInput
from gemtune.limiter.limiter import Limiter
from gemtune.types import (
    Content,
    GenerateContentRequest,
    GenerateContentResponse,
    GenerationConfig,
    Operation,
    Part,
    SafetySetting,
    Tool,
    ToolConfig,
)

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


# A path and an open file have a name, too. What else these have tells them from such.
class _Titled(Protocol):
    """A model, or a handle on a job."""

    @property
    def name(self) -> str: ...
    @property
    def display_name(self) -> str | None: ...


class _Based(Protocol):
    """A tuning job."""

    @property
    def name(self) -> str: ...
    @property
    def base_model(self) -> str | None: ...


class _Served(Protocol):
    """What an endpoint of Vertex AI serves, such as a checkpoint."""

    @property
    def endpoint(self) -> str: ...


ModelLike: TypeAlias = str | _Titled | _Based | _Served
"""What stands for a model: its name, a ``TunedModel`` or ``types.Model``, or the ``TuningJob`` that makes it; on
Vertex AI also a checkpoint or an endpoint."""

JobLike: TypeAlias = str | _Titled | _Based | Operation
"""What stands for a tuning job: its name, a ``TuningJob``, or the ``TunedModel`` or ``types.Operation`` of one."""

_Request: TypeAlias = (
    str | Part | Content | Sequence[str | Part | Content] | GenerateContentRequest | Mapping[str, Any] | InvalidInput
)
BatchRow: TypeAlias = _Request | tuple[str | int, _Request]
"""A prompt (str, Part, Content or a list of these), a request (GenerateContentRequest or its JSON), or (key, one of
these), which may be written ``{"key": ..., "request": ...}``. An InvalidInput says why there is none."""

Prompts: TypeAlias = Iterable[BatchRow] | AsyncIterable[BatchRow] | Mapping[str, _Request] | Mapping[int, _Request]
"""The inputs of a batch: prompts, requests, or (key, prompt or request), from anything that can be iterated over."""

Accept: TypeAlias = Collection[str] | Callable[[GenerateContentResponse], bool]
"""Finish and block reasons, or a function that says of a reply whether it is an answer."""

Durability = Literal["batch", "sync", "none"]


class _Prices(Protocol):
    """A ``gemtune.batch.TokenPrices``."""

    @property
    def per_million(self) -> Mapping[str, tuple[float, float]]: ...


Prices: TypeAlias = tuple[float, float] | Mapping[str, Any] | str | os.PathLike[str] | _Prices
"""What a million input tokens and a million output tokens cost: a pair, pairs by model, a ``TokenPrices``, or the path
of a JSON file with one."""

EngineName = Literal["local", "server", "auto"]
Finish = Literal["keep", "local"]


class Framing(TypedDict, total=False):
    """What may frame a prompt.

    Args:
        system_instruction: A str, Part or Content that frames the answer.
        generation_config: Temperature, token limits, response format ...
        safety_settings: Thresholds for harm categories.
        tools: Tools the model may call.
        tool_config: How it may call them.
        cached_content: The name of cached content to build on.
    """

    system_instruction: str | Part | Content | None
    generation_config: GenerationConfig | None
    safety_settings: Sequence[SafetySetting]
    tools: Sequence[Tool]
    tool_config: ToolConfig | None
    cached_content: str | None


class Pacing(Framing, total=False):
    """How many prompts are asked, by a batch or by the batches of an evaluation: how framed, how fast, how long."""

    concurrency: int | Literal["auto"]
    rpm: float | None
    tpm: float | None
    rpd: int | None
    policy: BatchPolicy
    limiter: Limiter | None
    durability: Durability
    retry_failed: bool
    accept: Accept | None
    max_failures: float | None
    item_timeout: float | None
    timeout: float | None
    engine: EngineName
    finish: Finish
    deadline: float | None
    budget: float | None


class BatchOptions(Pacing, total=False):
    """The keyword arguments of ``client.batch``, which explains them."""

    order: Literal["completed", "input"]
    journal: str | os.PathLike[str] | None
    resume: Literal["all", "rest"]
    on_error: Literal["keep", "raise"]
    prices: Prices | None


_DEFAULTS: Final[Mapping[str, object]] = {
    "concurrency": "auto",
    "order": "completed",
    "resume": "all",
    "durability": "batch",
    "on_error": "keep",
    "retry_failed": True,
    "queue": False,
    "engine": "local",
    "finish": "keep",
    "validation": 0.1,
    "metrics": (),
    "seed": 0,
    "method": "supervised",
}
"""The defaults that are not None, for those who read a signature."""


def spelled_out(options: type, *, last: type | None = None, **defaults: object) -> Callable[[FunctionT], FunctionT]:
    """Let a function's signature name the options that it takes as one TypedDict, for ``help()`` and completion.

    Args:
        options: The TypedDict.
        last: What it inherits from, whose options come after its own; None for how a request is framed.
        defaults: Defaults that are others here than of most functions.
    """

    # What a TypedDict inherits comes first in it, and the method's own options are what its readers look for.
    names = sorted(options.__annotations__, key=(last or Framing).__annotations__.__contains__)

    def decorate(function: FunctionT) -> FunctionT:
        plain = inspect.signature(function)
        kept = [each for each in plain.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        named = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(name, _DEFAULTS.get(name)),
                annotation=getattr(options.__annotations__[name], "__forward_arg__", options.__annotations__[name]),
            )
            for name in names
        ]
        function.__signature__ = plain.replace(parameters=[*kept, *named])  # type: ignore[attr-defined]
        return function

    return decorate
