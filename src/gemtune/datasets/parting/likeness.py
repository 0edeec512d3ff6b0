"""Which rows are alike: the same to the byte, the same question, or nearly the same text.

Nearly the same is what three texts of one template are, and what leaks from training into validation without a single
equal line. Texts are compared by their overlapping runs of three words, without regard to case and punctuation. Each is
kept as a sketch of 32 bytes (one permutation hashing with bins, MinHash's cheaper sister), and found again by any of 8
bands of it, so that n rows cost n look-ups instead of n² comparisons. A sketch errs by 7 % (a standard error at 80 %).
Who leaves rows out wants to be sure that they are alike, and who keeps rows on one side wants to miss none, so that the
two ask for other agreements. Measured on random texts with 80 % asked for:

===========================  ====  ====  ====  ====  ====
the runs agree by            50 %  60 %  70 %  80 %  90 %
===========================  ====  ====  ====  ====  ====
left out (``first_like``)       0     0  0.19  0.54  0.94
on one side (``all_like``)   0.03  0.21  0.66  0.95  1.00
===========================  ====  ====  ====  ====  ====
"""

from __future__ import annotations

import hashlib
import math
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
    """Finds the earlier rows that a row is like. What it is like never changes when rows are added after it.

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

        A row that is like an earlier one is not compared with later ones, as it is left out.
        """
        return min(self._found(text, number, self.near or 0.0, keep=False), default=None)

    def all_like(self, text: str, number: int) -> list[int]:
        """Return the numbers of the rows that a text is like or may be, and keep the text under its own.

        A row that is like an earlier one is compared with later ones: they may be nearer to it than to the first. Two
        standard errors of a sketch are in its favour, as one pair too many does no harm here, and one too few does.
        """
        near = self.near or 0.0
        return self._found(text, number, near - 2 * math.sqrt(near * (1 - near) / _BINS), keep=True)

    def _found(self, text: str, number: int, near: float, *, keep: bool) -> list[int]:
        words = levelled(text)
        key = digest(" ".join(words).encode("utf-8", "replace"))
        if key in self._same:
            return [self._same[key]]
        room = len(self._same) < COMPARED
        drawn = b"" if self.near is None else sketch(words)
        found = self._near(drawn, near)
        self.full = self.full or not (room or found)
        if room and (keep or not found):
            self._same[key] = number
            self._keep(drawn, number)
        return found

    def _near(self, drawn: bytes, near: float) -> list[int]:
        if not drawn:
            return []
        alike = {each for band, key in zip(self._bands, _keys(drawn), strict=True) for each in band.get(key, ())}
        agree = {each: sum(map(int.__eq__, drawn, self._sketches[each])) for each in alike}
        return [each for each, bins in sorted(agree.items()) if bins >= near * _BINS]

    def _keep(self, drawn: bytes, number: int) -> None:
        if not drawn:
            return
        self._sketches[number] = drawn
        for band, key in zip(self._bands, _keys(drawn), strict=True):
            # A band that very many texts share, such as a common preface, tells nothing and costs time.
            if len(kept := band.setdefault(key, [])) < _FEW:
                kept.append(number)


def _keys(drawn: bytes) -> list[bytes]:
    return [drawn[start : start + _BAND] for start in range(0, _BINS, _BAND)]
