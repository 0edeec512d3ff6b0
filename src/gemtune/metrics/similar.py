"""How alike an answer and the expected text are. rapidfuzz compares; it is loaded when the metric is made."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.metrics.normal import Normalization
from gemtune.metrics.values import HeldOutRow, Metric, Scored
from gemtune.remedy import Remedy

Ratio: TypeAlias = Literal[
    "ratio", "partial_ratio", "token_sort_ratio", "token_set_ratio", "levenshtein", "jaro_winkler"
]

_ABOUT: Final = {
    "ratio": "1 less the share of characters that are inserted or deleted between both texts",
    "partial_ratio": "the ratio of the shorter text and the part of the longer one that fits best",
    "token_sort_ratio": "the ratio of both texts with their words in alphabetical order",
    "token_set_ratio": "the best ratio between what both texts share and each of them, by words",
    "levenshtein": "1 less the share of characters that are inserted, deleted or replaced",
    "jaro_winkler": "Jaro-Winkler: characters that both have at about the same place, more for the same beginning",
}


def similarity(ratio: Ratio = "ratio", *, case: bool = False, space: bool = False, unicode: bool = False) -> Metric:
    """Return the metric of how alike an answer and the expected text are, from 0 to 1.

    Args:
        ratio: What is computed, under rapidfuzz's own name. ``ratio`` is the normalized Indel similarity: twice the
            length of the longest common subsequence by the length of both texts. ``token_sort_ratio`` and
            ``token_set_ratio`` do not mind the order of words; ``partial_ratio`` does not mind text around the answer.
            ``levenshtein`` counts a replaced character once and not twice; ``jaro_winkler`` is for names.
        case: Whether upper and lower case differ.
        space: Whether the amount and kind of white space inside makes a difference.
        unicode: Whether full-width digits, ligatures, typographic quotes and dashes differ from the plain ones.

    Returns:
        A metric whose scores are numbers from 0 to 1; a row without an expected text has none.

    Raises:
        InvalidInput: An argument is not one of these, or rapidfuzz, extra ``evaluate``, is not installed.
    """
    try:
        from rapidfuzz import distance, fuzz
    except ImportError:
        raise InvalidInput(
            "similarity needs rapidfuzz, which is not installed",
            Remedy("run pip install 'gemtune[evaluate]'"),
            field="metrics",
        ) from None
    checks.one_of("ratio", ratio, *_ABOUT)
    plain = Normalization(case=case, space=space, unicode=unicode, punctuation=True)
    of_distance: dict[str, Any] = {
        "levenshtein": distance.Levenshtein.normalized_similarity,
        "jaro_winkler": distance.JaroWinkler.normalized_similarity,
    }
    compare: Any = of_distance.get(ratio) or getattr(fuzz, ratio)
    best = 1.0 if ratio in of_distance else 100.0

    def score(answer: str, row: HeldOutRow) -> Scored:
        if not row.expected:
            return None
        return float(compare(plain(answer), plain(row.expected))) / best

    return Metric(name="similarity", score=score, kind="mean", about=_ABOUT[ratio], expects=True, bounds=(0, 1))
