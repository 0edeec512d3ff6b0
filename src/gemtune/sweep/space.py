"""The space of a sweep: which hyperparameters are tried, and between which limits.

A mapping of lists is a *grid*: every combination, in the order of nested loops, so that the first name changes slowest
and the last fastest. A sequence of dicts or Hyperparameters is a *list*, tried in its order. A mapping in which
anything is a range has no end, and is sampled: by an Optuna study, or by ``sweep/sources.py`` without one.

Everything here is pure but ``read_space``, which reads a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from gemtune.errors import InvalidInput, SettingsError
from gemtune.remedy import Remedy
from gemtune.sweep.dimension import FORMS, Dimension, ValueList, dimension_of, near, value_of, wrong
from gemtune.types import Hyperparameters

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "gemini": ("epoch_count", "batch_size", "learning_rate", "learning_rate_multiplier"),
    "vertex": ("epoch_count", "learning_rate_multiplier", "adapter_size", "beta"),
}
"""The hyperparameters of each service."""
SHORT: Final[Mapping[str, str]] = {
    "epochs": "epoch_count",
    "rate": "learning_rate_multiplier",
    "adapter": "adapter_size",
    "batch": "batch_size",
}
"""What flags may say for short."""
_ALL: Final = tuple(field.name for field in attrs.fields(Hyperparameters) if field.name != "extra")
_RATES: Final = {"learning_rate", "learning_rate_multiplier"}
_ELSEWHERE: Final = {
    "learning_rate": "a hyperparameter of the Gemini API; on Vertex AI give learning_rate_multiplier, a factor on the "
    "recommended rate",
    "batch_size": "a hyperparameter of the Gemini API; Vertex AI chooses it itself",
    "adapter_size": "a hyperparameter of Vertex AI; the Gemini API has no adapters to choose from",
    "beta": "a hyperparameter of Vertex AI, for tuning by preference",
}


@attrs.frozen
class SweepSpace:
    """Which hyperparameters a sweep tries.

    Args:
        dimensions: What each may be, by name, in the order in which they were given; empty for a list of points.
        listed: The points of a list; empty for a grid or ranges.

    Example:
        >>> SweepSpace.of({"epoch_count": [2, 4, 8], "learning_rate_multiplier": [0.5, 1, 2]}).size
        9
    """

    dimensions: Mapping[str, Dimension] = attrs.field(factory=dict)
    listed: tuple[Mapping[str, float | int], ...] = ()

    @classmethod
    def of(
        cls,
        given: object,
        *,
        service: Literal["gemini", "vertex"] | None = None,
        shared: Hyperparameters | None = None,
    ) -> SweepSpace:
        """Return the space that is meant by whatever ``client.sweep`` takes as ``space``.

        Args:
            given: A mapping of hyperparameters to lists or ranges, or a sequence of dicts or Hyperparameters.
            service: The service, which has some hyperparameters and not others; None: of either.
            shared: What all points have in common; the space may not say it again.

        Raises:
            InvalidInput: It is none of these; the message names the hyperparameter and what to give instead.
        """
        if isinstance(given, SweepSpace):
            given = given.to_plain()
        if isinstance(given, Mapping):
            _check_names(given, service, shared, "")
            if not given:
                raise wrong("it is empty; give at least one hyperparameter, such as {'epoch_count': [2, 4, 8]}")
            return cls(dimensions={name: dimension_of(name, each) for name, each in given.items()})
        if isinstance(given, Sequence) and not isinstance(given, str | bytes):
            return cls(listed=_listed(given, service, shared))
        what = f"a mapping of hyperparameters to {FORMS}, or a list of points"
        raise InvalidInput(f"space must be {what}, not {type(given).__name__}", field="space")

    @property
    def size(self) -> int | None:
        """How many points there are; None if there is no end to them."""
        if self.listed:
            return len(self.listed)
        total = 1
        for each in self.dimensions.values():
            if each.size is None:
                return None
            total *= each.size
        return total

    @property
    def is_grid(self) -> bool:
        """Whether every hyperparameter has a list of values."""
        return bool(self.dimensions) and all(isinstance(each, ValueList) for each in self.dimensions.values())

    def combination(self, index: int) -> dict[str, float | int]:
        """Return a combination of a grid by its place in the order of nested loops, from 0."""
        values = {}
        for name, each in reversed([*self.dimensions.items()]):
            if not isinstance(each, ValueList):
                raise wrong(f"{name} is a range, so that nobody can count the combinations")
            index, place = divmod(index, each.size)
            values[name] = each.values[place]
        return {name: values[name] for name in self.dimensions}

    def __iter__(self) -> Iterator[Mapping[str, float | int]]:
        if self.listed:
            return iter(self.listed)
        return (self.combination(index) for index in (range(self.size or 0) if self.is_grid else ()))

    def to_plain(self) -> dict[str, object] | list[dict[str, float | int]]:
        """Return it as plain JSON, from which ``of`` makes the same space again."""
        if self.listed:
            return [dict(each) for each in self.listed]
        return {name: each.to_plain() for name, each in self.dimensions.items()}


def hyperparameters_of(values: Mapping[str, float | int], shared: Hyperparameters | None = None) -> Hyperparameters:
    """Return the hyperparameters of a point: its own values, and those that all points share."""
    return attrs.evolve(shared or Hyperparameters(), **values)  # type: ignore[arg-type]


def read_space(path: str | os.PathLike[str]) -> Any:
    """Return what a file says of a space, for ``SweepSpace.of`` to check.

    Args:
        path: A JSON file (``.json``) or a YAML file (``.yaml``, ``.yml``; extra ``cli``).

    Raises:
        InvalidInput: It cannot be read, is neither, or says a name twice.
        SettingsError: It is YAML, and PyYAML is not installed.
    """
    file = Path(path)
    kind = file.suffix.lower()
    if kind not in (".json", ".yaml", ".yml"):
        raise wrong(f"{file} must be a .json, .yaml or .yml file")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise wrong(f"{file} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise wrong(f"{file} is not UTF-8") from None
    if kind == ".json":
        try:
            return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, file))
        except json.JSONDecodeError as error:
            raise wrong(f"{file} is not JSON: {error}") from None
    return _numbered(_yaml(text, file))


def space_of_flags(flags: Iterable[str]) -> dict[str, object]:
    """Return what flags such as ``epochs=2,4,8`` and ``rate=0.1..10:log`` say of a space.

    Args:
        flags: ``NAME=VALUE,VALUE,…``, or a range ``NAME=LOW..HIGH``, with ``:log`` or ``:STEP`` at its end. NAME is a
            hyperparameter; epochs, rate (the multiplier), adapter and batch are short for some.

    Raises:
        InvalidInput: A flag is none of these.
    """
    pairs = []
    for flag in flags:
        name, equals, text = flag.partition("=")
        if not equals:
            raise wrong(f"{flag!r:.60} must be a hyperparameter, an equals sign, and values, such as 2,4,8")
        name = name.strip().replace("-", "_")
        pairs.append((SHORT.get(name, name), values_of_flag(text)))
    return _once(pairs, None)


def values_of_flag(text: str) -> object:
    """Return what the values of one flag say: ``2,4,8``, ``0.1..10``, ``0.1..10:log`` or ``2..8:2``.

    Raises:
        InvalidInput: It is none of these.
    """
    low, dots, rest = text.partition("..")
    if not dots:
        return [_number(each, text) for each in text.split(",")]
    high, colon, how = rest.partition(":")
    limits: dict[str, object] = {"low": _number(low, text), "high": _number(high, text)}
    if how == "log":
        return limits | {"log": True}
    return limits | ({"step": _number(how, text)} if colon else {})


def _number(text: str, whole: str) -> float | int:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise wrong(f"{whole!r:.60} must be numbers, such as 2,4,8 or 0.1..10:log")


def _listed(
    given: Sequence[object], service: str | None, shared: Hyperparameters | None
) -> tuple[dict[str, float | int], ...]:
    points: list[dict[str, float | int]] = []
    for number, each in enumerate(map(_as_mapping, given)):
        where = f"point {number}: "
        if not isinstance(each, Mapping):
            raise wrong(f"{where}must be a dict or Hyperparameters, not {type(each).__name__}")
        _check_names(each, service, shared, where)
        try:
            point = {name: value_of(name, value) for name, value in each.items()}
        except InvalidInput as error:
            raise wrong(where + error.message.removeprefix("space: ")) from None
        if point in points:
            raise wrong(
                f"{where}is the same as point {points.index(point)}; it would be tuned twice and paid for twice"
            )
        points.append(point)
    if not points:
        raise wrong("it is an empty list; give at least one point, such as {'epoch_count': 4}")
    return tuple(points)


def _as_mapping(point: object) -> object:
    if not isinstance(point, Hyperparameters):
        return point
    return attrs.asdict(point, filter=lambda field, value: field.name != "extra" and value is not None)


def _check_names(given: Mapping[Any, object], service: str | None, shared: Hyperparameters | None, where: str) -> None:
    for name in given:
        if name not in _ALL:
            offered = NAMES[service] if service else _ALL
            meant = f"did you mean {SHORT[name]!r}?" if name in SHORT else near(name, offered)
            raise wrong(f"{where}there is no hyperparameter {name!r:.40}; {meant}")
        if service is not None and name not in NAMES[service]:
            raise wrong(f"{where}{name} is {_ELSEWHERE[name]}")
        if shared is not None and getattr(shared, name) is not None:
            raise wrong(
                f"{where}{name} is in the space and in the hyperparameters that all points share; leave one out"
            )
    common = {name for name in _RATES if shared is not None and getattr(shared, name) is not None}
    if (common | given.keys()) >= _RATES:
        raise wrong(f"{where}learning_rate and learning_rate_multiplier exclude each other: give one of them")


def _yaml(text: str, file: Path) -> Any:
    try:
        import yaml
    except ImportError:
        what = f"space: {file} is YAML, which needs PyYAML"
        raise SettingsError(
            what, Remedy("run pip install 'gemtune[cli]', or write it as JSON"), field="space"
        ) from None

    # PyYAML keeps the last of two equal names, so that half of a space would be lost in silence.
    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        return _once(loader.construct_pairs(node, deep=True), file)

    loader: Any = type("SpaceLoader", (yaml.SafeLoader,), {})
    loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506  # a safe loader, with one constructor of ours
    except yaml.YAMLError as error:
        raise wrong(f"{file} is not YAML: {' '.join(str(error).split())}") from None


def _numbered(value: Any) -> Any:
    """Return what YAML means: to YAML 1.1 the number ``1e-3`` is a string, and so is one in quotes."""
    if isinstance(value, dict):
        return {name: _numbered(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_numbered(each) for each in value]
    if isinstance(value, str):
        try:
            return int(value) if value.isdecimal() else float(value)
        except ValueError:
            return value
    return value


def _once(pairs: Iterable[tuple[Any, Any]], file: Path | None) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for name, value in pairs:
        if name in found:
            raise wrong(f"{f'{file} has ' if file else ''}{name!s:.40} twice")
        found[name] = value
    return found
