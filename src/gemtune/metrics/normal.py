"""What makes two answers the same although they are spelled differently, said once for all metrics.

Models wrap an answer in Markdown, end it with a full stop, or type the apostrophe that is on no keyboard. None of it
makes the answer wrong. What may carry meaning is never touched: a minus sign, a decimal point, ``$``, ``%``, ``C++``, a
hyphen inside.

::

    case         Paris = PARIS                    str.casefold
    space        "a\\n  b" = "a b"                 a run of white space is one blank; there is none at the ends
    unicode      a curly quote = a plain one      NFKC, one spelling for quotes and dashes, nothing of zero width
    punctuation  "Paris." = "Paris" = **Paris**   one pair of quotes or stars around it at a time; .,;:!?… at the end
    fences       ```json ... ``` = its content    only if the whole answer stands in one
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import attrs

from gemtune import checks

_FENCE: Final = re.compile(r"\s*(```++|~~~++)[^\n`]*+\n")
_TYPED: Final = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"')
    | dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014", "-")  # minus, hyphens, dashes
    | {"\u2044": "/"}
    | dict.fromkeys("\u200b\u2060\ufeff\u00ad")  # zero-width space, word joiner, byte order mark, soft hyphen
)
_WRAPS: Final = ("**", "__", '"', "'", "`", "*")
_ENDINGS: Final = ".,;:!?…。、"
_OPENINGS: Final = "¿¡"


def unfenced(text: str) -> str:
    """Return what stands in the code fence around a whole text, or the text itself."""
    found, rest = _FENCE.match(text), text.rstrip()
    if found is None or len(rest) < found.end() + len(found[1]) or not rest.endswith(found[1]):
        return text
    # One expression for both ends would take a minute for an answer that runs out in blanks until its limit.
    inside = rest[found.end() : -len(found[1])].rstrip(" \t").removesuffix("\n")
    return text if found[1] in inside else inside


def _bare(text: str) -> str:
    """Take off what only ends or surrounds a text, as long as something remains."""
    while True:
        rest = text.rstrip(_ENDINGS).lstrip(_OPENINGS).strip()
        for wrap in _WRAPS:
            inside = rest[len(wrap) : -len(wrap)].strip()
            if rest.startswith(wrap) and rest.endswith(wrap) and len(rest) > 2 * len(wrap) and wrap not in inside:
                rest = inside
        if not rest or rest == text:
            return text
        text = rest


@attrs.frozen(kw_only=True)
class Normalization:
    """Which differences between two texts count; by default none of these does.

    Args:
        case: Whether upper and lower case differ.
        space: Whether the amount and kind of white space inside makes a difference.
        unicode: Whether full-width digits, ligatures, typographic quotes and dashes differ from the plain ones.
        punctuation: Whether marks at the end and quotes or stars around the whole text count.
        fences: Whether a code fence around the whole text counts.

    Example:
        >>> Normalization()("**Paris.**")
        'paris'
        >>> Normalization(case=True)("C++  and\\n_C_.")
        'C++ and _C_'
    """

    case: bool = attrs.field(default=False, validator=checks.validator(checks.flag))
    space: bool = attrs.field(default=False, validator=checks.validator(checks.flag))
    unicode: bool = attrs.field(default=False, validator=checks.validator(checks.flag))
    punctuation: bool = attrs.field(default=False, validator=checks.validator(checks.flag))
    fences: bool = attrs.field(default=False, validator=checks.validator(checks.flag))

    def __call__(self, text: str) -> str:
        """Return the text without the differences that do not count."""
        if not self.fences:
            text = unfenced(text)
        if not self.unicode:
            text = unicodedata.normalize("NFKC", text).translate(_TYPED)
        if not self.case:
            text = text.casefold()
            text = text if self.unicode else unicodedata.normalize("NFKC", text)
        if not self.space:
            text = " ".join(text.split())
        return text if self.punctuation else _bare(text)

    def said(self) -> str:
        """Return what makes no difference, for a sentence."""
        left_out = {
            "case": self.case,
            "white space": self.space,
            "typographic spelling": self.unicode,
            "surrounding marks": self.punctuation,
            "code fences": self.fences,
        }
        names = [name for name, counts in left_out.items() if not counts]
        if not names:
            return "letter for letter"
        return "whatever its " + (names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}")
