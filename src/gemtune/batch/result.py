"""What a batch yields: one frozen value for every input, answered or failed; and all of them as a list."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import attrs

from gemtune.errors import GemtuneError
from gemtune.markup import Displayed, box, escape
from gemtune.rows.frames import FrameEngine, make_frame
from gemtune.show.html import results_html
from gemtune.types import GenerateContentResponse, UsageMetadata
from gemtune.types.message import fit_a_cell

_FIRST: Final = 10
"""So many results are shown; whoever wants to see all makes a frame of them."""
_LONGEST: Final = 300
_COLUMNS: Final = (
    "key",
    "text",
    "error",
    "finish_reason",
    "prompt_tokens",
    "output_tokens",
    "attempts",
    "seconds",
    "latency",
    "replayed",
)


@attrs.frozen(kw_only=True, repr=False)
class BatchResult(Displayed):
    """The outcome of one input; a failure is a value as well as an answer is.

    Args:
        key: The row's own key, in the type in which it was given, else its index.
        index: The row's place in the input, from 0.
        response: The model's reply, or None if there is none.
        error: Why there is no reply, or None.
        attempts: Requests made for it; 0 if it was refused before anything was sent.
        seconds: From its first request to its outcome, waits included.
        latency: Seconds that its last request took; 0 if it was replayed.
        replayed: Whether an earlier run brought it, and this one hands it over from the journal: no request was made
            for it now, and ``attempts`` and ``seconds`` are those of that run.
    """

    key: str | int
    index: int
    response: GenerateContentResponse | None = None
    error: GemtuneError | None = None
    attempts: int = 1
    seconds: float = 0.0
    latency: float = 0.0
    replayed: bool = False

    def __repr__(self) -> str:
        what = repr(self.response) if self.error is None else f"{type(self.error).__name__}: {self.error}"
        return fit_a_cell(f"<BatchResult {self.key!r} {'replayed ' if self.replayed else ''}{what}")

    def _as_html(self) -> str:
        if self.response is not None:
            return self.response._as_html()
        return box(f"<p>failed: {escape(self.error)}</p>")

    @property
    def ok(self) -> bool:
        """Whether there is a reply. One that was blocked counts, although it has no text."""
        return self.error is None

    @property
    def text(self) -> str:
        """The reply's text.

        Raises:
            GemtuneError: The error, if the item failed.
            NoText: The reply holds no text.
        """
        return self.unwrap().text

    @property
    def text_or_none(self) -> str | None:
        """The reply's text, or None if there is no text or no reply."""
        return None if self.response is None else self.response.text_or_none

    @property
    def usage(self) -> UsageMetadata | None:
        """How many tokens it took, if the service said so."""
        return None if self.response is None else self.response.usage_metadata

    def unwrap(self) -> GenerateContentResponse:
        """Return the reply.

        Raises:
            GemtuneError: The error, if the item failed.
        """
        if self.response is None:
            raise self.error or GemtuneError(f"item {self.key!r} has neither reply nor error")
        return self.response


class BatchResults(list[BatchResult], Displayed):
    """What ``generate_many`` and ``collect`` return: a list of results, of which a notebook shows the first.

    Example:
        >>> results = await client.generate_many(model, zip(frame["id"], frame["prompt"]))
        >>> frame.merge(results.to_frame(), left_on="id", right_on="key")
    """

    def __repr__(self) -> str:
        first = f", first: {self[0]!r}" if self else ""
        return f"<BatchResults {self._counted()}{first}>"

    def to_frame(self, *, engine: FrameEngine | None = None) -> Any:
        """Return the results as a data frame with a row for each.

        Its columns are ``key``, as you gave it, so that you can join it with your own frame; ``text``; ``error``, the
        message if the item failed; ``finish_reason``; ``prompt_tokens`` and ``output_tokens``; ``attempts``;
        ``seconds`` from the first request to the outcome; ``latency``, the seconds of the last request; and
        ``replayed``, whether the journal held the result before.

        Args:
            engine: ``pandas`` or ``polars``; by default whichever is installed, and pandas if both are.

        Raises:
            InvalidInput: Neither is installed, or the one that was asked for is not.
        """
        return make_frame([_row(result) for result in self], _COLUMNS, engine)

    def _counted(self) -> str:
        failed = sum(not result.ok for result in self)
        tokens = sum(result.usage.total_token_count for result in self if result.usage is not None)
        said = [f"{len(self) - failed:,} answered", f"{failed:,} failed", f"{tokens:,} tokens" if tokens else ""]
        return ", ".join(part for part in said if part)

    def _as_html(self) -> str:
        rows = [(result.key, *_said(result)) for result in self[:_FIRST]]
        failures = Counter(str(result.error) for result in self if result.error is not None)
        shown = dict(failures.most_common(_FIRST))
        return results_html(self._counted(), rows, shown, len(self) - len(rows))


def _said(result: BatchResult) -> tuple[str, str]:
    """Return a result's text, or why there is none, and what else is worth a word."""
    if result.error is not None:
        return "", f"failed: {type(result.error).__name__}"
    text, row = result.text_or_none, _row(result)
    cut = text if text is None or len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    tokens = f"{row['output_tokens']:,} tokens" if row["output_tokens"] is not None else ""
    unusual = "" if row["finish_reason"] == "STOP" else str(row["finish_reason"] or "")
    return cut or "", " · ".join(part for part in (unusual, tokens) if part)


def _row(result: BatchResult) -> dict[str, Any]:
    reply, used = result.response, result.usage
    reason = None if reply is None else reply.finish_reason
    return {
        "key": result.key,
        "text": result.text_or_none,
        "error": None if result.error is None else str(result.error),
        "finish_reason": None if reason is None else str(reason.value),
        "prompt_tokens": None if used is None else used.prompt_token_count,
        "output_tokens": None if used is None else used.candidates_token_count + used.thoughts_token_count,
        "attempts": result.attempts,
        "seconds": result.seconds,
        "latency": result.latency,
        "replayed": result.replayed,
    }
