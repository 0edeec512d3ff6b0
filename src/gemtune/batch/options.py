"""What ``client.batch`` takes, and what it makes of it: a specification that is checked before anything is sent."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from gemtune import checks
from gemtune.batch.acceptance import Acceptance, acceptance_of, most_failures
from gemtune.errors import InvalidInput
from gemtune.limiter.limiter import Limiter
from gemtune.remedy import Argument, Remedy
from gemtune.resources.given import BatchOptions, Durability, EngineName, Finish, Framing
from gemtune.types import GenerationConfig

_OF_THE_LIMITER: Final = ("concurrency", "rpm", "tpm", "rpd", "policy")
_AS_USUAL: Final = {"concurrency": "auto"}
_NOT_HERE: Final = (
    Remedy("leave it out"),
    Remedy("pass ", Argument("finish", "local"), " to have asked from here what the service does not answer"),
)
_OF_THE_MODEL: Final = tuple(Framing.__annotations__)


_OPTIONS: Final = sorted(BatchOptions.__annotations__, key=_OF_THE_MODEL.__contains__)
"""The options by name, what is the model's last."""
_SECONDS: Final = checks.validator(checks.seconds, endless=True)
_PATH: Final = attrs.validators.optional(checks.validator(checks.file_path))


def _one_of(*words: str) -> Any:
    return checks.validator(checks.one_of, *words)


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _given(shared: Mapping[str, Any]) -> dict[str, Any]:
    # No comparison with ==, which means something else to an array or a frame that stands here by mistake.
    return {
        name: value
        for name, value in shared.items()
        if value is not None and not (isinstance(value, tuple) and not value)
    }


@attrs.frozen(kw_only=True)
class BatchSpec:
    """What a batch was asked to do, once it has been checked.

    Args:
        model: The model's name.
        order: ``completed`` or ``input``.
        journal: The journal's path, or None.
        resume: Whether what the journal holds is handed over as well (``all``), or only the rest is yielded.
        durability: When a result counts as written, see ``JournalWriter``.
        on_error: ``keep`` yields failures, ``raise`` raises the first.
        retry_failed: Whether items that failed in an earlier run are asked again.
        accept: What is taken for an answer.
        max_failures: The most items that may fail, or the greatest share of them, or None.
        item_timeout: Seconds for one item with all its attempts and waits.
        timeout: Seconds for the whole run.
        engine: Who asks: ``local``, ``server``, or ``auto``.
        finish: What becomes of items that the service's batches did not answer: ``keep`` or ``local``.
        deadline: Seconds until everything has to be there, or None.
        budget: What may be spent, or None.
        prices: What tokens cost, as it was given.
        shared: Arguments of ``generate_content`` for all items.
    """

    model: str
    order: Literal["completed", "input"] = attrs.field(default="completed", validator=_one_of("completed", "input"))
    journal: str | os.PathLike[str] | None = attrs.field(default=None, validator=_PATH)
    resume: Literal["all", "rest"] = attrs.field(default="all", validator=_one_of("all", "rest"))
    durability: Durability = attrs.field(default="batch", validator=_one_of("batch", "sync", "none"))
    on_error: Literal["keep", "raise"] = attrs.field(default="keep", validator=_one_of("keep", "raise"))
    retry_failed: bool = attrs.field(default=True, validator=checks.validator(checks.flag))
    accept: Acceptance = attrs.field(factory=Acceptance, converter=acceptance_of)
    max_failures: float | None = attrs.field(default=None, converter=most_failures)
    item_timeout: float = attrs.field(default=math.inf, converter=_or_infinite, validator=_SECONDS)
    timeout: float = attrs.field(default=math.inf, converter=_or_infinite, validator=_SECONDS)
    engine: EngineName = attrs.field(default="local", validator=_one_of("local", "server", "auto"))
    finish: Finish = attrs.field(default="keep", validator=_one_of("keep", "local"))
    deadline: float | None = attrs.field(default=None, validator=attrs.validators.optional(_SECONDS))
    budget: float | None = attrs.field(default=None)
    prices: object = None
    shared: Mapping[str, Any] = attrs.field(factory=dict, converter=_given)

    def __attrs_post_init__(self) -> None:
        if self.budget is None:
            return
        if not checks.is_number(self.budget) or not 0 < self.budget < math.inf:
            checks.refuse("budget", "a positive amount of money", self.budget)
        if self.prices is None:
            what = "without prices nobody can say what is spent: no price is built in"
            raise InvalidInput(what, Remedy("give those of a million tokens with ", Argument("prices")), field="budget")


def _as_usual(name: str, value: object) -> bool:
    return isinstance(value, str) and value == _AS_USUAL.get(name)


def make_spec(model: str, options: BatchOptions) -> tuple[BatchSpec, Limiter | None, dict[str, Any]]:
    """Return what a batch is to do, the limiter it was given, and the numbers to make one of.

    Raises:
        InvalidInput: An argument is wrong, or a limiter is given beside the numbers to make one of.
    """
    given: dict[str, Any] = dict(options)
    _check(given)
    # What only says "as usual" asks for no limiter of its own.
    numbers: dict[str, Any] = {name: given.pop(name) for name in _OF_THE_LIMITER if name in given}
    numbers = {name: value for name, value in numbers.items() if value is not None and not _as_usual(name, value)}
    shared: dict[str, Any] = {name: given.pop(name) for name in _OF_THE_MODEL if name in given}
    limiter = given.pop("limiter", None)
    if limiter is not None:
        checks.instance("limiter", limiter, Limiter, "a gemtune.batch.Limiter")
    if limiter is not None and numbers:
        raise InvalidInput(f"give a limiter or {' and '.join(numbers)}, not both", field="limiter")
    spec = BatchSpec(model=model, shared=shared, **given)
    _check_engine(spec, [*numbers, *(["limiter"] if limiter is not None else [])])
    return spec, limiter, numbers


def _check_engine(spec: BatchSpec, of_the_limiter: list[str]) -> None:
    """Refuse what says how this process asks, if only the service does."""
    if spec.engine != "server" or spec.finish == "local":
        return
    useless = [*of_the_limiter, *(["item_timeout"] if spec.item_timeout != math.inf else [])]
    if useless:
        raise InvalidInput(
            f"{useless[0]} says how this process asks, and with the engine server the service asks, in its own time",
            *_NOT_HERE,
            field=useless[0],
        )


def _check(given: Mapping[str, object]) -> None:
    unknown = [name for name in given if name not in BatchOptions.__annotations__]
    config = given.get("generation_config")
    if unknown:
        meant = [f"{name}=..." for name in unknown if name in attrs.fields_dict(GenerationConfig)]
        raise InvalidInput(
            f"a batch has no argument{'s' if len(unknown) > 1 else ''} {' and '.join(unknown)}"
            + (
                f"; what the model is to do stands in generation_config=GenerationConfig({', '.join(meant)})"
                if meant
                else f": it takes {', '.join(_OPTIONS)}"
            ),
            field=unknown[0],
        )
    if config is not None:
        wanted = "a gemtune.GenerationConfig(temperature=..., ...)"
        checks.instance("generation_config", config, GenerationConfig, wanted)
