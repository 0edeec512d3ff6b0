"""Which column is the input and which the output: one rule for every table, of a file or in memory.

1. What the caller names (``input=``, ``output=``) counts, and nothing else.
2. Otherwise the names that Google's products and common data sets use are known, in any case and spelling
   (``text_input``, ``Text Input`` and ``textInput`` are one name). There has to be exactly one for the input and one
   for the output. The second list of either counts only if there is none of the first, since a column called
   ``source`` or ``text`` is as often something else.
3. Instructions come before the input and are never dropped: their columns are joined to it.
4. Whatever this does not settle is refused, with the names to choose from. A model that was tuned on the wrong column
   costs as much as one that was tuned on the right one, and nobody sees the difference until it answers.

Whether line 1 of a file is a heading or already an example is the same question: it is a heading if rule 1 or 2 finds
its columns in it, and an example if it holds a number, which no column is called. Otherwise it is refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, Never

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy

INPUTS: Final = (
    "text_input input_text input inputs prompt question query",
    "text source user",
)
OUTPUTS: Final = (
    "output output_text outputs completion response answer",
    "label target assistant",
    "chosen preferred",  # of preference pairs, which are answers as well
)
PREFACES: Final = ("system", "system_instruction", "system_prompt", "context")
"""Columns that stand before an input, and are none without it."""
INSTRUCTION: Final = "instruction"
"""A column that stands before an input, or is the input if there is none (as in Alpaca's data)."""

_REST: Final = re.compile(r"[\s_\-:]+")
_SHOWN: Final = 12
_NAME: Final = 30
"""Characters of a long name of a column."""


def plain(name: str) -> str:
    """Return a name as it is compared: without case, spaces, underscores, hyphens and colons."""
    return _REST.sub("", name.removeprefix("\ufeff")).lower()


def _known(*lists: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(map(plain, each.split())) for each in lists)


_INPUTS: Final = _known(*INPUTS)
_OUTPUTS: Final = _known(*OUTPUTS)
_PREFACES: Final = tuple(map(plain, PREFACES))


def _name(name: str, value: object) -> str | None:
    # A frame's columns may have numbers for names.
    if value is None or isinstance(value, str):
        return value
    return str(checks.whole(name, value, least=0))


@attrs.frozen(kw_only=True)
class Choice:
    """What the caller says about a table; None leaves it to the rule.

    Args:
        input: The column with the input.
        output: The column with the output.
        heading: Whether the first line names the columns.
        delimiter: What separates the columns.
        shared: Whether it is for several sets of data, so that it need not have a meaning for each of them.
    """

    input: str | None = None
    output: str | None = None
    heading: bool | None = None
    delimiter: str | None = None
    shared: bool = False

    @classmethod
    def of(cls, input: object, output: object, *, heading: object, delimiter: object) -> Choice:
        """Return a choice whose values were checked.

        Raises:
            InvalidInput: One is wrong, or they contradict each other.
        """
        if heading is not None:
            checks.flag("heading", heading)
        if delimiter is not None and not (
            isinstance(delimiter, str) and len(delimiter) == 1 and delimiter not in '"\r\n'
        ):
            checks.refuse("delimiter", "one character, and no quote or line end", delimiter)
        choice = cls(
            input=_name("input", input),
            output=_name("output", output),
            heading=heading if isinstance(heading, bool) else None,
            delimiter=delimiter if isinstance(delimiter, str) else None,
        )
        if choice.named and heading is False:
            what = "a table without a heading has no names, so that input and output cannot name its columns"
            raise InvalidInput(what, field="heading")
        if choice.input is not None and choice.input == choice.output:
            raise InvalidInput(f"input and output are both column {choice.input!r}", field="output")
        return choice

    @property
    def named(self) -> bool:
        """Whether a column is named."""
        return self.input is not None or self.output is not None

    def refuse_all_but(self, meant: Collection[str], data: str) -> None:
        """Refuse what the caller says if it has no meaning for the data.

        Raises:
            InvalidInput: Something was said that is not among what is meant.
        """
        for name in () if self.shared else SAID:
            if getattr(self, name) is not None and name not in meant:
                raise InvalidInput(f"{name} has no meaning for {data}: leave it out", field=name)


@attrs.frozen
class Columns:
    """The columns of a table by their part in an example.

    Args:
        inputs: The columns whose cells are joined to the input.
        output: The column with the output.
        needed: The columns of which at least one has to be filled in.
        left_out: The columns that are not used.
    """

    inputs: tuple[str, ...]
    output: str
    needed: tuple[str, ...]
    left_out: tuple[str, ...]


SAID: Final = ("input", "output", "heading", "delimiter")
"""What a caller can say."""


def choose(names: Sequence[str], choice: Choice) -> Columns:
    """Return which columns are which.

    Raises:
        InvalidInput: There are none, or more than one way to choose them.
    """
    named = [name for name in names if name.strip()]  # without the index that pandas writes, and empty columns
    twins = sorted({name for name in named if named.count(name) > 1}) if len(named) != len({*named}) else []
    if twins:
        raise InvalidInput(f"more than one column is called {_listed(twins)}: rename them", field="training_data")
    source = None if choice.input is None else _find(named, choice.input, "input")
    target = None if choice.output is None else _find(named, choice.output, "output")
    if source is not None and source == target:
        raise InvalidInput(f"input and output are both column {source!r}", field="output")
    if len(named) == 2 and (source is None) != (target is None):
        other = next(name for name in named if name not in {source, target})
        source, target = source or other, target or other
    inputs, needed = ((source,), (source,)) if source is not None else _inputs(named, target)
    if target is None:
        found = _of(named, _OUTPUTS, inputs)
        target = found[0] if len(found) == 1 else _refuse(named, found, "output")
    used = {*inputs, target}
    return Columns(inputs, target, needed, tuple(name for name in named if name not in used))


def is_heading(names: Sequence[str], choice: Choice) -> bool:
    """Return whether the names are a heading for certain, in which both columns are known."""
    try:
        choose(names, choice)
    except InvalidInput:
        return False
    return True


def judge_first(cells: Sequence[str], choice: Choice) -> bool:
    """Return whether the first line of a table is its heading; otherwise it is an example.

    Raises:
        InvalidInput: That cannot be known, or the heading does not show which column is which.
    """
    named = [cell for cell in cells if cell.strip()]
    if choice.heading is False:
        if len(named) != 2:
            what = f"a table without a heading has two columns, input and output, and this one has {len(cells)}"
            raise InvalidInput(f"{what}: add a line with the names of the columns", field="heading")
        return False
    if choice.named or is_heading(cells, choice):
        choose(cells, choice)  # raises if what is named is not there
        return True
    if len(named) == 2 and choice.heading is None:
        if any(_is_number(cell) for cell in named):
            return False
        if not any(_side(cell) for cell in named):
            first, second = (f"{name:.60}" for name in named)
            raise InvalidInput(
                f"line 1 holds {first!r} and {second!r}, and it cannot be known whether that is a heading or the "
                "first example",
                Remedy("if it is a heading, pass ", Argument("input", first), " and ", Argument("output", second)),
                Remedy("if it is an example, pass ", Argument("heading", False)),
                field="heading",
            )
    choose(cells, choice)
    return True


def named_in_order(names: Sequence[str], choice: Choice) -> Choice:
    """Return the choice for what the caller declares to be a heading: of two unknown columns the first is the input."""
    named = [name for name in names if name.strip()]
    if choice.heading and not choice.named and len(named) == 2 and not any(map(_side, named)):
        return attrs.evolve(choice, input=named[0], output=named[1])
    return choice


def looks_like_heading(cells: Sequence[str]) -> bool:
    """Return whether two cells may well be names: short words, and no numbers."""
    return len(cells) == 2 and all(
        0 < len(cell) <= _NAME and not _is_number(cell) and cell[-1] not in ".?!" for cell in cells
    )


def _is_number(cell: str) -> bool:
    return cell.strip().removesuffix("%").lstrip("+-").replace(",", "").replace(".", "").isdecimal()


def _side(name: str) -> bool:
    return any(plain(name) in known for known in (*_INPUTS, *_OUTPUTS)) or plain(name) in (*_PREFACES, INSTRUCTION)


def _find(names: Sequence[str], wanted: str, argument: str) -> str:
    if wanted in names:
        return wanted
    alike = [name for name in names if plain(name) == plain(wanted)]
    if len(alike) == 1:
        return alike[0]
    raise InvalidInput(
        f"there is no column {wanted!r:.60}, only {_listed(names)}",
        Remedy("choose one of these for ", Argument(argument)),
        field=argument,
    )


def _of(names: Sequence[str], known: Sequence[frozenset[str]], without: Collection[str] = ()) -> list[str]:
    for words in known:
        found = [name for name in names if plain(name) in words and name not in without]
        if found:
            return found
    return []


def _inputs(names: Sequence[str], target: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    without = () if target is None else (target,)
    found = _of(names, _INPUTS, without)
    orders = [name for name in names if plain(name) == INSTRUCTION and name not in without]
    # A column called text or source beside an instruction is what the instruction is about, or a remark.
    if len(found) > 1 or not (found or orders):
        _refuse(names, found, "input")
    prefaces = [name for known in _PREFACES for name in names if plain(name) == known and name not in without]
    return (*prefaces, *orders, *found), (*orders, *found)


def _refuse(names: Sequence[str], found: Sequence[str], part: str) -> Never:
    if len(names) < 2:
        what = f"there is no {part}, only {_listed(names)}"
        raise InvalidInput(what, field="text_input" if part == "input" else part)
    if found:
        what = f"more than one column could be the {part} ({_listed(found)}); the columns are {_listed(names)}"
    else:
        what = f"no column is known to be the {part}; the columns are {_listed(names)}"
    raise InvalidInput(
        what,
        Remedy("name it with ", Argument(part)),
        field="text_input" if part == "input" else part,
    )


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(f"{name!r:.60}" for name in names[:_SHOWN]) or "none"
    return listed + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
