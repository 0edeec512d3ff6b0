"""Data frames and plots of jobs and results, by whichever library is there."""

import builtins
import sys

import pytest

import gemtune
from gemtune.errors import InvalidInput
from gemtune.rows.frames import make_frame
from vertex import service as vertex
from world import BASE, EXAMPLES, make_app, make_client

pytest.importorskip("matplotlib").use("Agg")
plt, altair = pytest.importorskip("matplotlib.pyplot"), pytest.importorskip("altair")
pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
pytestmark = pytest.mark.usefixtures("virtual_time")


@pytest.fixture
def without(monkeypatch):
    """Has libraries appear not to be installed."""

    def hide(*names):
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


async def two_jobs(client):
    jobs = [await client.tune(BASE, EXAMPLES, display_name=f"job {n}") for n in (1, 2)]
    watcher = client.watch(jobs)
    async with watcher:
        await watcher.wait()
    return jobs, watcher


async def test_a_job_is_a_frame_with_a_row_for_each_step():
    async with make_client(make_app()) as client:
        (job, _), _ = await two_jobs(client)
        frame, same, of_snapshots = job.to_frame(), job.to_frame(engine="polars"), job.snapshots.to_frame()
    assert [*frame.columns] == ["step", "epoch", "mean_loss", "compute_time"] == same.columns
    assert frame["step"].tolist() == [*range(1, 20)] == same["step"].to_list()
    assert str(frame["compute_time"].dtype).startswith("datetime64")
    assert str(frame["compute_time"].dt.tz) == "UTC"
    assert frame.equals(of_snapshots)
    assert frame["mean_loss"].tolist() == [snapshot.mean_loss for snapshot in job.snapshots]


async def test_a_watcher_is_a_frame_of_all_its_jobs():
    async with make_client(make_app()) as client:
        jobs, watcher = await two_jobs(client)
        frame = watcher.to_frame()
    assert [*frame.columns] == ["job", "title", "step", "epoch", "mean_loss", "eval_loss", "compute_time"]
    assert frame["title"].unique().tolist() == ["job 1", "job 2"]
    assert frame["job"].unique().tolist() == [job.name for job in jobs]
    assert len(frame) == 38
    assert frame["eval_loss"].isna().all()


async def test_before_the_first_step_a_frame_has_its_columns():
    async with make_client(make_app()) as client:
        job = client.job("tunedModels/not-seen")
        for engine in ("pandas", "polars"):
            frame = job.to_frame(engine=engine)
            assert [*frame.columns] == ["step", "epoch", "mean_loss", "compute_time"]
            assert len(frame) == 0


async def test_answers_are_joined_with_the_prompts_by_the_key_that_was_given():
    prompts = pandas.DataFrame({"id": [7, 8, 9], "prompt": ["1", "", "3"]})
    async with make_client(make_app(answers={"1": "2", "3": "4"})) as client:
        results = await client.generate_many(BASE, list(zip(prompts["id"].tolist(), prompts["prompt"], strict=True)))
    frame = prompts.merge(results.to_frame(), left_on="id", right_on="key")
    assert frame["key"].dtype == "int64"
    assert frame["text"].fillna("nothing").tolist() == ["2", "nothing", "4"]
    assert "the prompt is empty" in frame["error"][1]
    assert str(frame["output_tokens"].dtype) == "Int64", "whole numbers stay whole beside a gap"
    same = results.to_frame(engine="polars")
    assert same["key"].to_list() == [7, 8, 9]
    assert same["finish_reason"].to_list() == ["STOP", None, "STOP"]


def test_keys_of_two_types_are_strings_where_a_column_has_one_type():
    rows = [{"key": 1}, {"key": "a"}, {}]
    assert make_frame(rows, ["key"], "pandas")["key"].tolist()[:2] == [1, "a"]
    assert make_frame(rows, ["key"], "polars")["key"].to_list() == ["1", "a", None]


@pytest.mark.parametrize("engine", ["pandas", "polars"])
def test_half_of_a_character_and_keys_of_a_thousand_bits_are_no_end_of_a_frame(engine):
    frame = make_frame(
        [{"key": 2**1000, "text": "a \ud83d b"}, {"key": 1, "text": "\U0001f600"}, {}], ["key", "text"], engine
    )
    assert [str(each) for each in frame["key"]][:2] == [str(2**1000), "1"]
    half, whole = [*frame["text"]][:2]
    assert half in ("a ? b", "a \ud83d b")  # pandas without pyarrow has room for it, and keeps it
    assert whole == "\U0001f600"


@pytest.mark.parametrize(("hidden", "kind"), [((), "pandas"), (("pandas",), "polars")], ids=["both", "polars alone"])
def test_a_frame_is_of_pandas_if_it_is_there_or_else_of_polars(hidden, kind, without):
    without(*hidden)
    assert type(make_frame([{"a": 1}], ["a"])).__module__.startswith(kind)


def test_without_the_library_the_error_says_what_to_install(without):
    without("pandas", "polars")
    with pytest.raises(InvalidInput, match=r"to_frame needs pandas or polars, and neither is installed: pip"):
        make_frame([], ["a"])
    with pytest.raises(InvalidInput, match=r"to_frame needs polars, and it is not installed: pip install polars"):
        make_frame([], ["a"], "polars")
    with pytest.raises(InvalidInput, match="engine"):
        make_frame([], ["a"], "arrow")


async def test_curves_are_drawn_by_matplotlib_into_new_axes_or_yours():
    plt.subplots(layout="constrained")  # reads files, when it is called for the first time
    async with make_client(make_app()) as client:
        (job, _), watcher = await two_jobs(client)
        axes = watcher.plot()
        assert [line.get_label() for line in axes.get_lines() if len(line.get_xdata()) > 1] == ["job 1", "job 2"]
        assert axes.get_xlabel() == "step"
        assert axes.get_legend() is not None
        _, mine = plt.subplots()
        assert job.plot(ax=mine) is mine
        assert mine.get_lines()[0].get_ydata().tolist() == [snapshot.mean_loss for snapshot in job.snapshots]
    plt.close("all")


async def test_curves_are_drawn_by_altair_if_matplotlib_is_not_there(without):
    async with make_client(make_app()) as client:
        _, watcher = await two_jobs(client)
        without("matplotlib", "matplotlib.pyplot")
        chart = watcher.plot().to_dict()
        rows = chart["data"]["values"]
        assert {row["job"] for row in rows} == {"job 1", "job 2"}
        assert chart["encoding"]["y"]["scale"]["type"] in {"log", "linear"}
        with pytest.raises(InvalidInput, match="leave out one of them"):
            watcher.plot(engine="altair", ax=object())
        without("altair")
        with pytest.raises(InvalidInput, match="plot needs matplotlib or altair, and neither is installed"):
            watcher.plot()


def test_none_of_them_is_loaded_before_it_is_asked_for(monkeypatch):
    loaded, usual = [], builtins.__import__

    def noted(name, *rest, **named):
        loaded.append(name.partition(".")[0])
        return usual(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", noted)
    client = gemtune.Client(api_key="k")
    job = client.job("tunedModels/x")
    job._repr_mimebundle_()
    assert {"pandas", "polars", "matplotlib", "altair", "IPython"}.isdisjoint(loaded)


async def test_what_vertex_ai_measures_besides_is_in_the_frame_and_in_the_picture():
    plt.subplots(layout="constrained")
    _, client = vertex.make_vertex()
    async with client:
        job = await client.tune(vertex.BASE, vertex.TRAIN, validation_data=vertex.VALIDATION, display_name="<mine>")
        await job
        frame, watched = job.to_frame(), client.watch(job)
        async with watched:
            await watched.wait()
        both = watched.to_frame(engine="polars")
        shown = job._repr_mimebundle_()["text/html"]
        axes = job.plot()
    assert {"accuracy", "eval_loss", "eval_accuracy"} <= {*frame.columns}
    assert frame["eval_loss"].notna().any()
    assert both["eval_loss"].drop_nulls().len() == frame["eval_loss"].notna().sum()
    assert "stroke-dasharray" in shown
    assert "solid: loss in training" in shown
    assert "checkpoint" in shown
    assert "&lt;mine&gt;" in shown
    assert [line.get_linestyle() for line in axes.get_lines()][:2] == ["-", "--"]
