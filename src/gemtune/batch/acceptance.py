"""Is a reply an answer? What stands between a reply and its result.

A reply that came and can be read may still hold nothing, or half of something:

========================================================  ====================================================
nothing at all: no candidate, or one that stopped          fails: it is asked again now, and in the next run
without a part                                             (about 1 call in 100 at times, and asking again helps)
the prompt or the answer was blocked; JSON that            an answer that is counted as *without an answer*
``MAX_TOKENS`` has cut short
everything else, text cut by ``MAX_TOKENS`` included       an answer
========================================================  ====================================================

With ``accept=`` the caller draws the line instead, and what is accepted is an answer. Nothing is never one, except to
an evaluation: it scores whatever a model has to say, and once asking again has not helped, nothing is what it says.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, cast

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput, NotAccepted
from gemtune.types import FinishReason, GenerateContentResponse, GenerationConfig, Part
from gemtune.types.safety import BlockReason

_WANTED: Final = "a set of finish reasons, such as {'STOP', 'MAX_TOKENS'}, or a function of the reply"
_ENDS_WELL: Final = frozenset({"STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"})
_NOTHING: Final = Part()


def ending_of(reply: GenerateContentResponse) -> str:
    """Return why a reply ended: its finish reason, or why the prompt was blocked; "" if it says neither."""
    feedback = reply.prompt_feedback
    return str(reply.finish_reason or (feedback.block_reason if feedback and not reply.candidates else None) or "")


@attrs.frozen
class Acceptance:
    """What a run takes for an answer.

    Args:
        accept: What the caller takes; None for the usual.
        empty_counts: Whether a reply without text, if it is refused and the last one, is an answer all the same.
    """

    accept: frozenset[str] | Callable[[GenerateContentResponse], bool] | None = None
    empty_counts: bool = False

    def settles(self, reply: GenerateContentResponse) -> bool:
        """Return whether a reply that is refused is an answer all the same, once it is not asked again."""
        return self.empty_counts and not reply.text_or_none

    def holds(self, reply: GenerateContentResponse) -> bool:
        """Return whether a reply that was kept is an answer, so that its item is not asked again."""
        return self.settles(reply) or self.refusal(reply, ending_of(reply)) is None

    def refusal(self, reply: GenerateContentResponse, ending: str) -> NotAccepted | None:
        """Return why a reply that ended in some way is no answer, or None if it is one."""
        ended = f"finish reason {ending}" if reply.candidates else f"the prompt was blocked: {ending}"
        if _is_nothing(reply, ending):
            why = f"the reply is empty ({ended if ending else 'no reason was given'})"
        elif self.accept is None:
            return None
        elif isinstance(self.accept, frozenset):
            if ending in self.accept:
                return None
            why = f"the reply is not accepted ({ended if ending else 'it has no finish reason'})"
        elif self._asked(self.accept(reply)):
            return None
        else:
            why = f"your function does not accept the reply ({ended if ending else 'it has no finish reason'})"
        error = NotAccepted(why, reason=ending or None)
        error.response = reply
        return error

    def lacks(self, reply: GenerateContentResponse, ending: str, contents: object, options: Mapping[str, Any]) -> bool:
        """Return whether an accepted reply is without an answer all the same, where nobody has said what one is.

        Args:
            reply: The reply.
            ending: How it ended.
            contents: What was asked, as ``Item.asked`` makes it, like the following.
            options: What framed it.
        """
        if self.accept is not None:
            return False
        if ending == "MAX_TOKENS" and _wants_json(contents, options):
            return True
        return not reply.candidates or (ending or "STOP") not in _ENDS_WELL

    @staticmethod
    def _asked(said: object) -> bool:
        if inspect.isawaitable(said):
            if inspect.iscoroutine(said):
                said.close()
            checks.refuse("accept", "a plain function, which answers at once", said)
        return bool(said)


def acceptance_of(accept: object) -> Acceptance:
    """Return what an argument ``accept`` means.

    Raises:
        InvalidInput: It is neither a set of reasons nor a plain function.
    """
    if accept is None or isinstance(accept, Acceptance):
        return accept or Acceptance()
    if inspect.iscoroutinefunction(accept):
        checks.refuse("accept", "a plain function, which answers at once", accept)
    if callable(accept) and not isinstance(accept, type):
        return Acceptance(accept)
    reasons = [accept] if isinstance(accept, str) else [*accept] if isinstance(accept, Collection) else []
    if not reasons or not all(isinstance(one, str) for one in reasons):
        checks.refuse("accept", _WANTED, accept)
    known = {str(one) for kind in (FinishReason, BlockReason) for one in kind}
    for one in reasons:
        # A reason newer than this version can be given as a FinishReason; a misspelled one would fail every item.
        if str(one) not in known and not isinstance(one, FinishReason | BlockReason):
            raise InvalidInput(
                f"accept: there is no finish reason {checks.shown(one)}; there are {', '.join(sorted(known))}",
                field="accept",
            )
    return Acceptance(frozenset(map(str, reasons)))


def _is_nothing(reply: GenerateContentResponse, ending: str) -> bool:
    if not reply.candidates:
        return not ending
    if (ending or "STOP") not in {"STOP", "FINISH_REASON_UNSPECIFIED"}:
        return False
    # Loops and no generators, here and wherever each reply passes: a frame for each part would be felt.
    for one in reply.candidates:
        for part in one.content.parts if one.content is not None else ():
            if not _empty(part):
                return False
    return True


def _empty(part: Part) -> bool:
    if part.thought or part.text is not None:
        return bool(part.thought) or not part.text
    return part == _NOTHING


def _wants_json(contents: object, options: Mapping[str, Any]) -> bool:
    config = options.get("generation_config") or getattr(contents, "generation_config", None)
    return isinstance(config, GenerationConfig) and config.response_mime_type == "application/json"


def most_failures(given: object) -> float | None:
    """Return ``max_failures`` as it was given: a whole number, or a share of the items below 1.

    Raises:
        InvalidInput: It is neither.
    """
    whole = checks.is_whole(given) and given >= 0
    if given is not None and not whole and not (isinstance(given, float) and 0 < given < 1):
        checks.refuse("max_failures", "a whole number from 0, or a share between 0 and 1", given)
    return cast("float | None", given)


_ENOUGH: Final = 50
"""Items after which a share of failures means something."""


def too_many(most: float | None, failed: int, finished: int) -> str:
    """Return in words that more items have failed than may, or an empty string."""
    if most is None:
        return ""
    if 0 < most < 1:
        many = finished >= _ENOUGH and failed > most * finished
        return f"{failed} of {finished} items failed, more than the share of {most:g} that may" if many else ""
    items = "item" if failed == 1 else "items"
    return f"{failed} {items} failed, and no more than {most:g} may" if failed > most else ""
