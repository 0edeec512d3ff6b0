"""The statistics of training data, as the service counts them.

A distribution has six buckets of equal width over the whole numbers from the smallest to the largest value, of which
the empty ones are left out. Observed: 54 to 602 are the buckets that begin at 54, 146, 237, 329, 420 and 512.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from gemtune.emulator.messages.codec import Value

_BUCKETS = 6
_SAMPLES = 3
_SAMPLE_CHARACTERS = 400
_MOST_DROPPED = 10


@attrs.frozen(kw_only=True)
class Counted:
    """One usable example: its size, its (prompt, answer) pairs and what a sample would show of it."""

    input_tokens: int
    output_tokens: int
    messages: int
    pairs: list[tuple[str, str]]
    sample: list[Any]
    scores: list[float] = attrs.field(factory=list)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


def distribution(values: Sequence[float]) -> Value:
    """Return the distribution of numbers, of which there is at least one."""
    ordered = sorted(values)
    low, high, total = ordered[0], ordered[-1], sum(ordered)
    width = (high - low + 1) / _BUCKETS
    edges = [math.ceil(low + number * width) for number in range(_BUCKETS)]
    found = Counter(sum(edge <= value for edge in edges) - 1 if value >= edges[0] else 0 for value in ordered)
    ends = [*(edge - 1 for edge in edges[1:]), high]
    return {
        "sum": total,
        "min": low,
        "max": high,
        "mean": total / len(ordered),
        "median": _rank(ordered, 0.5),
        "p5": _rank(ordered, 0.05),
        "p95": _rank(ordered, 0.95),
        "buckets": [
            {"count": found[number], "left": edges[number], "right": ends[number]}
            for number in range(_BUCKETS)
            if found[number]
        ],
    }


def _rank(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def supervised_stats(used: Sequence[Counted], dropped: Sequence[tuple[int, str]]) -> Value:
    """Return SupervisedTuningDataStats; the number of steps is the job's."""
    return {
        "tuning_dataset_example_count": len(used),
        "user_input_token_distribution": distribution([each.input_tokens for each in used]),
        "user_output_token_distribution": distribution([each.output_tokens for each in used]),
        "user_message_per_example_distribution": distribution([each.messages for each in used]),
        "user_dataset_examples": [_cut(content) for each in used[:_SAMPLES] for content in each.sample],
        "total_billable_token_count": sum(each.tokens for each in used),
        "total_truncated_example_count": len(dropped),
        "truncated_example_indices": [number for number, _ in dropped[:_MOST_DROPPED]],
        "dropped_example_reasons": [reason for _, reason in dropped[:_MOST_DROPPED]],
    }


def preference_stats(used: Sequence[Counted], dropped: Sequence[tuple[int, str]]) -> Value:
    """Return PreferenceOptimizationDataStats; the number of steps is the job's."""
    variances = [sum((score - sum(each.scores) / 2) ** 2 for score in each.scores) / 2 for each in used]
    return {
        "tuning_dataset_example_count": len(used),
        # Documented: the prompt is paid for twice, once for each completion.
        "total_billable_token_count": sum(2 * each.input_tokens + each.output_tokens for each in used),
        "user_input_token_distribution": distribution([each.input_tokens for each in used]),
        "user_output_token_distribution": distribution([each.output_tokens for each in used]),
        "user_dataset_examples": [_cut_all(example) for each in used[:_SAMPLES] for example in each.sample],
        "scores_distribution": distribution([score for each in used for score in each.scores]),
        "score_variance_per_example_distribution": distribution(variances),
        "dropped_example_indices": [number for number, _ in dropped[:_MOST_DROPPED]],
        "dropped_example_reasons": [reason for _, reason in dropped[:_MOST_DROPPED]],
    }


def _cut(content: Any) -> Value:
    """Return a content under proto names, its texts cut as the service cuts them."""
    parts = [{"text": _shorten(part["text"])} for part in content["parts"] if "text" in part]
    return {"role": content.get("role", "user"), "parts": parts}


def _cut_all(example: Any) -> Value:
    completions = [{"score": each["score"], "completion": _cut(each["completion"])} for each in example["completions"]]
    return {"contents": [_cut(content) for content in example["contents"]], "completions": completions}


def _shorten(text: str) -> str:
    return text if len(text) <= _SAMPLE_CHARACTERS else text[:_SAMPLE_CHARACTERS] + "..."
