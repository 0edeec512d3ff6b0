"""What one service can learn and the other cannot: the Gemini API takes pairs of limited length only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from gemtune.datasets.examples import MAX_INPUT, MAX_OUTPUT
from gemtune.datasets.layouts import pair
from gemtune.datasets.problems import row_error
from gemtune.errors import InvalidInput

Service: TypeAlias = Literal["vertex", "gemini"]


def unfit(example: Mapping[str, Any], service: Service) -> InvalidInput | None:
    """Return why an example in Vertex AI's form is none for a service; None if it is one."""
    if service == "vertex":
        return None
    if "completions" in example:
        return row_error("is a preference pair, which the Gemini API cannot learn")
    try:
        texts = pair(example, "contents")
    except InvalidInput as problem:
        return problem
    for field, text, most in (("input", texts[0], MAX_INPUT), ("output", str(texts[1]), MAX_OUTPUT)):
        if len(text) > most:
            what = f"{field} has {len(text):,} characters, more than the {most:,} allowed"
            return row_error(f"{what}; shorten it by {len(text) - most:,}", code="too_long", path=field)
        if not text.strip():
            return row_error(f"{field} is empty; fill it in or drop the row", code="missing_text", path=field)
    return None
