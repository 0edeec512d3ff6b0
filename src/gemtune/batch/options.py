"""What ``client.batch`` takes, and the batch that it makes of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict, Unpack

import attrs

from gemtune.batch.engines.local import Asks
from gemtune.batch.inferencer import Batch
from gemtune.batch.journal.writer import Durability
from gemtune.config import BatchPolicy
from gemtune.errors import InvalidInput
from gemtune.limiter.limiter import Limiter
from gemtune.types import Content, GenerationConfig, Part, SafetySetting, Tool, ToolConfig

_LIMITER_S = ("concurrency", "rpm", "tpm", "rpd", "policy")
_AS_USUAL = {"concurrency": "auto"}
_MODEL_S = (
    "system_instruction",
    "generation_config",
    "safety_settings",
    "tools",
    "tool_config",
    "cached_content",
)


class BatchOptions(TypedDict, total=False):
    """The keyword arguments of ``client.batch``, which explains them."""

    concurrency: int | Literal["auto"]
    rpm: float | None
    tpm: float | None
    rpd: int | None
    policy: BatchPolicy
    limiter: Limiter | None
    order: Literal["completed", "input"]
    journal: str | os.PathLike[str] | None
    durability: Durability
    on_error: Literal["keep", "raise"]
    retry_failed: bool
    item_timeout: float | None
    timeout: float | None
    system_instruction: str | Part | Content | None
    generation_config: GenerationConfig | None
    safety_settings: Sequence[SafetySetting]
    tools: Sequence[Tool]
    tool_config: ToolConfig | None
    cached_content: str | None


def make_batch(
    client: Asks, model: object, inputs: object, default: object = None, **options: Unpack[BatchOptions]
) -> Batch:
    """Return a batch that has not begun.

    Args:
        client: Whom to ask through.
        model: The model.
        inputs: The rows.
        default: The limiter to use where the options say nothing, if there is one.

    Raises:
        InvalidInput: An argument is wrong, or a limiter is given beside the numbers to make one of.
    """
    given = dict(options)
    _check(given)
    numbers = {name: given.pop(name) for name in _LIMITER_S if name in given}
    shared = {name: given.pop(name) for name in _MODEL_S if name in given}
    # What only says "as usual" asks for no limiter of its own.
    numbers = {name: value for name, value in numbers.items() if value is not None and value != _AS_USUAL.get(name)}
    limiter = given.pop("limiter", None)
    if limiter is not None and not isinstance(limiter, Limiter):
        raise InvalidInput(f"limiter is a gemtune.batch.Limiter, not {type(limiter).__name__}", field="limiter")
    if limiter is not None and numbers:
        raise InvalidInput(f"give a limiter or {' and '.join(numbers)}, not both", field="limiter")
    if limiter is None:
        limiter = default if isinstance(default, Limiter) and not numbers else Limiter(**numbers)  # type: ignore[arg-type]
    return Batch(client=client, model=model, inputs=inputs, limiter=limiter, shared=shared, **given)  # type: ignore[arg-type]


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
                else f": it takes {', '.join(BatchOptions.__annotations__)}"
            ),
            field=unknown[0],
        )
    if config is not None and not isinstance(config, GenerationConfig):
        raise InvalidInput(
            f"generation_config is a gemtune.GenerationConfig(temperature=..., ...), not {type(config).__name__}",
            field="generation_config",
        )
