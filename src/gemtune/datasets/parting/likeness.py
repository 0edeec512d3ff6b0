"""Which rows are alike: the same to the byte, the same question, or nearly the same text.

Nearly the same is what three texts of one template are, and what leaks from training into validation without a single
equal line. Texts are compared by their overlapping runs of three words, without regard to case and punctuation. Each is
kept as a sketch of 32 bytes (one permutation hashing with bins, MinHash's cheaper sister), and found again by any of 8
bands of it, so that n rows cost n look-ups instead of n² comparisons. Two texts whose runs agree by 80 % are found with
a probability of about 98 %; two that agree by half are told apart by their sketches.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import attrs

from gemtune.protocol.codec import dumps

COMPARED: Final = 200_000
"""So many rows are compared with each other, for memory's sake: about 1 kB each if near ones are looked for."""
_BINS: Final = 32
_BAND: Final = 4
_RUN: Final = 3
_FEW: Final = 8
"""A text of fewer runs is like another only if it is the same when levelled."""
_ENDS: Final = ".,;:!?\"'()"
_WORDS: Final = re.compile(r"[^\W_]+")


def digest(data: bytes, seed: str = "") -> int:
    """Return 64 bits that are the same for the same bytes on every machine."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=seed.encode()[:64]).digest(), "big")


def question(example: Mapping[str, Any]) -> bytes:
    """Return what the model is asked by an example: all of it but the last answer."""
    rest = {name: value for name, value in example.items() if name not in {"contents", "completions"}}
    contents = example["contents"]
    asked = contents if "completions" in example else contents[:-1]
    return dumps([rest, *asked])


def text_of(example: Mapping[str, Any]) -> str:
    """Return the text of an example's turns, which is what is compared."""
    parts = (part for turn in example["contents"] for part in turn.get("parts") or ())
    return "\n".join(part["text"] if isinstance(part.get("text"), str) else dumps(part).decode() for part in parts)


def question_text(example: Mapping[str, Any]) -> str:
    """Return the text of what the model is asked by an example."""
    contents = example["contents"]
    asked = contents if "completions" in example or len(contents) < 2 else contents[:-1]
    return text_of({"contents": asked})


def levelled(text: str) -> list[str]:
    """Return the words of a text without regard to case, punctuation and how an accent is spelled.

    In a text of one or two words, such as ``-3`` and ``3``, what is no letter may be all that there is.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = _WORDS.findall(plain)
    if len(words) >= _RUN:
        return words
    if sum(map(len, words)) > 4 * _RUN:
        return list("".join(words))  # a script that does not separate words
    return [word.strip(_ENDS) for word in plain.split()]


def sketch(words: list[str]) -> bytes:
    """Return the sketch of a text's words, of one byte for each bin; empty if there are too few runs to compare."""
    runs = {" ".join(islice(words, start, start + _RUN)) for start in range(len(words) - _RUN + 1)}
    if len(runs) < _FEW:
        return b""
    least = [0] * _BINS
    for run in runs:
        value = int.from_bytes(hashlib.blake2b(run.encode("utf-8", "replace"), digest_size=8).digest(), "big")
        place = value % _BINS
        value = value // _BINS + 1
        if not least[place] or value < least[place]:
            least[place] = value
    for place in range(_BINS):  # an empty bin borrows from the next one that is not (densification by rotation)
        step = 0
        while not least[place]:
            step += 1
            other = least[(place + step) % _BINS]
            if other > 0:
                least[place] = -(other + step)
    return bytes(abs(value) % 256 for value in least)


@attrs.define(eq=False)
class Likeness:
    """Finds the first of the earlier rows that a row is like.

    Args:
        near: How far the runs of words of two rows have to agree, from 0 to 1; None counts only rows that are the same
            when levelled.
    """

    near: float | None = 0.8
    full: bool = attrs.field(default=False, init=False)
    """Whether rows came that were not compared any more."""
    _same: dict[int, int] = attrs.field(factory=dict, init=False)
    _bands: list[dict[bytes, list[int]]] = attrs.field(init=False)
    _sketches: dict[int, bytes] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._bands = [{} for _ in range(_BINS // _BAND)]

    def first_like(self, text: str, number: int) -> int | None:
        """Return the number of the earliest row that a text is like, and keep the text under its own if there is none.

        A row that is like an earlier one stands for nothing itself, so that what a row is like never changes when more
        rows are added.
        """
        words = levelled(text)
        key = digest(" ".join(words).encode("utf-8", "replace"))
        found = self._same.get(key)
        if found is None and self.near is not None:
            found = self._near(sketch(words), number)
        if found is None and len(self._same) < COMPARED:
            self._same[key] = number
        elif found is None:
            self.full = True
        return found

    def _near(self, drawn: bytes, number: int) -> int | None:
        if not drawn:
            return None
        keys = [drawn[start : start + _BAND] for start in range(0, _BINS, _BAND)]
        alike = {each for band, key in zip(self._bands, keys, strict=True) for each in band.get(key, ())}
        for each in sorted(alike):
            if sum(map(int.__eq__, drawn, self._sketches[each])) >= (self.near or 0) * _BINS:
                return each
        if len(self._sketches) < COMPARED:
            self._sketches[number] = drawn
            for band, key in zip(self._bands, keys, strict=True):
                # A band that very many texts share, such as a common preface, tells nothing and costs time.
                if len(kept := band.setdefault(key, [])) < _FEW:
                    kept.append(number)
        return None
