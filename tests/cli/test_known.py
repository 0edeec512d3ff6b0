"""What is shown of jobs keeps its order; the best of them is the one whose model has the lowest loss."""

import argparse

import attrs

from gemtune.cli.jobs.known import JobsSeen, next_step, ranked
from gemtune.show.picture import JobPicture, Tone

A = JobPicture(name="tunedModels/a", title="a", tone=Tone.GOOD, losses=[(1, 2.0)], elapsed=61.0)
B = attrs.evolve(A, name="tunedModels/b", title="b", losses=[(1, 1.0), (2, 1.5)])
OPTIONS = argparse.Namespace(vertex=None, base_url=None, project=None, location=None, trust_host=None)


def test_jobs_keep_their_place_even_if_the_watcher_lets_them_go():
    seen = JobsSeen([])
    assert [job.title for job in seen.of([A, B])] == ["a", "b"]
    changed = attrs.evolve(B, word="failed")
    assert seen.of([changed]) == [A, changed]
    assert [job.title for job in seen.of([changed, A])] == ["a", "b"]


def test_the_best_is_the_one_with_the_lowest_loss_measured_on_validation_data_first():
    bad = attrs.evolve(B, tone=Tone.BAD, losses=[(1, 0.1)])
    measured = attrs.evolve(A, name="tunedModels/m", eval_losses=[(1, 9.0)])
    fresh = JobPicture(name="tunedModels/f", title="f")
    assert ranked([A, bad, fresh, B, measured]) == [measured, B, A, fresh, bad]


def test_a_job_that_diverged_is_not_the_best_however_low_its_loss_was_on_its_way():
    diverged = attrs.evolve(A, name="tunedModels/d", title="d", losses=[(1, 0.1), (2, 12.0)])
    assert ranked([diverged, A]) == [A, diverged]
    assert "is 2, of a;" in next_step([diverged, A], OPTIONS)


def test_with_validation_data_the_best_checkpoint_counts():
    early = attrs.evolve(A, name="tunedModels/e", title="e", eval_losses=[(1, 0.5), (2, 3.0)])
    late = attrs.evolve(A, name="tunedModels/l", title="l", eval_losses=[(1, 4.0), (2, 1.0)])
    assert ranked([late, early]) == [early, late]
    assert "the lowest loss is 0.5, of e;" in next_step([late, early], OPTIONS)


def test_the_next_step_asks_the_best_model():
    assert next_step([A], OPTIONS) == (
        "took 1 min 01 s; ask it with: gemtune generate 'your prompt' --model tunedModels/a"
    )
    assert next_step([A, B], OPTIONS) == (
        "the lowest loss at the end is 1.5, of b; ask it with: gemtune generate 'your prompt' --model tunedModels/b"
    )
    assert next_step([attrs.evolve(A, tone=Tone.BAD)], OPTIONS) == ""
