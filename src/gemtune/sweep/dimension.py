"""What one hyperparameter may be in a sweep: a list of values, or a range.

::

    [2, 4, 8]                       these values
    5                               this value
    (0.1, 10)                       anything from 0.1 to 10; whole numbers where the hyperparameter is one
    (0.1, 10, "log")                the same, as many below 1 as above
    {"low": 2, "high": 8, "step": 2, "log": False}

In a file, which has no tuples, ``[0.1, 10, "log"]`` is a range and ``[0.1, 10]`` two values. Optuna's own distributions
are taken as well; they are recognised without importing Optuna.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.types import Hyperparameters

WHOLE: Final = frozenset({"epoch_count", "batch_size", "adapter_size"})
"""The hyperparameters that are whole numbers."""
FORMS: Final = 'a list of values, (low, high), (low, high, "log"), or {"low": …, "high": …, "step": …, "log": …}'
_KEYS: Final = ("low", "high", "step", "log")


@attrs.frozen
class ValueList:
    """Values to try, in the order in which they were given.

    Args:
        values: The values, each once.
    """

    values: tuple[float | int, ...]

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def at(self, share: float) -> float | int:
        """Return the value at a share of the list, from 0 to just below 1."""
        return self.values[int(share * len(self.values))]

    def __iter__(self) -> Any:
        return iter(self.values)

    def to_plain(self) -> object:
        """Return it as plain JSON, from which it can be read again."""
        return list(self.values)


@attrs.frozen(kw_only=True)
class ValueRange:
    """Everything from a least to a greatest value.

    Args:
        low: The least.
        high: The greatest.
        step: Between two values, counted from ``low``; None: any value, or 1 for whole numbers.
        log: Whether equal ratios are equally likely, instead of equal differences.
        whole: Whether only whole numbers are meant.
    """

    low: float | int
    high: float | int
    step: float | int | None = None
    log: bool = False
    whole: bool = False

    @property
    def size(self) -> int | None:
        """How many values there are; None if nobody can count them."""
        step = self._step
        # The tolerance is for steps such as 0.1, which no binary number is.
        return None if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    @property
    def _step(self) -> float | int | None:
        return 1 if self.step is None and self.whole else self.step

    def at(self, share: float) -> float | int:
        """Return the value at a share of the range, from 0 to just below 1; four significant digits are kept."""
        step, size = self._step, self.size
        if self.log:
            # Half a unit on either side gives the first and the last whole number the room of the others.
            room = 0.5 if self.whole else 0.0
            low, high = math.log(self.low - room), math.log(self.high + room)
            return self._within(math.exp(low + share * (high - low)))
        if step is not None and size is not None:
            return self._within(self.low + int(share * size) * step)
        return self._within(self.low + share * (self.high - self.low))

    def _within(self, value: float) -> float | int:
        rounded = round(value) if self.whole else float(f"{value:.4g}")
        return min(max(rounded, self.low), self.high)

    def to_plain(self) -> object:
        """Return it as plain JSON, from which it can be read again."""
        plain: dict[str, object] = {"low": self.low, "high": self.high}
        return plain | ({} if self.step is None else {"step": self.step}) | ({"log": True} if self.log else {})


Dimension: TypeAlias = ValueList | ValueRange


def dimension_of(name: str, given: object) -> Dimension:
    """Return what a hyperparameter may be.

    Args:
        name: The hyperparameter, which is known to exist.
        given: One of the forms that the module names.

    Raises:
        InvalidInput: It is none of them, or a value is not one of this hyperparameter.
    """
    if type(given).__module__.partition(".")[0] == "optuna":
        return _of_optuna(name, given)
    if isinstance(given, Mapping):
        return _of_mapping(name, given)
    # As a list too: in a file there are no tuples, and nobody can mean anything else by it.
    if isinstance(given, tuple | list) and len(given) == 3 and isinstance(given[2], str) and given[2] == "log":
        return _range(name, given[0], given[1], log=True)
    if isinstance(given, tuple):
        if len(given) == 2 and "log" not in given:
            return _range(name, *given)
        # Three numbers in a tuple may be a list in round brackets, or a low, a high and a step: nobody knows.
        raise wrong(f"{name} must be {FORMS}, not {given!r:.60}")
    if isinstance(given, str | bytes | bool) or given is None:
        raise wrong(f"{name} must be {FORMS}, not {checks.shown(given)}")
    if isinstance(given, Sequence) or hasattr(given, "tolist"):
        return _list(name, given if isinstance(given, Sequence) else given.tolist())
    return ValueList((value_of(name, given),))


def value_of(name: str, given: object) -> float | int:
    """Return one value of a hyperparameter.

    Raises:
        InvalidInput: It is none.
    """
    value: object = given
    if not isinstance(given, bool | float) and hasattr(given, "__index__"):
        value = operator.index(given)  # a whole number of another library, such as numpy's
    elif isinstance(given, float):
        value = float(given)
    try:
        Hyperparameters(**{name: value})  # type: ignore[arg-type]  # it checks the value
    except InvalidInput as error:
        raise wrong(error.message) from None
    if value is None:
        raise wrong(f"{name} must be a number, not None; leave it out for the service's default")
    return value  # type: ignore[return-value]


def wrong(what: str) -> InvalidInput:
    """Return the error for a space in which something is wrong."""
    return InvalidInput(f"space: {what}", field="space")


def near(name: object, known: Iterable[str]) -> str:
    """Return in words which name may have been meant, or which there are."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"


def _list(name: str, given: Sequence[object]) -> ValueList:
    if not given:
        raise wrong(f"{name} has no values; give at least one, or leave it out for the service's default")
    values = tuple(value_of(name, each) for each in given)
    twice = next((each for at, each in enumerate(values) if each in values[:at]), None)
    if twice is not None:
        raise wrong(f"{name} lists {twice:g} twice; every point would be tuned twice and paid for twice")
    return ValueList(values)


def _of_mapping(name: str, given: Mapping[Any, object]) -> ValueRange:
    for key in given:
        if key not in _KEYS:
            raise wrong(f"{name} has no {key!r:.40}: {near(key, _KEYS)}")
    if "low" not in given or "high" not in given:
        raise wrong(f'{name} needs a "low" and a "high"')
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise wrong(f'{name}: "log" must be true or false, not {checks.shown(log)}')
    return _range(name, given["low"], given["high"], step=given.get("step"), log=log)


def _range(name: str, low: object, high: object, *, step: object = None, log: bool = False) -> ValueRange:
    if name == "adapter_size":
        raise wrong("adapter_size has only the values 1, 2, 4, 8, 16 and 32; list those to try")
    least, most = value_of(name, low), value_of(name, high)
    if not least < most:
        raise wrong(f"{name}: the low end of a range must be below the high end, not {least:g} and {most:g}")
    if step is not None:
        if log:
            raise wrong(f'{name}: a range has a "step" or is "log", not both')
        step = value_of(name, step)
        if step > most - least:
            raise wrong(f"{name}: a step of {step:g} is wider than the range from {least:g} to {most:g}")
    return ValueRange(low=least, high=most, step=step, log=log, whole=name in WHOLE)


def _of_optuna(name: str, given: Any) -> Dimension:
    if hasattr(given, "choices"):
        return _list(name, given.choices)
    if not hasattr(given, "low") or not hasattr(given, "high"):
        raise wrong(f"{name} must be a distribution of Optuna or {FORMS}, not {type(given).__name__}")
    step, log = getattr(given, "step", None), bool(getattr(given, "log", False))
    if name in WHOLE and not isinstance(given.low, int):
        raise wrong(f"{name} is a whole number: give an IntDistribution, not {type(given).__name__}")
    return _range(name, given.low, given.high, step=None if log or (step == 1 and name in WHOLE) else step, log=log)
