"""Loss curves drawn by matplotlib or altair: whichever its user has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.rows.frames import library
from gemtune.show.palette import stroke
from gemtune.show.picture import JobPicture
from gemtune.show.svg import logarithmic


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
    if engine is not None:
        checks.one_of("engine", engine, "matplotlib", "altair")
    if ax is not None and engine == "altair":
        raise InvalidInput("ax is matplotlib's, and the engine is altair: leave out one of them", field="ax")
    name, module = library("plot", ("matplotlib.pyplot", "altair"), engine and _MODULES[engine])
    return _matplotlib(module, pictures, ax) if name == "matplotlib.pyplot" else _altair(module, pictures)


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
