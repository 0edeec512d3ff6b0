"""The base models on offer, as the service described them when it served them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen(kw_only=True)
class BaseModel:
    """A record of ``models.list``; fields as in the API's ``Model`` message."""

    name: str
    version: str = "001"
    display_name: str = ""
    description: str = ""
    input_token_limit: int = 0
    output_token_limit: int = 0
    supported_generation_methods: tuple[str, ...] = ()
    temperature: float | None = None
    max_temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    thinking: bool = False

    @property
    def is_tunable(self) -> bool:
        return not {"createTunedModel", "createTunedTextModel"}.isdisjoint(self.supported_generation_methods)

    def to_message(self) -> dict[str, object]:
        """Return the ``Model`` message."""
        return attrs.asdict(self) | {"supported_generation_methods": list(self.supported_generation_methods)}


_TUNABLE = ("generateContent", "countTokens", "createTunedModel")

BASE_MODELS = (
    BaseModel(
        name="models/text-bison-001",
        display_name="PaLM 2 (Legacy)",
        description="A legacy model that understands text and generates text as an output",
        input_token_limit=8196,
        output_token_limit=1024,
        supported_generation_methods=("generateText", "countTextTokens", "createTunedTextModel"),
        temperature=0.7,
        top_p=0.95,
        top_k=40,
    ),
    BaseModel(
        name="models/gemini-1.0-pro-001",
        display_name="Gemini 1.0 Pro 001 (Tuning)",
        description="The best model for scaling across a wide range of tasks; supports tuning.",
        input_token_limit=30720,
        output_token_limit=2048,
        supported_generation_methods=_TUNABLE,
        temperature=0.9,
        top_p=1.0,
    ),
    BaseModel(
        name="models/gemini-1.5-flash-001-tuning",
        display_name="Gemini 1.5 Flash 001 Tuning",
        description="Version of Gemini 1.5 Flash that supports tuning.",
        input_token_limit=16384,
        output_token_limit=8192,
        supported_generation_methods=_TUNABLE,
        temperature=1.0,
        max_temperature=2.0,
        top_p=0.95,
        top_k=64,
    ),
    BaseModel(
        name="models/gemini-3.7-flash",
        display_name="Gemini 3.7 Flash",
        description="A served model that cannot be tuned here.",
        input_token_limit=1_048_576,
        output_token_limit=65_536,
        supported_generation_methods=(
            "generateContent", "countTokens", "createCachedContent", "batchGenerateContent",
        ),
        temperature=1.0,
        max_temperature=2.0,
        top_p=0.95,
        top_k=64,
        thinking=True,
    ),
)  # fmt: skip


def catalogue(models: Iterable[BaseModel | Mapping[str, object]] | None) -> dict[str, BaseModel]:
    """Return base models by name; plain mappings are taken as the fields of a ``BaseModel``."""
    chosen = BASE_MODELS if models is None else models
    made = [model if isinstance(model, BaseModel) else BaseModel(**model) for model in chosen]  # type: ignore[arg-type]
    return {model.name: model for model in made}
