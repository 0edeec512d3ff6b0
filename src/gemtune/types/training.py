"""What a service may say of a training beyond the loss of each step: more metrics, checkpoints, statistics of the data.

The Gemini API says none of it. Vertex AI does, in words of its own (``vertex``); these are the words that handles and
events use for every service.
"""

from __future__ import annotations

import attrs

from gemtune.types.message import Int64, Message, as_tuple


@attrs.frozen(kw_only=True)
class SnapshotMetrics:
    """What was measured at a step, apart from the mean loss; None for what the service has not said (yet).

    Args:
        accuracy: Which part of the next tokens was predicted right, 0 to 1.
        predictions: How many tokens were predicted.
        eval_loss: The mean loss on the validation data.
        eval_accuracy: The accuracy on the validation data.
        eval_predictions: How many tokens of the validation data were predicted.
        epoch_estimated: Whether the epoch was worked out from the numbers of steps and epochs.
    """

    accuracy: float | None = None
    predictions: float | None = None
    eval_loss: float | None = None
    eval_accuracy: float | None = None
    eval_predictions: float | None = None
    epoch_estimated: bool = False


class Measured:
    """What snapshots, and the events that report them, say of their metrics."""

    __slots__ = ()

    @property
    def metrics(self) -> SnapshotMetrics | None:
        """What else was measured; None if the service measures the loss only, as the Gemini API does."""
        return None

    @property
    def accuracy(self) -> float | None:
        """Which part of the next tokens was predicted right, 0 to 1; None if the service has not said."""
        return self.metrics.accuracy if self.metrics is not None else None

    @property
    def eval_loss(self) -> float | None:
        """The mean loss on the validation data; None if the service has not said."""
        return self.metrics.eval_loss if self.metrics is not None else None

    @property
    def eval_accuracy(self) -> float | None:
        """The accuracy on the validation data; None if the service has not said."""
        return self.metrics.eval_accuracy if self.metrics is not None else None


@attrs.frozen(kw_only=True)
class Checkpoint(Message):
    """A tuned model at one point of its training. With an endpoint, it can be asked like the model itself.

    Args:
        checkpoint_id: Its id, unique in its job.
        epoch: The epoch after which it was made.
        step: The step after which it was made.
        endpoint: The full name of the endpoint that serves it; empty until it is deployed.
    """

    checkpoint_id: str = ""
    epoch: Int64 = 0
    step: Int64 = 0
    endpoint: str = ""

    @property
    def ready(self) -> bool:
        """Whether it can be asked."""
        return bool(self.endpoint)

    def to_dict(self) -> dict[str, object]:
        """Return id, epoch, step and endpoint, the last as None until it is deployed."""
        return {
            "checkpoint_id": self.checkpoint_id,
            "epoch": self.epoch,
            "step": self.step,
            "endpoint": self.endpoint or None,
        }


@attrs.frozen(kw_only=True)
class DroppedExample:
    """A training example that the service has left out.

    Args:
        number: Which line of the data, from 1.
        reason: Why, in the service's words; empty if it gave no reason.
    """

    number: int
    reason: str = ""


@attrs.frozen(kw_only=True)
class DataStats:
    """What the service has made of the training data; None for what it has not said.

    Args:
        examples: How many examples there are.
        characters: How many characters they have.
        billable_tokens: The tokens of one pass; a training is charged for these times the epochs.
        steps: How many steps the training takes.
        dropped: How many examples were left out, because they are too long or cannot be used.
        dropped_examples: Some of these, or all, each with the reason.
        raw: All that the service says, as it says it.
    """

    examples: int | None = None
    characters: int | None = None
    billable_tokens: int | None = None
    steps: int | None = None
    dropped: int = 0
    dropped_examples: tuple[DroppedExample, ...] = attrs.field(default=(), converter=as_tuple)
    raw: Message | None = attrs.field(default=None, repr=False)
