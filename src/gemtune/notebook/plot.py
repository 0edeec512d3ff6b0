"""Loss curves drawn by matplotlib or altair: whichever its user has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.rows.frames import library
from gemtune.show.palette import stroke
from gemtune.show.picture import JobPicture
from gemtune.show.svg import Curve, logarithmic


def plot_jobs(
    pictures: Sequence[JobPicture], engine: Literal["matplotlib", "altair"] | None = None, ax: Any = None
) -> Any:
    """Return the loss curves of jobs, over each other: in training solid, on validation data dashed.

    Args:
        pictures: The jobs.
        engine: What draws them; by default matplotlib if it is there, or else altair.
        ax: The axes of matplotlib to draw into; by default new ones.

    Raises:
        InvalidInput: Neither is installed, or the one that was asked for is not.
    """
    name, module = _drawing(engine, ax)
    return _matplotlib(module, pictures, ax) if name == "matplotlib.pyplot" else _altair(module, pictures)


def plot_curves(
    curves: Sequence[Curve], what: str, engine: Literal["matplotlib", "altair"] | None = None, ax: Any = None
) -> Any:
    """Return curves over each other, each as it says that it is drawn; only those that stand out have a label.

    Args:
        curves: The curves, of which ``train`` is drawn; the last lies on top.
        what: What they are of.
        engine: What draws them; by default matplotlib if it is there, or else altair.
        ax: The axes of matplotlib to draw into; by default new ones.

    Raises:
        InvalidInput: Neither is installed, or the one that was asked for is not.
    """
    name, module = _drawing(engine, ax)
    draw = _curves_by_matplotlib if name == "matplotlib.pyplot" else _curves_by_altair
    return draw(module, curves, what, ax)


def _drawing(engine: Literal["matplotlib", "altair"] | None, ax: Any) -> tuple[str, Any]:
    """Return the name of the library that draws, and the library."""
    if engine is not None:
        checks.one_of("engine", engine, "matplotlib", "altair")
    if ax is not None and engine == "altair":
        raise InvalidInput("ax is matplotlib's, and the engine is altair: leave out one of them", field="ax")
    return library("plot", ("matplotlib.pyplot", "altair"), engine and _MODULES[engine])


_MODULES = {"matplotlib": "matplotlib.pyplot", "altair": "altair"}


def _losses(pictures: Sequence[JobPicture]) -> list[float]:
    return [loss for picture in pictures for _, loss in (*picture.losses, *picture.eval_losses)]


def _matplotlib(pyplot: Any, pictures: Sequence[JobPicture], ax: Any) -> Any:
    if ax is None:
        _, ax = pyplot.subplots(figsize=(7.5, 3.6), layout="constrained")
    for number, picture in enumerate(pictures):
        color, label = stroke(number).color, picture.title
        for points, style, what in ((picture.losses, "-", ""), (picture.eval_losses, "--", ", validation")):
            if points:
                steps, losses = zip(*points, strict=True)
                mark = "o" if len(points) == 1 else None
                ax.plot(steps, losses, style, color=color, label=f"{label}{what}", marker=mark, linewidth=1.6)
        if (lowest := picture.lowest) is not None:
            ax.plot(*lowest, "o", color=color, markersize=5)
    if logarithmic(_losses(pictures)):
        ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("mean loss")
    ax.grid(visible=True, alpha=0.3)
    if len(ax.get_lines()) > 1 + bool(pictures):
        ax.legend()
    return ax


def _curves_by_matplotlib(pyplot: Any, curves: Sequence[Curve], what: str, ax: Any) -> Any:
    if ax is None:
        _, ax = pyplot.subplots(figsize=(7.5, 3.6), layout="constrained")
    for curve in curves:
        steps, losses = zip(*curve.train, strict=True)
        look = {"color": curve.color, "alpha": curve.opacity, "linewidth": curve.weight}
        mark = "o" if len(steps) == 1 else None
        ax.plot(steps, losses, "-", marker=mark, label=curve.label if curve.opacity == 1 else f"_{curve.label}", **look)
        if curve.crossed:
            ax.plot(steps[-1], losses[-1], "x", color=curve.color, markersize=5)
    if logarithmic([loss for curve in curves for _, loss in curve.train]):
        ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel(what)
    ax.grid(visible=True, alpha=0.3)
    if any(curve.opacity == 1 for curve in curves):
        ax.legend()
    return ax


def _curves_by_altair(altair: Any, curves: Sequence[Curve], what: str, ax: Any) -> Any:  # noqa: ARG001 - as the other
    rows = [
        {
            "name": curve.label,
            "step": step,
            what: loss,
            "color": curve.color,
            "weight": curve.weight,
            "seen": curve.opacity,
        }
        for curve in curves
        for step, loss in curve.train
    ]
    kind = "log" if logarithmic([loss for curve in curves for _, loss in curve.train]) else "linear"
    return (
        altair.Chart(altair.Data(values=rows))
        .mark_line()
        .encode(
            x=altair.X("step:Q"),
            y=altair.Y(f"{what}:Q", scale=altair.Scale(type=kind, zero=False)),
            color=altair.Color("color:N", scale=None),
            strokeWidth=altair.StrokeWidth("weight:Q", scale=None),
            opacity=altair.Opacity("seen:Q", scale=None),
            detail="name:N",
            tooltip=["name:N", "step:Q", f"{what}:Q"],
        )
        .properties(width=560, height=260)
    )


def _altair(altair: Any, pictures: Sequence[JobPicture]) -> Any:
    rows = [
        {"job": picture.title, "name": picture.name, "step": step, "mean loss": loss, "data": data}
        for picture in pictures
        for data, points in (("training", picture.losses), ("validation", picture.eval_losses))
        for step, loss in points
    ]
    titles = list(dict.fromkeys(picture.title for picture in pictures))
    colors = [stroke(number).color for number in range(len(titles))]
    kind = "log" if logarithmic(_losses(pictures)) else "linear"
    chart = altair.Chart(altair.Data(values=rows)).mark_line()
    return chart.encode(
        x=altair.X("step:Q"),
        y=altair.Y("mean loss:Q", scale=altair.Scale(type=kind, zero=False)),
        color=altair.Color("job:N", scale=altair.Scale(domain=titles, range=colors)),
        detail="name:N",
        strokeDash=altair.StrokeDash("data:N", scale=altair.Scale(domain=["training", "validation"])),
        tooltip=["job:N", "step:Q", "mean loss:Q", "data:N"],
    ).properties(width=560, height=260)
