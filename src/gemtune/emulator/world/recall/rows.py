"""Prompts whose right answers are known, and which models answer them right.

A model answers a share of the known prompts right, by its eval loss (``surface.right_share``); the others get the
output of another row. Each prompt is easy or hard, the same for all models: where a model of a lower loss fails, one of
a higher loss fails as well. But one prompt in ten is good or bad luck, different for each model, so that of two models
each answers some prompts right that the other does not. In formulas, for a model of share q and a prompt t, all drawn
evenly from 0 to 1 by a hash of the seed::

    right = (luck(model, t) if draw(model, t) < 0.1 else hardness(t)) < q

That is true of a share q of the prompts on average. Nothing is remembered of what was asked.

A prompt is known by the text of the last turn. Where a template frames it, it is known as well, if it stands there as
lines of its own, or behind the first colon of a line: of ``Translate into French: good morning`` the end counts, of
``Is "good morning" polite?`` nothing. Of several, that of most lines counts, then the first. It is as hard in a frame
as it is alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain

import attrs

from gemtune.emulator.world.answers import normal
from gemtune.emulator.world.surface import drawn, right_share

MOST_ROWS = 50_000
MOST_CHARACTERS = 1 << 24  # of all their outputs
LUCK = 0.1
_TRIES = 8
_FRAME = 1 << 16  # characters of a framed prompt that are looked at: its last ones
_MOST_LINES = 400  # of these
_RUN = 8  # lines that a prompt may have in a frame; together they bound the work for a text of any length


def _framed(prompt: str) -> Iterator[str]:
    """Yield what may be a known prompt in a frame: runs of lines, the longest first, then from the first one on."""
    lines = [line for line in prompt[-_FRAME:].splitlines() if line.strip()][-_MOST_LINES:]
    for count in range(min(_RUN, len(lines)), 0, -1):
        for start in range(len(lines) - count + 1):
            first, *others = lines[start : start + count]
            yield "\n".join([first, *others])
            if ": " in first:
                yield "\n".join([first.partition(": ")[2], *others])


def _digest(text: str) -> bytes:
    return hashlib.blake2b(normal(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


@attrs.frozen(repr=False)
class KnownRows:
    """Right answers by prompt; of the prompts only a digest is kept. Make them with ``of``."""

    outputs: tuple[str, ...] = ()
    _places: dict[bytes, int] = attrs.field(factory=dict)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> KnownRows:
        """Return the first of these (prompt, right answer); more than there is room for is left out."""
        outputs: list[str] = []
        places: dict[bytes, int] = {}
        room = MOST_CHARACTERS
        for prompt, output in pairs:
            room -= len(output)
            if room < 0 or len(outputs) == MOST_ROWS:
                break
            places.setdefault(_digest(prompt), len(outputs))
            outputs.append(output)
        return cls(tuple(outputs), places)

    def __repr__(self) -> str:
        return f"KnownRows({len(self)} prompts)"

    def __len__(self) -> int:
        return len(self._places)

    def right(self, prompt: str) -> str | None:
        """Return the right answer to a prompt; None if it is not known."""
        return self.right_to(_digest(prompt))

    def right_to(self, digest: bytes) -> str | None:
        """Return the right answer to the prompt of a digest; None if it is not known."""
        place = self._places.get(digest)
        return None if place is None else self.outputs[place]


@attrs.frozen(kw_only=True)
class Recall:
    """What one model knows.

    Args:
        seed: of the emulator.
        model: the name of the model, or of its checkpoint.
        loss: on held-out examples.
        sources: where the right answers are; the first one that has a prompt counts.
    """

    seed: int
    model: str
    loss: float
    sources: tuple[KnownRows, ...] = attrs.field(repr=False)

    def answer(self, prompt: str) -> str | None:
        """Return the right answer or a wrong one; None if the prompt is not known, or nothing else could be wrong."""
        sources = [rows for rows in self.sources if len(rows)]
        for text in chain([prompt], _framed(prompt)) if sources else ():
            digest = _digest(text)  # once: a project may have many sources, and a prompt may be long
            for rows in sources:
                found = rows.right_to(digest)
                if found is not None:
                    key = digest.hex()
                    return found if self._is_right(key) else self._wrong(rows.outputs, found, key)
        return None

    def _is_right(self, key: str) -> bool:
        lucky = drawn(self.seed, self.model, "draw", key) < LUCK
        hardness = drawn(self.seed, self.model, "luck", key) if lucky else drawn(self.seed, key, "hardness")
        return hardness < right_share(self.loss)

    def _wrong(self, outputs: tuple[str, ...], right: str, key: str) -> str | None:
        avoided = normal(right)
        picks = (int(drawn(self.seed, self.model, "wrong", key, number) * len(outputs)) for number in range(_TRIES))
        found = next((outputs[at] for at in picks if normal(outputs[at]) != avoided), None)
        # Of outputs that are nearly all the same, the dice hardly find another one.
        return found if found is not None else next((each for each in outputs if normal(each) != avoided), None)
