"""What a person sees of a job: one value for terminal, notebook and dashboard, made of what is known already."""

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gemtune
from gemtune.emulator import Fault, JobFate
from gemtune.events import JobState
from gemtune.show import picture
from gemtune.show.picture import Tone
from gemtune.types import Hyperparameters
from world import BASE, EXAMPLES, make_app, make_client

points = st.lists(st.floats(-1e6, 1e6), max_size=3000).map(lambda values: list(enumerate(values, 1)))


@given(points, st.integers(4, 500))
def test_a_thinned_curve_keeps_its_ends_its_lowest_and_its_highest_point(curve, most):
    kept = picture.thinned(curve, most)
    assert len(kept) <= most or len(kept) == len(curve) <= most
    assert list(kept) == sorted(kept)
    assert set(kept) <= set(curve)
    if curve:
        assert (kept[0], kept[-1]) == (curve[0], curve[-1])
        values = [value for _, value in curve]
        assert {min(values), max(values)} <= {value for _, value in kept}


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (Hyperparameters(epoch_count=5, batch_size=4, learning_rate=0.001), "5 epochs · batch 4 · rate 0.001"),
        (Hyperparameters(epoch_count=1, learning_rate_multiplier=0.1), "1 epoch · 0.1 × the default rate"),
        (Hyperparameters(epoch_count=3, adapter_size=4), "3 epochs · adapter 4"),
        (None, ""),
    ],
)
def test_hyperparameters_are_said_as_people_say_them(used, said):
    assert picture.settings(used) == said


def test_hyperparameters_are_names_and_values_for_a_table():
    used = Hyperparameters(epoch_count=1, batch_size=4, learning_rate_multiplier=0.1)
    assert picture.parameters(used) == (("epochs", "1"), ("batch", "4"), ("× the default rate", "0.1"))
    assert picture.parameters(None) == ()


def test_a_state_has_a_word_and_a_tone_even_if_this_version_does_not_know_it():
    assert picture.toned(JobState.CREATING, None, steps=0) == ("starting", Tone.WAITING)
    waits = picture.toned(JobState.CREATING, None, steps=0, reason="TUNING_JOB_STATE_WAITING_FOR_QUOTA")
    assert waits == ("waiting for quota", Tone.WAITING)
    assert picture.toned(JobState.CREATING, None, steps=3) == ("running", Tone.RUNNING)
    assert picture.toned(JobState("PAUSED"), None, steps=3) == ("paused", Tone.RUNNING)
    for state in JobState:
        word, tone = picture.toned(state, None, steps=0)
        assert word
        assert (tone in {Tone.GOOD, Tone.BAD, Tone.OVER}) == state.terminal


@pytest.mark.usefixtures("virtual_time")
async def test_a_job_and_its_watcher_have_the_same_picture():
    async with make_client(make_app()) as client:
        job = await client.tune(BASE, EXAMPLES, display_name="numbers")
        before = job.picture()
        assert (before.title, before.losses) == ("numbers", ())
        async with client.watch(job) as watcher:
            async for _ in watcher:
                pass
            (seen,) = watcher.pictures()
        own = job.picture()
        assert attrs.evolve(seen, elapsed=0) == attrs.evolve(own, elapsed=0)
        assert (own.word, own.ended, own.share, own.loss) == ("succeeded", True, 1.0, own.losses[-1][1])
        assert own.lowest == min(own.losses, key=lambda point: point[1])
        shown = json.loads(json.dumps(own.to_dict()))
        assert shown["losses"]["steps"] == [step for step, _ in own.losses]
        assert shown["loss"] == own.loss


@pytest.mark.usefixtures("virtual_time")
async def test_a_failed_job_says_why_in_its_picture():
    app = make_app(faults=[Fault(method="tunedModels.create", job=JobFate(fail_at_step=3, message="bad data"))])
    async with make_client(app) as client:
        job = await client.tune(BASE, EXAMPLES)
        with pytest.raises(gemtune.errors.TuningFailed):
            await job
        assert (job.picture().word, job.picture().tone, job.picture().reason) == ("failed", Tone.BAD, "bad data")
