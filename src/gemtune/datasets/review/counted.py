"""An estimate from what the service counts: the one thing in here that waits.

A random sample is counted, the same for the same data and seed. How many tokens a character is follows from it (the
ratio of the sums, which is steadier than the mean of the ratios), and how sure that is from how far the examples of the
sample lie from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import anyio.to_thread

from gemtune import checks
from gemtune.datasets.dataset import DataSet, load
from gemtune.datasets.parting.thin import right, sample
from gemtune.datasets.review.estimate import Estimate, Plan, PriceList, weighed
from gemtune.datasets.review.tokens import Interval, weigh
from gemtune.loops import for_each
from gemtune.protocol.codec import decode
from gemtune.types import Content

_AT_ONCE = 8


class _Counts(Protocol):
    """What ``client.count_tokens`` returns."""

    @property
    def total_tokens(self) -> int | None: ...


class CountsTokens(Protocol):
    """A client that can have tokens counted."""

    async def count_tokens(self, model: Any, contents: Any, /) -> _Counts: ...


async def estimate_with(
    client: CountsTokens,
    source: object,
    *,
    model: str,
    examples: int = 50,
    seed: int | str = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    prices: float | Mapping[str, float] | PriceList | None = None,
    **given: Any,
) -> Estimate:
    """Estimate what tuning on some data takes, with tokens as the service counts them in a random sample::

        print(await gemtune.datasets.estimate_with(client, "train.jsonl", model="gemini-2.5-flash", epochs=3))

    Args:
        client: A client of the service.
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        model: The model that counts, and that will be tuned.
        examples: How many examples are counted, with one request each; if there are no more, the figure is exact.
        seed: Another seed counts others.
        epochs: As for ``estimate``; the same for ``batch_size`` and ``prices``.
        given: How to read the source, as for ``load``.

    Raises:
        InvalidInput: The source cannot be read, or an argument is wrong.
        CallError: The service could not count.
    """
    checks.whole("examples", examples)
    plan = Plan.of(model, epochs, batch_size, prices)
    data = await anyio.to_thread.run_sync(lambda: load(source, **given))
    figures, method = await anyio.to_thread.run_sync(weighed, data)
    chosen = await anyio.to_thread.run_sync(_chosen, data, examples, seed)
    counts = await _counted(client, model, [example for example, _ in chosen])
    pairs = [(size, count) for (_, size), count in zip(chosen, counts, strict=True)]
    everything = (figures.asked + figures.answered).count
    return plan.estimate(figures, method, (len(pairs), extrapolated(pairs, everything, figures.examples)))


def _chosen(data: DataSet, size: int, seed: int | str) -> list[tuple[Mapping[str, Any], int]]:
    few = sample(data, size, seed=seed)
    return [(read.example, _size(read.example)) for read in right(few)]


def _size(example: Mapping[str, Any]) -> int:
    weight = weigh(example)
    return (weight.asked + weight.answered).count


async def _counted(client: CountsTokens, model: str, examples: list[Mapping[str, Any]]) -> list[int]:
    async def count(example: Mapping[str, Any]) -> int:
        return (await client.count_tokens(model, _contents(example))).total_tokens or 0

    return await for_each(count, examples, _AT_ONCE)


def _contents(example: Mapping[str, Any]) -> list[Content]:
    """Return everything that an example says as contents, the system instruction as a turn of its own."""
    given = {key.replace("_", "").lower(): value for key, value in example.items()}
    system = given.get("systeminstruction")
    turns = [{"role": "user", "parts": system["parts"]}] if isinstance(system, Mapping) else []
    turns += [*given["contents"], *(each["completion"] for each in given.get("completions") or ())]
    return [decode(Content, dict(turn)) for turn in turns]


def extrapolated(pairs: list[tuple[int, int]], characters: int, examples: int) -> Interval:
    """Return the tokens of all examples from those of some, with an interval of 95 %.

    Args:
        pairs: The characters and the tokens of each example that was counted.
        characters: Those of all examples.
        examples: How many there are.
    """
    size, counted = sum(each for each, _ in pairs), sum(count for _, count in pairs)
    if not size or not pairs:
        return Interval(0, 0, 0)
    ratio = counted / size
    if len(pairs) >= examples:
        return Interval(counted, counted, counted)
    value = ratio * characters
    if len(pairs) < 2:
        return Interval(0, value, 3 * value)
    spread = sum((count - ratio * each) ** 2 for each, count in pairs) / (len(pairs) - 1)
    margin = 2 * examples * math.sqrt((1 - len(pairs) / examples) * spread / len(pairs))
    return Interval(max(counted, value - margin), value, value + margin)
