"""What the service finds harmful, and what it does about it (API page: generate-content#HarmCategory)."""

from __future__ import annotations

from typing import ClassVar

import attrs

from gemtune.types.message import Message
from gemtune.types.openenum import OpenEnum


class HarmCategory(OpenEnum):
    """A kind of harm; Gemini models know the last five, of which the last is deprecated."""

    HARM_CATEGORY_UNSPECIFIED = "HARM_CATEGORY_UNSPECIFIED"
    HARM_CATEGORY_DEROGATORY = "HARM_CATEGORY_DEROGATORY"
    HARM_CATEGORY_TOXICITY = "HARM_CATEGORY_TOXICITY"
    HARM_CATEGORY_VIOLENCE = "HARM_CATEGORY_VIOLENCE"
    HARM_CATEGORY_SEXUAL = "HARM_CATEGORY_SEXUAL"
    HARM_CATEGORY_MEDICAL = "HARM_CATEGORY_MEDICAL"
    HARM_CATEGORY_DANGEROUS = "HARM_CATEGORY_DANGEROUS"
    HARM_CATEGORY_HARASSMENT = "HARM_CATEGORY_HARASSMENT"
    HARM_CATEGORY_HATE_SPEECH = "HARM_CATEGORY_HATE_SPEECH"
    HARM_CATEGORY_SEXUALLY_EXPLICIT = "HARM_CATEGORY_SEXUALLY_EXPLICIT"
    HARM_CATEGORY_DANGEROUS_CONTENT = "HARM_CATEGORY_DANGEROUS_CONTENT"
    HARM_CATEGORY_CIVIC_INTEGRITY = "HARM_CATEGORY_CIVIC_INTEGRITY"


class HarmBlockThreshold(OpenEnum):
    """From which probability on a content is blocked."""

    HARM_BLOCK_THRESHOLD_UNSPECIFIED = "HARM_BLOCK_THRESHOLD_UNSPECIFIED"
    BLOCK_LOW_AND_ABOVE = "BLOCK_LOW_AND_ABOVE"
    BLOCK_MEDIUM_AND_ABOVE = "BLOCK_MEDIUM_AND_ABOVE"
    BLOCK_ONLY_HIGH = "BLOCK_ONLY_HIGH"
    BLOCK_NONE = "BLOCK_NONE"
    OFF = "OFF"


class HarmProbability(OpenEnum):
    """How likely a content is harmful."""

    HARM_PROBABILITY_UNSPECIFIED = "HARM_PROBABILITY_UNSPECIFIED"
    NEGLIGIBLE = "NEGLIGIBLE"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class BlockReason(OpenEnum):
    """Why a prompt was refused."""

    BLOCK_REASON_UNSPECIFIED = "BLOCK_REASON_UNSPECIFIED"
    SAFETY = "SAFETY"
    OTHER = "OTHER"
    BLOCKLIST = "BLOCKLIST"
    PROHIBITED_CONTENT = "PROHIBITED_CONTENT"
    IMAGE_SAFETY = "IMAGE_SAFETY"


@attrs.frozen
class SafetySetting(Message):
    """From which probability on one kind of harm is blocked."""

    category: HarmCategory = attrs.field(converter=HarmCategory)
    threshold: HarmBlockThreshold = attrs.field(converter=HarmBlockThreshold)


@attrs.frozen(kw_only=True)
class SafetyRating(Message):
    """How likely one kind of harm is, and whether that blocked the content."""

    category: HarmCategory = HarmCategory.HARM_CATEGORY_UNSPECIFIED
    probability: HarmProbability = HarmProbability.HARM_PROBABILITY_UNSPECIFIED
    blocked: bool = False


@attrs.frozen(kw_only=True)
class PromptFeedback(Message):
    """What the service found in the prompt.

    Args:
        block_reason: Why the prompt was refused; None if it was not.
        safety_ratings: The ratings, one per kind of harm.
    """

    SIDE: ClassVar = frozenset({"safety_ratings"})

    block_reason: BlockReason | None = None
    safety_ratings: tuple[SafetyRating, ...] = ()
