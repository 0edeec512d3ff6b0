"""Curves as SVG: pure functions from points to a picture that stands alone in a page.

Everything but the curves is ``currentColor``, so that a picture suits white paper and black. It has no script and no
style sheet, and a tooltip is a ``<title>``: that works in every notebook and in a saved page, and a screen reader
says it.
The training loss is a solid line, the loss on validation data a dashed one of the same colour; of several curves each
ends in its letter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import attrs

from gemtune.markup import escape
from gemtune.show.picture import Point, thinned

_LEFT: Final = 48
_RIGHT: Final = 34
_LETTER: Final = 8
"""How much room a letter takes."""
_TOP: Final = 10
_BOTTOM: Final = 24
_WORTH_A_LOG: Final = 20.0
"""How many times the lowest loss the highest is, when most of a curve would lie at the bottom of a linear scale."""
_NICE: Final = (1.0, 2.0, 5.0, 10.0)
_TEXT: Final = 'font-size="11" fill="currentColor" fill-opacity=".75"'


@attrs.frozen(kw_only=True)
class Curve:
    """One job's curves.

    Args:
        label: What it is called.
        color: Its colour.
        train: The mean losses by step.
        evals: The losses on validation data by step.
        total: Steps in all, if known.
        letter: What it ends in; empty for nothing.
        weight: How thick its line is.
        opacity: How much of it is seen, from 0 to 1; a faint one has no dot at its lowest loss.
        crossed: Whether it ends in a cross, because somebody ended it.
    """

    label: str
    color: str
    train: Sequence[Point] = ()
    evals: Sequence[Point] = ()
    total: int | None = None
    letter: str = ""
    weight: float = 1.8
    opacity: float = 1.0
    crossed: bool = False


def chart(curves: Sequence[Curve], width: int = 740, height: int = 210, *, what: str = "mean loss") -> str:
    """Return curves over each other, with a grid, steps below, and a dot at the lowest loss of each; empty if none.

    Args:
        curves: The curves; one without points is left out.
        width: Of the picture, in pixels.
        height: Likewise.
        what: What the curves are of.
    """
    drawn = [curve for curve in curves if curve.train or curve.evals]
    points = [point for curve in drawn for point in (*curve.train, *curve.evals)]
    if not points:
        return ""
    last = max([step for step, _ in points] + [curve.total or 0 for curve in drawn])
    scale = _Scale.of([loss for _, loss in points], min([1, *(step for step, _ in points)]), last, width, height)
    logged = ", logarithmic scale" if scale.logarithmic else ""
    clear = [curve for curve in drawn if curve.opacity == 1]
    few = f"{len(drawn)} curves; " if len(clear) < len(drawn) else ""
    named = few + "; ".join(f"{curve.label}{_said_lowest(curve)}" for curve in clear)
    label = escape(f"{what} by step{logged}: {named}")
    body = [*_grid(scale, width, height), *(part for curve in drawn for part in _curve(curve, scale))]
    body += _letters(drawn, scale)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
    return f'{opening} role="img" aria-label="{label}" font-family="system-ui,sans-serif">{"".join(body)}</svg>'


def sparkline(points: Sequence[Point], color: str, width: int = 90, height: int = 18) -> str:
    """Return a curve as small as a word; empty if there are fewer than two points."""
    kept = thinned(points, width)
    if len(kept) < 2:
        return ""
    steps, losses = [step for step, _ in kept], [loss for _, loss in kept]
    low, high, first, last = min(losses), max(losses), steps[0], max(steps[-1], steps[0] + 1)
    places = " ".join(
        f"{1 + (step - first) / (last - first) * (width - 2):.1f},"
        f"{height - 2 - (_share(loss, low, high)) * (height - 4):.1f}"
        for step, loss in kept
    )
    label = escape(f"loss from {losses[0]:.4g} to {losses[-1]:.4g}")
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">'
        f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="1.5" stroke-linejoin="round"/></svg>'
    )


def logarithmic(losses: Sequence[float]) -> bool:
    """Return whether losses are better seen on a logarithmic scale: they are positive, and differ by a factor of 20."""
    return bool(losses) and min(losses) > 0 and max(losses) / min(losses) > _WORTH_A_LOG


@attrs.frozen
class _Scale:
    """Where a step and a loss stand in the picture."""

    low: float
    high: float
    first: int
    last: int
    width: int
    height: int
    logarithmic: bool

    @classmethod
    def of(cls, losses: Sequence[float], first: int, last: int, width: int, height: int) -> _Scale:
        low, high = min(losses), max(losses)
        logged = logarithmic(losses)
        if not logged and low >= 0 and high > 0 and low < high / 3:
            low = 0.0  # a scale that begins a little above zero makes much of little
        if high / 2 - low / 2 <= abs(high) * 1e-9:  # as good as equal: a line in the middle
            margin = abs(high) * 0.1 or 1.0
            low, high = low - margin, high + margin
        return cls(low, high, first, max(last, first + 1), width, height, logged)

    def across(self, step: int) -> float:
        return _LEFT + (step - self.first) / (self.last - self.first) * (self.width - _LEFT - _RIGHT)

    def down(self, loss: float) -> float:
        if self.logarithmic:
            share = (math.log(loss) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = _share(loss, self.low, self.high)
        return _TOP + (1 - share) * (self.height - _TOP - _BOTTOM)

    def losses(self) -> list[float]:
        """Return the losses that have a line: round ones."""
        if not self.logarithmic:
            return _round_numbers(self.low, self.high, 5)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found: list[float] = []
        for of_each in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
            found = [n * 10.0**decade for decade in decades for n in of_each]
            found = [loss for loss in found if self.low <= loss <= self.high]
            if len(found) <= 6:
                return found
        return found[:: len(found) // 5]

    def steps(self) -> list[int]:
        """Return the steps that are written below: the first, the last, and round ones between them."""
        between = [int(step) for step in _round_numbers(self.first, self.last, 6) if step == int(step)]
        room = (self.last - self.first) / 12
        inner = [step for step in between if step - self.first >= room and self.last - step >= room]
        return [self.first, *inner, self.last]


def _share(value: float, low: float, high: float) -> float:
    # Halved, because the difference of the greatest and the least float would be infinite.
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5


def _round_numbers(low: float, high: float, about: int) -> list[float]:
    """Return round numbers from low to high, about so many."""
    apart = high / about - low / about
    if not 0 < apart < math.inf or apart < 1e-300:
        return [low]
    power = 10.0 ** math.floor(math.log10(apart))
    unit = next(n * power for n in _NICE if n * power >= apart * 0.999)
    return [n * unit for n in range(math.ceil(low / unit - 1e-9), math.floor(high / unit + 1e-9) + 1)]


def _grid(scale: _Scale, width: int, height: int) -> Iterator[str]:
    for loss in scale.losses():
        y = scale.down(loss)
        yield (
            f'<line x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
            f'stroke-opacity=".16"/><text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" {_TEXT}>{loss:.4g}</text>'
        )
    for step in scale.steps():
        x = scale.across(step)
        said = "step " if step == scale.first else ""
        # Anchored so that neither the first label nor the last one leaves the picture.
        anchor = "start" if step == scale.first else "end" if step == scale.last else "middle"
        yield f'<text x="{x:.1f}" y="{height - 6}" text-anchor="{anchor}" {_TEXT}>{said}{step}</text>'


def _curve(curve: Curve, scale: _Scale) -> Iterator[str]:
    name, seen = escape(curve.label), f' stroke-opacity="{curve.opacity:g}"' if curve.opacity < 1 else ""
    for points, dash, what in ((curve.train, "", ""), (curve.evals, ' stroke-dasharray="6 4"', " on validation data")):
        if len(points) > 1:
            yield (
                f'<polyline points="{_places(points, scale)}" fill="none" stroke="{curve.color}" '
                f'stroke-width="{curve.weight:g}" stroke-linejoin="round"{seen}{dash}>'
                f"<title>{name}: loss{what}</title></polyline>"
            )
        for step, loss in points[:1] if len(points) == 1 else ():
            yield f'<circle cx="{scale.across(step):.1f}" cy="{scale.down(loss):.1f}" r="2" fill="{curve.color}"/>'
    if curve.crossed:
        step, loss = (curve.train or curve.evals)[-1]
        x, y = scale.across(step), scale.down(loss)
        corners = f"M{x - 4:.1f},{y - 4:.1f}l8,8m0,-8l-8,8"
        yield f'<path d="{corners}" stroke="{curve.color}" stroke-width="1.6"><title>{name}: ended here</title></path>'
    if curve.opacity < 1:
        return
    step, loss = _lowest(curve)
    what = " on validation data" if curve.evals else ""
    yield (
        f'<circle cx="{scale.across(step):.1f}" cy="{scale.down(loss):.1f}" r="3.5" fill="{curve.color}">'
        f"<title>{name}: lowest loss{what} {loss:.4g}, at step {step}</title></circle>"
    )


def _letters(curves: Sequence[Curve], scale: _Scale) -> Iterator[str]:
    """Yield the letters at the ends of curves; those that would cover each other stand side by side."""
    ends: list[tuple[float, float]] = []
    for curve in curves:
        if not curve.letter:
            continue
        step, loss = (curve.train or curve.evals)[-1]
        x, y = scale.across(step) + 6, scale.down(loss) + 4
        while any(abs(x - other) < _LETTER and abs(y - below) < 2 * _LETTER for other, below in ends):
            x += _LETTER
        ends.append((x, y))
        yield f'<text x="{min(x, scale.width - _LETTER):.1f}" y="{y:.1f}" {_TEXT}>{escape(curve.letter)}</text>'


def _places(points: Sequence[Point], scale: _Scale) -> str:
    """Return the corners of a line; what lies straight between its neighbours would change nothing."""
    places = [(f"{scale.across(step):.1f}", f"{scale.down(loss):.1f}") for step, loss in points]
    kept = [places[0], *(new for old, new in pairwise(places) if new != old)]
    return " ".join(f"{x},{y}" for x, y in kept)


def _lowest(curve: Curve) -> Point:
    return min(curve.evals or curve.train, key=lambda point: point[1])


def _said_lowest(curve: Curve) -> str:
    step, loss = _lowest(curve)
    return f", lowest {loss:.4g} at step {step}"
