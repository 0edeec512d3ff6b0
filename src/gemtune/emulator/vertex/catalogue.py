"""The base models that Vertex AI tunes and serves, as its documentation listed them in November 2026."""

from __future__ import annotations

import attrs

_ADAPTERS = ("ONE", "TWO", "FOUR", "EIGHT", "SIXTEEN")
_SIZES = {name: 1 << power for power, name in enumerate(_ADAPTERS)}


@attrs.frozen(kw_only=True)
class TunableModel:
    """A base model that can be tuned.

    Args:
        name: such as ``"gemini-2.5-flash"``.
        preference: whether preference tuning is offered.
        checkpoints: whether intermediate checkpoints are kept.
        adapters: the adapter sizes that it takes, without their prefix.
    """

    name: str
    preference: bool = False
    checkpoints: bool = False
    adapters: tuple[str, ...] = _ADAPTERS


TUNABLE = {
    model.name: model
    for model in (
        TunableModel(name="gemini-3.5-flash"),
        TunableModel(name="gemini-3.5-flash-lite"),
        TunableModel(name="gemini-3.1-flash-lite", checkpoints=True),
        TunableModel(name="gemini-2.5-pro", checkpoints=True, adapters=_ADAPTERS[:4]),
        TunableModel(name="gemini-2.5-flash", preference=True, checkpoints=True),
        TunableModel(name="gemini-2.5-flash-lite", preference=True, checkpoints=True),
    )
}
SERVED = (*TUNABLE, "gemini-3.7-flash", "gemini-3.1-pro")


def short_name(base_model: str) -> str:
    """Return the last segment of a base model's name: clients send both forms."""
    return base_model.rpartition("/")[2]


def adapter_size(name: str) -> int:
    """Return the number of an adapter size's name; 4, as for a default one, if it is none."""
    return _SIZES.get(name.removeprefix("ADAPTER_SIZE_"), 4)
