"""The time series of a run: list, read, read many at once, export."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar, cast

import attrs

from gemtune.emulator.messages.codec import FrozenMessage, Value
from gemtune.emulator.messages.errors import bad_request
from gemtune.emulator.vertex.metrics.contexts import Series, found_job, series_of
from gemtune.emulator.vertex.names import canonical
from gemtune.emulator.vertex.refusals import no_such
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Store

SAMPLE = 1_000  # a read returns no more points than this unless asked for more, chosen at random
_MOST_POINTS = 10_000
_MOST_EXPORTED = 100_000

_PAGE: tuple[str, ...] = ("page_size", "page_token")

T = TypeVar("T")


def list_series(store: Store, call: MethodCall) -> Value:
    """List the time series of a run."""
    job = found_job(store, call, "TensorboardRun", canonical(call.params["parent"]), with_run=True)
    page, token = take_page(call, enumerate(series_of(job), 1), default=50, maximum=1000)
    return {"tensorboard_time_series": [_show(store, each, call.now) for each in page], "next_page_token": token}


def get_series(store: Store, call: MethodCall) -> Value:
    """Return one time series, without its points."""
    return _show(store, _series(store, call, call.params["name"]), call.now)


def _show(store: Store, series: Series, now: int) -> Value:
    points = series.points(now, store.settings.eval_lag_steps)
    shown: Value = {
        "name": series.name, "display_name": series.metric, "value_type": "SCALAR", "plugin_name": "scalars",
        "create_time": series.job.life.model, "update_time": series.job.life.model,
    }  # fmt: skip
    if points:
        shown["metadata"] = {"max_step": points[-1]["step"], "max_wall_time": points[-1]["wall_time"]}
        shown["update_time"] = points[-1]["wall_time"]
    return shown


def _series(store: Store, call: MethodCall, given: str) -> Series:
    name = canonical(given)
    job = found_job(store, call, "TensorboardTimeSeries", name, with_run=True)
    found = next((each for each in series_of(job) if each.name == name), None)
    if found is None:
        raise no_such("TensorboardTimeSeries", name)
    return found


def _sample(points: Sequence[T], most: int, seed: object) -> Sequence[T]:
    """Return at most so many points, chosen at random but in their order."""
    if len(points) <= most:
        return points
    dice = random.Random(repr(seed))  # noqa: S311 - an emulator's
    return [points[at] for at in sorted(dice.sample(range(len(points)), most))]


def _read(store: Store, call: MethodCall, series: Series, most: int) -> Value:
    points = series.points(call.now, store.settings.eval_lag_steps)
    return {
        "tensorboard_time_series_id": series.id,
        "value_type": "SCALAR",
        "values": _sample(points, most, (series.id, call.now)),
    }


def batch_read(store: Store, call: MethodCall) -> Value:
    """Read several time series of a TensorBoard at once."""
    board = canonical(call.params["tensorboard"])
    names = call.query.get("time_series", "").split("\n")
    if any(not canonical(name).startswith(board + "/") for name in names):
        raise bad_request(f"time_series must name time series of {board}.")
    return {"time_series_data": [_read(store, call, _series(store, call, name), SAMPLE) for name in names]}


def read(store: Store, call: MethodCall) -> Value:
    """Read one time series."""
    text = call.query.get("max_data_points") or str(SAMPLE)
    try:
        most = int(text)
    except ValueError:
        raise bad_request(f"max_data_points must be a number, not {text!r:.40}.") from None
    most = _MOST_POINTS if most < 0 else min(most or SAMPLE, _MOST_POINTS)
    return {"time_series_data": _read(store, call, _series(store, call, call.params["tensorboard_time_series"]), most)}


def export(store: Store, call: MethodCall) -> Value:
    """Return all points of a time series, in pages."""
    series = _series(store, call, call.params["tensorboard_time_series"])
    points: list[FrozenMessage] = series.points(call.now, store.settings.eval_lag_steps)
    query: dict[str, str] = {key: str(call.body[key]) for key in _PAGE if key in call.body}
    numbered = ((cast(int, point["step"]), point) for point in points)
    page, token = take_page(attrs.evolve(call, query=query), numbered, default=1000, maximum=_MOST_EXPORTED)
    return {"time_series_data_points": page, "next_page_token": token}
