"""Whether an answer says the right number.

A number is read as people write it: ``1,234.5``, ``1'234.5``, ``-$5``, ``2.5e3``, ``2.5 × 10^3``. Decimals are
compared, not binary floats: 0.3 differs from 0.2 by 0.1 and by nothing else, so that a tolerance of 0.1 includes it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import ClassVar, Final, Literal

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.metrics.values import HeldOutRow, Metric, Scored

_GROUPS: Final = r"['\u2019_\u00a0\u2009\u202f]"  # what separates thousands wherever the decimal mark is
_CURRENCY: Final = "$€£¥₹"
_MAX_EXPONENT: Final = 6
"""Characters of an exponent: no measured quantity needs more, and Decimal cannot compute with them."""

_MAX_GROUPS: Final = 120
"""Groups of digits before the last one; 2 to the power of 1000 has a hundred."""


def number(
    *,
    tolerance: float = 0.0,
    relative: float = 0.0,
    which: Literal["last", "first", "only"] = "last",
    decimal: Literal[".", ","] = ".",
) -> Metric:
    """Return the metric of whether an answer says the expected number.

    Args:
        tolerance: How far it may be from the expected number.
        relative: The same as a share of the expected number: 0.01 is one per cent. The larger of both holds.
        which: Which number of an answer counts: the ``last``, since models reason first and then answer; the ``first``;
            or the ``only`` one, so that an answer with several different numbers is wrong.
        decimal: The decimal mark of the answers and of the data. The other mark separates thousands.

    Returns:
        A metric whose scores are 1 or 0. An answer without a number is wrong; a row whose expected text has none has no
        score.

    Raises:
        InvalidInput: An argument is not one of these, or is negative.

    Example:
        >>> row = HeldOutRow(key=1, number=1, request={}, question="17 * 73?", expected="1241")
        >>> number().score("17 * 73 = 1,241.", row), number(relative=0.01).score("about 1250", row)
        (True, True)
    """
    allowed = _not_negative("tolerance", tolerance)
    share = _not_negative("relative", relative)
    checks.one_of("which", which, "last", "first", "only")
    checks.one_of("decimal", decimal, ".", ",")

    score = _NumberScorer(allowed=allowed, share=share, which=which, decimal=decimal)
    bound = [f"within {tolerance:g}"] * (tolerance > 0) + [f"within {relative:.2%} of it"] * (relative > 0)
    return Metric(
        name="number",
        score=score,
        kind="share",
        about=f"1 if the {which} number in the answer is the expected one{', ' * bool(bound)}{' or '.join(bound)}",
        expects=True,
        bounds=(0, 1),
    )


@attrs.frozen(kw_only=True)
class _NumberScorer:
    allowed: Decimal
    share: Decimal
    which: str
    decimal: str
    reads: ClassVar[str] = "a number"

    def can_read(self, expected: str) -> bool:
        return bool(numbers_in(expected, self.decimal))

    def __call__(self, answer: str, row: HeldOutRow) -> Scored:
        place = 0 if self.which == "first" else -1
        wanted = numbers_in(row.expected, self.decimal)
        if not wanted:
            return None
        expected = wanted[place]
        found = numbers_in(answer, self.decimal)
        if not found or (self.which == "only" and len(set(found)) > 1):
            return False
        return abs(found[place] - expected) <= max(self.allowed, self.share * abs(expected))


def numbers_in(text: str, decimal: str = ".") -> list[Decimal]:
    """Return the numbers in a text, in their order.

    Args:
        text: The text.
        decimal: The decimal mark, ``.`` or ``,``. The other one separates thousands.

    Raises:
        InvalidInput: The mark is neither.

    Example:
        >>> [str(each) for each in numbers_in("From -3 to 1,234.50, that is 5-2 more")]
        ['-3', '1234.50', '5', '2']
    """
    checks.one_of("decimal", decimal, ".", ",")
    # A blank may separate thousands only if nothing else is there: "took 3 400 times" could be two numbers.
    alone = re.fullmatch(r"\s*[-+\u2212]?\d{1,3}( \d{3})+([.,]\d+)?[.!]?\s*", text)
    pattern = _PATTERNS[decimal]
    found = []
    for match in pattern.finditer(text.replace(" ", "") if alone else text):
        digits = unicodedata.normalize("NFKC", re.sub(_GROUPS, "", match["whole"] or ""))
        digits = digits.replace("," if decimal == "." else ".", "")
        exponent = unicodedata.normalize("NFKC", match["exponent"] or match["power"] or "0").replace("\u2212", "-")
        if len(exponent) > _MAX_EXPONENT:
            continue
        sign = "-" if "-" in match["sign"] or "\u2212" in match["sign"] else ""
        try:
            value = Decimal(f"{sign}{digits or 0}.{match['part'] or match['bare'] or ''}e{exponent}")
        except InvalidOperation:  # digits of a script that Decimal does not read
            continue
        found.append(value)
    return found


def _pattern(decimal: str) -> re.Pattern[str]:
    other = "," if decimal == "." else r"\."
    mark = re.escape(decimal)
    # At most so many groups: a long list such as 1,11,11 would be read anew from each of its numbers to its end.
    grouped = rf"\d{{1,3}}(?:(?:{other}|{_GROUPS})\d{{2,3}}){{0,{_MAX_GROUPS}}}(?:(?:{other}|{_GROUPS})\d{{3}})(?!\d)"
    return re.compile(
        rf"(?P<sign>(?:(?<![\w)\]%])[-+\u2212])?)(?:[{_CURRENCY}]\s?)?"  # the hyphen of 3-5 is no sign
        rf"(?<![^\W_])(?:(?P<whole>{grouped}|\d+)(?:{mark}(?P<part>\d+))?|{mark}(?P<bare>\d+))"  # nor H2O one
        rf"(?:[eE](?P<exponent>[-+\u2212]?\d+)|\s?[×xX*·]\s?10(?:\^|\*\*)\{{?(?P<power>[-+\u2212]?\d+)\}}?)?"
    )


_PATTERNS: Final = {mark: _pattern(mark) for mark in ".,"}


def _not_negative(name: str, value: object) -> Decimal:
    if checks.is_number(value) and 0 <= value < math.inf:
        return Decimal(repr(value))
    raise InvalidInput(f"{name} must be a number, 0 or more, not {value!r}", field=name)
