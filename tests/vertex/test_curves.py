"""Live loss: where the curves are, one request for each look, and every point of long ones."""

import json
from pathlib import Path

import pytest

from gemtune.looks.vertex_words import TrainingFacts, snapshots
from gemtune.protocol.codec import decode_lenient
from gemtune.resources.vertex.curves import Curves, CurveStep
from gemtune.types.vertex import VertexTuningJob
from vertex.played import EXPERIMENT, RUN, Played

SAMPLES = json.loads((Path(__file__).parents[1] / "golden" / "vertex_observed.json").read_text(encoding="utf-8"))
OBSERVED = {each["id"]: each["body"] for each in SAMPLES["samples"]}["tensorboard_train_loss_series"]
LOSS = dict(zip(OBSERVED["/train_total_loss"]["steps"], OBSERVED["/train_total_loss"]["values"], strict=True))
LOSS_ONLY, BOTH = frozenset({"loss"}), frozenset({"loss", "eval_loss"})
ACCURACY, EVAL = "/train_fraction_of_correct_next_step_preds", "/eval_total_loss"


def job(*, epochs=None, steps=None, checkpoints=()):
    """A job with what the epochs of its snapshots are worked out from."""
    return decode_lenient(
        VertexTuningJob,
        {
            "supervisedTuningSpec": {"hyperParameters": {"epochCount": str(epochs)} if epochs else {}},
            "tuningDataStats": {"supervisedTuningDataStats": {"tuningStepCount": str(steps)} if steps else {}},
            "tunedModel": {
                "checkpoints": [
                    {"checkpointId": str(number), "epoch": str(epoch), "step": str(step)}
                    for number, (epoch, step) in enumerate(checkpoints, 1)
                ]
            },
        },
    )


async def test_the_observed_curve_becomes_one_snapshot_a_step():
    played, curves = Played({"/train_total_loss": LOSS, EVAL: {}}), Curves()
    run = await curves.find(EXPERIMENT, played.send)
    assert run == RUN
    steps = await curves.read(run, BOTH, played.send)
    found = snapshots(steps, TrainingFacts.of(job()))
    assert {each.step: each.mean_loss for each in found} == LOSS
    assert str(found[0].compute_time) == "2026-10-01T20:00:01Z"
    assert found[0].eval_loss is None, "an eval series may exist without points"


async def test_once_it_is_known_where_the_curves_are_each_look_is_one_request():
    played, curves = Played({"/train_total_loss": {1: 5.0}, EVAL: {}}), Curves()
    run = await curves.find(EXPERIMENT, played.send)
    for _ in range(3):
        await curves.read(run, BOTH, played.send)
        played.curves["/train_total_loss"][len(played.curves["/train_total_loss"]) + 1] = 4.0
    assert played.asked == [
        "contexts.get", "contexts.list", "timeSeries.list", "tensorboards.batchRead", "tensorboards.batchRead",
        "tensorboards.batchRead",
    ]  # fmt: skip


async def test_a_curve_that_must_come_is_looked_for_until_it_is_there():
    played, curves = Played({}), Curves()
    assert await curves.read(RUN, BOTH, played.send) == []
    played.curves["/train_total_loss"] = {1: 5.0}
    assert [each.values for each in await curves.read(RUN, BOTH, played.send)] == [{"loss": 5.0}]
    played.curves[EVAL] = {1: 6.0}
    assert [each.values for each in await curves.read(RUN, BOTH, played.send)] == [{"loss": 5.0, "eval_loss": 6.0}]
    before = len(played.asked)
    await curves.read(RUN, BOTH, played.send)
    assert played.asked[before:] == ["tensorboards.batchRead"]
    assert played.asked[:before].count("timeSeries.list") == 3


@pytest.mark.parametrize("ended", [False, True])
async def test_a_curve_that_may_come_is_found_although_it_appears_late(ended):
    played, curves = Played({"/train_total_loss": {1: 5.0}}), Curves()
    await curves.read(RUN, LOSS_ONLY, played.send)
    played.curves[ACCURACY] = {1: 0.5}
    for _ in range(1 if ended else 40):
        steps = await curves.read(RUN, LOSS_ONLY, played.send, ended=ended)
    assert steps[0].values == {"loss": 5.0, "accuracy": 0.5}
    await curves.read(RUN, LOSS_ONLY, played.send, ended=ended)
    assert played.asked.count("timeSeries.list") == (2 if ended else 5), "ever more rarely: after 4, 8, 16, 32 readings"


async def test_a_long_curve_is_exported_because_the_short_way_answers_with_a_sample():
    long = {step: 1.0 / step for step in range(1, 1302)}
    played, curves = Played({"/train_total_loss": long, ACCURACY: {1: 0.5}}), Curves()
    for _ in range(2):
        steps = await curves.read(RUN, LOSS_ONLY, played.send)
        assert {each.step: each.values["loss"] for each in steps} == long
        assert steps[0].values["accuracy"] == 0.5
    # The first look finds out; from then on the sample is not even asked for.
    assert played.asked == [
        "timeSeries.list",
        *["tensorboards.batchRead", "timeSeries.export", "timeSeries.export"] * 2,
    ]
    del played.curves[ACCURACY]
    again = Curves()
    await again.read(RUN, LOSS_ONLY, played.send)
    played.asked.clear()
    await again.read(RUN, LOSS_ONLY, played.send)
    assert played.asked == ["timeSeries.export", "timeSeries.export"]


async def test_exactly_a_thousand_points_may_be_a_sample():
    played, curves = Played({"/train_total_loss": dict.fromkeys(range(1, 1001), 1.0)}), Curves()
    assert len(await curves.read(RUN, LOSS_ONLY, played.send)) == 1000
    assert "timeSeries.export" in played.asked


@pytest.mark.parametrize(
    ("board", "run_name"),
    [
        (None, f"{EXPERIMENT}-r"),
        ("https://evil.example/tensorboards/1", f"{EXPERIMENT}-r"),
        ("projects/p1/locations/evil.example/tensorboards/1", f"{EXPERIMENT}-r"),
        ("projects/p1/locations/us-central1/tensorboards/1", f"{EXPERIMENT}-../../x"),
        ("projects/p1/locations/us-central1/tensorboards/1", "somebody/else"),
    ],
)
async def test_names_that_replies_bring_are_checked_before_anything_is_asked_of_them(board, run_name):
    played = Played({}, run_name, board)
    assert await Curves().find(EXPERIMENT, played.send) is None
    assert await Curves().find("//evil.example", played.send) is None
    assert set(played.asked) <= {"contexts.get", "contexts.list"}


async def test_a_curve_of_a_hostile_name_is_not_read():
    played = Played({"/train_total_loss": {1: 5.0}})
    played.timeSeries_list = lambda *_: {
        "tensorboardTimeSeries": [{"name": f"{RUN}/timeSeries/../../x", "displayName": "/train_total_loss"}]
    }
    assert await Curves().read(RUN, LOSS_ONLY, played.send) == []
    assert played.asked == ["timeSeries.list"]


def steps_of(*numbers):
    return [CurveStep(number, None, {"loss": 1.0}) for number in numbers]


@pytest.mark.parametrize(
    ("known", "epochs"),
    [
        ({}, [(0, True), (0, True), (0, True)]),
        ({"epochs": 3, "steps": 30}, [(1, True), (2, True), (3, True)]),
        ({"checkpoints": [(1, 10), (2, 20)]}, [(1, False), (2, False), (0, True)]),
        ({"epochs": 3, "steps": 30, "checkpoints": [(1, 10), (2, 20)]}, [(1, False), (2, False), (3, True)]),
        # A checkpoint for every fourth epoch: the epochs between are worked out.
        ({"epochs": 12, "steps": 60, "checkpoints": [(4, 20), (8, 40)]}, [(1, True), (3, True), (5, True)]),
    ],
)
def test_the_epoch_is_that_of_the_next_checkpoint_or_an_estimate_that_says_so(known, epochs):
    found = snapshots(steps_of(1, 11, 21), TrainingFacts.of(job(**known)))
    assert [(each.epoch, each.metrics.epoch_estimated) for each in found] == epochs


def test_a_step_without_its_loss_is_no_snapshot_yet():
    steps = [
        CurveStep(1, None, {"eval_loss": 2.0}),
        CurveStep(2, None, {"loss": 1.0, "accuracy": 0.5}),
    ]
    (found,) = snapshots(steps, TrainingFacts.of(job()))
    assert (found.step, found.mean_loss, found.accuracy, found.eval_loss) == (2, 1.0, 0.5, None)
