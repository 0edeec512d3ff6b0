"""Whether an answer is the expected text, or holds it."""

from __future__ import annotations

from typing import Final

from gemtune.metrics.normal import Normalization
from gemtune.metrics.values import HeldOutRow, Metric, Scored

_SPACELESS: Final = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0xA4CF), (0xF900, 0xFAFF))
"""Scripts that write words without a blank between them: Thai, Lao, Burmese, Khmer, Chinese, Japanese."""


def exact_match(
    *, case: bool = False, space: bool = False, unicode: bool = False, punctuation: bool = False, fences: bool = False
) -> Metric:
    """Return the metric of whether an answer is the expected text.

    What makes no difference by default: upper and lower case, the amount of white space, full-width or typographic
    spellings (NFKC), quotes or stars around the whole answer, marks at its end, and a code fence around it. Each
    argument that is True makes one of them count.

    Args:
        case: Whether upper and lower case differ.
        space: Whether the amount and kind of white space inside makes a difference.
        unicode: Whether full-width digits, ligatures, typographic quotes and dashes differ from the plain ones.
        punctuation: Whether marks at the end and quotes or stars around the whole text count.
        fences: Whether a code fence around the whole text counts.

    Returns:
        A metric whose scores are 1 or 0; a row without an expected text has none.

    Raises:
        InvalidInput: An argument is neither True nor False.

    Example:
        >>> row = HeldOutRow(key=1, number=1, request={}, question="Capital of France?", expected="Paris")
        >>> exact_match().score("**Paris.**", row), exact_match(case=True).score("paris", row)
        (True, False)
    """
    plain = Normalization(case=case, space=space, unicode=unicode, punctuation=punctuation, fences=fences)

    def score(answer: str, row: HeldOutRow) -> Scored:
        return plain(answer) == plain(row.expected) if row.expected else None

    return Metric(
        name="exact_match",
        score=score,
        kind="share",
        about=f"1 if the answer is the expected text, {plain.said()}",
        expects=True,
        bounds=(0, 1),
    )


def contains(*, words: bool = True, case: bool = False, unicode: bool = False) -> Metric:
    """Return the metric of whether the expected text stands in an answer.

    Args:
        words: Whether it has to stand there as words of its own, so that ``cat`` is not in ``concatenate``, nor ``5``
            in ``15``, ``-5`` or ``5.3``. Scripts that put no blank between words, such as Chinese, are searched
            anywhere.
        case: Whether upper and lower case differ.
        unicode: Whether full-width digits, ligatures, typographic quotes and dashes differ from the plain ones.

    Returns:
        A metric whose scores are 1 or 0; a row without an expected text has none.

    Raises:
        InvalidInput: An argument is neither True nor False.

    Example:
        >>> row = HeldOutRow(key=1, number=1, request={}, question="Capital of France?", expected="Paris")
        >>> contains().score("It is Paris, of course.", row), contains().score("A comparison", row)
        (True, False)
    """
    bare = Normalization(case=case, unicode=unicode)
    whole = Normalization(case=case, unicode=unicode, punctuation=True)

    def score(answer: str, row: HeldOutRow) -> Scored:
        if not row.expected:
            return None
        wanted, text = bare(row.expected), whole(answer)
        return stands_in(text, wanted) if words else wanted in text

    where = "as words of its own, " if words else ""
    return Metric(
        name="contains",
        score=score,
        kind="share",
        about=f"1 if the expected text stands in the answer, {where}{bare.said()}",
        expects=True,
        bounds=(0, 1),
    )


def stands_in(text: str, part: str) -> bool:
    """Return whether a part stands in a text as words or a number of its own."""
    at = text.find(part)
    while at >= 0:
        if _stands_alone(text, at, at + len(part)):
            return True
        at = text.find(part, at + 1)
    return False


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether a part of a text is neither the middle of a word nor of a number."""
    if not text[start:end]:
        return not text
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before and _joined(before[-1], text[start]):
        return False
    if after and _joined(text[end - 1], after[0]):
        return False
    if text[start].isdigit() and (
        (before[-1:] == "-" and not before[:-1].isalnum()) or (before[-1:] in {".", ","} and before[:-1].isdigit())
    ):
        return False
    return not (text[end - 1].isdigit() and after[:1] in {".", ","} and after[1:].isdigit())


def _joined(left: str, right: str) -> bool:
    return all(
        each.isalnum() and not any(first <= ord(each) <= last for first, last in _SPACELESS) for each in (left, right)
    )
