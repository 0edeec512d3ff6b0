"""Models that the service offers (API page: models)."""

from __future__ import annotations

import attrs

from gemtune.types.message import Message, as_tuple


@attrs.frozen(kw_only=True)
class Model(Message):
    """A model that the service offers.

    Args:
        name: ``models/{id}``.
        base_model_id: The id without its version.
        version: The version.
        display_name: The name for people.
        description: What it is for.
        input_token_limit: The largest prompt, in tokens.
        output_token_limit: The longest answer, in tokens.
        supported_generation_methods: The methods it serves, such as ``generateContent``.
        temperature: The default temperature.
        top_p: The default nucleus probability.
        top_k: The default number of candidates per token; None if the model does not use it.
        max_temperature: The highest temperature.
        thinking: Whether it thinks before it answers.
    """

    name: str = ""
    base_model_id: str = ""
    version: str = ""
    display_name: str = ""
    description: str = ""
    input_token_limit: int = 0
    output_token_limit: int = 0
    supported_generation_methods: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_temperature: float | None = None
    thinking: bool = False

    def supports(self, method: str) -> bool:
        """Tell whether the model serves a method.

        Args:
            method: Such as ``createTunedModel``, which a base model for tuning has.
        """
        return method in self.supported_generation_methods


@attrs.frozen(kw_only=True)
class ListModelsResponse(Message):
    """One page of models; without a next page token it is the last."""

    models: tuple[Model, ...] = ()
    next_page_token: str = ""
