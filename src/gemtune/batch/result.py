"""What a batch yields: one frozen value for every input, answered or failed."""

from __future__ import annotations

import attrs

from gemtune.errors import GemtuneError
from gemtune.types import GenerateContentResponse, UsageMetadata
from gemtune.types.message import as_html, fit_a_cell


@attrs.frozen(kw_only=True, repr=False)
class BatchResult:
    """The outcome of one input; a failure is a value as well as an answer is.

    Args:
        key: The row's own key, in the type in which it was given, else its index.
        index: The row's place in the input, from 0.
        response: The model's reply, or None if there is none.
        error: Why there is no reply, or None.
        attempts: Requests made for it; 0 if it was refused before anything was sent.
        seconds: From its first request to its outcome, waits included.
        latency: Seconds that its last request took.
    """

    key: str | int
    index: int
    response: GenerateContentResponse | None = None
    error: GemtuneError | None = None
    attempts: int = 1
    seconds: float = 0.0
    latency: float = 0.0

    def __repr__(self) -> str:
        what = repr(self.response) if self.error is None else f"{type(self.error).__name__}: {self.error}"
        return fit_a_cell(f"<BatchResult {self.key!r} {what}")

    def _repr_html_(self) -> str:
        return as_html(self)

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
