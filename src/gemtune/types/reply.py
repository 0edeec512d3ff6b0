"""What generateContent and countTokens answer (API pages: generate-content, tokens)."""

from __future__ import annotations

from typing import ClassVar

import attrs

from gemtune.errors import NoText
from gemtune.markup import Displayed, box, escape, line
from gemtune.remedy import Argument, Remedy
from gemtune.types.content import Content, FunctionCall
from gemtune.types.generation import ServiceTier
from gemtune.types.message import Json, Message
from gemtune.types.openenum import OpenEnum
from gemtune.types.safety import PromptFeedback, SafetyRating
from gemtune.types.timestamp import Timestamp


class FinishReason(OpenEnum):
    """Why the model stopped."""

    FINISH_REASON_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
    STOP = "STOP"
    MAX_TOKENS = "MAX_TOKENS"
    SAFETY = "SAFETY"
    RECITATION = "RECITATION"
    LANGUAGE = "LANGUAGE"
    OTHER = "OTHER"
    BLOCKLIST = "BLOCKLIST"
    PROHIBITED_CONTENT = "PROHIBITED_CONTENT"
    SPII = "SPII"
    MALFORMED_FUNCTION_CALL = "MALFORMED_FUNCTION_CALL"
    IMAGE_SAFETY = "IMAGE_SAFETY"
    IMAGE_PROHIBITED_CONTENT = "IMAGE_PROHIBITED_CONTENT"
    IMAGE_OTHER = "IMAGE_OTHER"
    NO_IMAGE = "NO_IMAGE"
    IMAGE_RECITATION = "IMAGE_RECITATION"
    UNEXPECTED_TOOL_CALL = "UNEXPECTED_TOOL_CALL"
    TOO_MANY_TOOL_CALLS = "TOO_MANY_TOOL_CALLS"
    MISSING_THOUGHT_SIGNATURE = "MISSING_THOUGHT_SIGNATURE"
    MALFORMED_RESPONSE = "MALFORMED_RESPONSE"
    ESCALATION = "ESCALATION"


class Modality(OpenEnum):
    """What tokens stand for."""

    MODALITY_UNSPECIFIED = "MODALITY_UNSPECIFIED"
    TEXT = "TEXT"
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"
    DOCUMENT = "DOCUMENT"


class ModelStage(OpenEnum):
    """Where a model stands in its life."""

    MODEL_STAGE_UNSPECIFIED = "MODEL_STAGE_UNSPECIFIED"
    UNSTABLE_EXPERIMENTAL = "UNSTABLE_EXPERIMENTAL"
    EXPERIMENTAL = "EXPERIMENTAL"
    PREVIEW = "PREVIEW"
    STABLE = "STABLE"
    LEGACY = "LEGACY"
    DEPRECATED = "DEPRECATED"
    RETIRED = "RETIRED"


@attrs.frozen(kw_only=True)
class CitationSource(Message):
    """A source that a part of the answer repeats; the indices count bytes, the end excluded."""

    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    license: str | None = None


@attrs.frozen(kw_only=True)
class CitationMetadata(Message):
    """The sources that an answer repeats."""

    citation_sources: tuple[CitationSource, ...] = ()


@attrs.frozen(kw_only=True)
class LogprobsCandidate(Message):
    """A token and how likely it was."""

    token: str | None = None
    token_id: int | None = None
    log_probability: float | None = None


@attrs.frozen(kw_only=True)
class TopCandidates(Message):
    """The likeliest tokens of one step, the likeliest first."""

    candidates: tuple[LogprobsCandidate, ...] = ()


@attrs.frozen(kw_only=True)
class LogprobsResult(Message):
    """How likely the tokens of an answer were, one entry per step."""

    top_candidates: tuple[TopCandidates, ...] = ()
    chosen_candidates: tuple[LogprobsCandidate, ...] = ()
    log_probability_sum: float | None = None


@attrs.frozen(kw_only=True)
class Candidate(Message):
    """One answer.

    Args:
        content: What the model said; may be absent or without parts.
        finish_reason: Why it stopped; None in the middle of a stream.
        index: Which of the answers this is.
        finish_message: The reason in the server's words.
        safety_ratings: How harmful it is.
        citation_metadata: What it repeats.
        token_count: Its length in tokens.
        grounding_attributions: As plain JSON.
        grounding_metadata: What it is based on, as plain JSON.
        avg_logprobs: The mean log probability of its tokens.
        logprobs_result: The log probabilities.
        url_context_metadata: Which addresses were read, as plain JSON.
    """

    SIDE: ClassVar = frozenset(
        {
            "finish_reason",
            "index",
            "finish_message",
            "safety_ratings",
            "citation_metadata",
            "token_count",
            "grounding_attributions",
            "grounding_metadata",
            "avg_logprobs",
            "logprobs_result",
            "url_context_metadata",
        }
    )

    content: Content | None = None
    finish_reason: FinishReason | None = None
    index: int | None = None
    finish_message: str | None = None
    safety_ratings: tuple[SafetyRating, ...] = ()
    citation_metadata: CitationMetadata | None = None
    token_count: int = 0
    grounding_attributions: tuple[Json, ...] = attrs.field(default=(), hash=False)
    grounding_metadata: Json | None = attrs.field(default=None, hash=False)
    avg_logprobs: float | None = None
    logprobs_result: LogprobsResult | None = None
    url_context_metadata: Json | None = attrs.field(default=None, hash=False)


@attrs.frozen(kw_only=True)
class ModalityTokenCount(Message):
    """How many tokens stand for one kind of thing."""

    modality: Modality = Modality.MODALITY_UNSPECIFIED
    token_count: int = 0


@attrs.frozen(kw_only=True)
class UsageMetadata(Message):
    """How many tokens a call took.

    Args:
        prompt_token_count: In the prompt, the cached part included.
        candidates_token_count: In the answers.
        total_token_count: In all.
        cached_content_token_count: In the cached part of the prompt.
        prompt_tokens_details: The prompt's by kind.
        cache_tokens_details: The cached part's by kind.
        candidates_tokens_details: The answers' by kind.
        tool_use_prompt_token_count: In what tools put into the prompt.
        tool_use_prompt_tokens_details: The same by kind.
        thoughts_token_count: In the thoughts.
        service_tier: How urgently the request was served.
    """

    SIDE: ClassVar = frozenset(
        {
            "prompt_token_count",
            "candidates_token_count",
            "total_token_count",
            "cached_content_token_count",
            "prompt_tokens_details",
            "cache_tokens_details",
            "candidates_tokens_details",
            "tool_use_prompt_token_count",
            "tool_use_prompt_tokens_details",
            "thoughts_token_count",
            "service_tier",
        }
    )

    prompt_token_count: int = 0
    candidates_token_count: int = 0
    total_token_count: int = 0
    cached_content_token_count: int = 0
    prompt_tokens_details: tuple[ModalityTokenCount, ...] = ()
    cache_tokens_details: tuple[ModalityTokenCount, ...] = ()
    candidates_tokens_details: tuple[ModalityTokenCount, ...] = ()
    tool_use_prompt_token_count: int = 0
    tool_use_prompt_tokens_details: tuple[ModalityTokenCount, ...] = ()
    thoughts_token_count: int = 0
    service_tier: ServiceTier | None = None


@attrs.frozen(kw_only=True)
class ModelStatus(Message):
    """Where the model stands in its life."""

    model_stage: ModelStage = ModelStage.MODEL_STAGE_UNSPECIFIED
    retirement_time: Timestamp | None = None
    message: str = ""


@attrs.frozen(kw_only=True)
class GenerateContentResponse(Message, Displayed):
    """A model's answer, or one piece of a streamed one.

    Args:
        candidates: The answers; none if the prompt was refused.
        prompt_feedback: What the service found in the prompt.
        usage_metadata: How many tokens it took.
        model_version: Which model answered.
        response_id: The answer's id.
        model_status: Where the model stands in its life.
    """

    SIDE: ClassVar = frozenset({"usage_metadata", "model_version", "response_id", "model_status"})

    candidates: tuple[Candidate, ...] = ()
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str = ""
    response_id: str = ""
    model_status: ModelStatus | None = None

    @property
    def text(self) -> str:
        """The first candidate's text without thoughts.

        Raises:
            NoText: The reply holds no text; the error names the reason.
        """
        text = self.text_or_none
        if text is None:
            raise self._no_text()
        return text

    @property
    def text_or_none(self) -> str | None:
        """The first candidate's text without thoughts, or None."""
        if not self.candidates or (content := self.candidates[0].content) is None:
            return None
        return content.text_or_none

    @property
    def function_calls(self) -> tuple[FunctionCall, ...]:
        """The functions that the first candidate wants called."""
        if not self.candidates or (content := self.candidates[0].content) is None:
            return ()
        return tuple(part.function_call for part in content.parts if part.function_call is not None)

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the first candidate stopped."""
        return self.candidates[0].finish_reason if self.candidates else None

    def _facts(self) -> str:
        text, used = self.text_or_none, self.usage_metadata
        said = "no text" if text is None else repr(text if len(text) <= 90 else f"{text[:87]}...")
        tokens = f", {used.total_token_count} tokens" if used is not None else ""
        return f"{said}, {self.finish_reason or 'no finish reason'}{tokens}"

    def _as_html(self) -> str:
        text, used = self.text_or_none, self.usage_metadata
        calls = ", ".join(call.name for call in self.function_calls)
        said = f'<p style="white-space:pre-wrap">{escape(text)}</p>' if text else ""
        tokens = used and f"{used.prompt_token_count:,} + {used.total_token_count - used.prompt_token_count:,} tokens"
        block = self.prompt_feedback.block_reason if self.prompt_feedback is not None else None
        why = [block and f"blocked: {block}", calls and f"calls {calls}", str(self.finish_reason or "")]
        return box(said, line(*(escape(part) for part in (*why, tokens, self.model_version) if part), dim=True))

    def _no_text(self) -> NoText:
        if not self.candidates:
            block = self.prompt_feedback and self.prompt_feedback.block_reason
            if block:
                return NoText(
                    f"the prompt was blocked ({block}): change it or the safety settings",
                    block_reason=str(block),
                )
            return NoText("the reply has no candidates, and the server gave no reason")
        first = self.candidates[0]
        reason = first.finish_reason
        said = f": {_clean(first.finish_message)}" if first.finish_message else ""
        message = f"the reply holds no text, finish reason {reason or 'unknown'}{said}"
        remedies: tuple[Remedy, ...] = ()
        if self.function_calls:
            message += "; the model calls functions instead"
        elif reason == FinishReason.MAX_TOKENS:
            remedies = (Remedy("raise ", Argument("max_output_tokens"), " (thoughts count towards it)"),)
        return NoText(message, *remedies, finish_reason=str(reason) if reason else None)


def _clean(text: str) -> str:
    """Return the server's words on one line, without control characters, at most 500 characters."""
    return "".join(c if c.isprintable() else " " for c in text[:500])


@attrs.frozen(kw_only=True)
class CountTokensResponse(Message):
    """How many tokens a prompt has.

    Args:
        total_tokens: In all.
        cached_content_token_count: In the cached part.
        prompt_tokens_details: By kind.
        cache_tokens_details: The cached part's by kind.
    """

    total_tokens: int = 0
    cached_content_token_count: int = 0
    prompt_tokens_details: tuple[ModalityTokenCount, ...] = ()
    cache_tokens_details: tuple[ModalityTokenCount, ...] = ()
