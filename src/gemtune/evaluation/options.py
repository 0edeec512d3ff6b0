"""The keyword arguments that ``client.evaluate`` shares with ``client.batch``, and those of reading its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gemtune.errors import InvalidInput
from gemtune.resources.given import Framing, Pacing

OF_THE_READING: Final = ("input", "output", "heading", "delimiter")
OF_THE_LIMITER: Final = ("concurrency", "rpm", "tpm", "rpd", "policy")
OF_THE_MODELS: Final = tuple(Framing.__annotations__)
"""What frames the prompts: it is for the models that are compared, and never for a judge."""


class EvaluateOptions(Pacing, total=False):
    """The keyword arguments of ``client.evaluate`` that frame, pace and read; it explains them."""

    input: str | int | None
    output: str | int | None
    heading: bool | None
    delimiter: str | None


def check_known(options: Mapping[str, Any]) -> None:
    """Refuse arguments that an evaluation does not have.

    Raises:
        InvalidInput: There is one.
    """
    unknown = [name for name in options if name not in EvaluateOptions.__annotations__]
    if unknown:
        said = f"argument{'s' if len(unknown) > 1 else ''} {' and '.join(unknown)}"
        takes = ", ".join(sorted(EvaluateOptions.__annotations__, key=OF_THE_MODELS.__contains__))
        raise InvalidInput(f"an evaluation has no {said}: it takes {takes}", field=unknown[0])
