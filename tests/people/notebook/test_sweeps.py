"""The points of a sweep as a data frame, and all curves in one plot, by whichever library is there."""

import sys

import pytest

from gemtune.notebook.places import JupyterCell
from gemtune.show.palette import TONES
from gemtune.show.picture import Tone
from sweep import sweeps
from sweep.played import Shown

pytest.importorskip("matplotlib").use("Agg")
plt, altair = pytest.importorskip("matplotlib.pyplot"), pytest.importorskip("altair")
pandas = pytest.importorskip("pandas")


def test_a_frame_has_a_row_for_each_point_with_its_values_its_objective_and_its_scores():
    frame = Shown(sweeps.ended()).to_frame(engine="pandas")
    assert len(frame) == 24
    assert list(frame.columns) == [
        *("point", "epoch_count", "learning_rate_multiplier", "adapter_size", "state", "rank", "eval_loss"),
        *("exact_match", "steps", "saved_steps", "tokens", "cost", "job", "reason"),
    ]
    best = frame.sort_values("rank").iloc[0]
    assert (best["point"], best["epoch_count"], best["state"]) == (13, 4, "trained")
    assert frame["saved_steps"].sum() == 100


def test_a_frame_of_a_sweep_that_has_no_point_is_empty():
    assert list(Shown(sweeps.nothing()).to_frame(engine="pandas").columns) == ["point"]


def test_matplotlib_draws_all_curves_the_best_on_top_and_those_given_up_with_a_cross():
    axes = Shown(sweeps.running()).plot(engine="matplotlib")
    *others, best = [line for line in axes.get_lines() if line.get_marker() != "x"]
    assert best.get_color() == TONES[Tone.GOOD].color
    assert best.get_linewidth() > max(line.get_linewidth() for line in others)
    assert sum(line.get_marker() == "x" for line in axes.get_lines()) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["point 13 (epochs 4 · rate × 2 · adapter 8)"]
    assert axes.get_ylabel() == "loss on the validation data"
    plt.close("all")


def test_altair_draws_them_if_matplotlib_is_not_there(monkeypatch):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    chart = Shown(sweeps.running()).plot().to_dict()
    names = {row["name"] for row in chart["data"]["values"]}
    assert len(names) == 17
    assert chart["encoding"]["y"]["field"] == "loss on the validation data"


def test_of_nothing_a_plot_is_empty():
    axes = Shown(sweeps.nothing()).plot(engine="matplotlib")
    assert (len(axes.get_lines()), axes.get_legend()) == (0, None)
    plt.close("all")


async def test_in_a_cell_the_leaderboard_takes_the_place_of_the_last_one(monkeypatch):
    shown = []
    monkeypatch.setattr(JupyterCell, "show", lambda _, view: shown.append(view))
    monkeypatch.setattr("gemtune.notebook.live.this_place", JupyterCell)
    await Shown(sweeps.begins(), sweeps.running(), sweeps.ended()).show()
    assert [view.html.count("planned") > 0 for view in shown] == [True, False]
    assert "best: point 13" in shown[-1].html
