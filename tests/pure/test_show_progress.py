"""Progress as a line, and many jobs as plain lines."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.events import JobState
from gemtune.show.jobs import PlainJobs
from gemtune.show.picture import JobPicture, Tone
from gemtune.show.progress import counts, duration, progress_line, trouble
from gemtune.show.words import counted, job_line, job_text, jobs_text

RUNNING = JobPicture(
    name="tunedModels/a",
    title="a",
    state=JobState.CREATING,
    word="running",
    tone=Tone.RUNNING,
    completed=19,
    total=38,
    share=0.5,
    eta=23.0,
    losses=[(19, 1.402067)],
)


@given(
    st.integers(0, 10**6),
    st.none() | st.integers(0, 10**6),
    st.none() | st.floats(0, 1),
    st.none() | st.floats(),
    st.none() | st.floats(),
    st.integers(0, 120),
    st.booleans(),
)
def test_a_progress_line_fits_whatever_the_service_reports(done, total, share, loss, eta, width, unicode):
    losses = [] if loss is None else [(1, loss)]
    picture = attrs.evolve(RUNNING, completed=done, total=total, share=share, losses=losses, eta=eta)
    line = progress_line(picture, width, unicode=unicode)
    assert len(line) <= width
    assert line.startswith("running" if width > 6 else line)
    assert unicode or line.isascii()


def test_a_progress_line_tells_what_is_known():
    assert (
        progress_line(RUNNING, 90, unicode=False)
        == "running  [###############...............]  19/38 steps   50.0 %  loss 1.402  23 s left"
    )
    assert progress_line(attrs.evolve(RUNNING, completed=0, total=None, share=None, eta=None, losses=[])) == "running"
    over = attrs.evolve(RUNNING, word="succeeded", total=None, share=None, completed=7, eta=None, losses=[(7, 0.5)])
    assert progress_line(over) == "succeeded  7 steps  loss 0.5"


def test_nothing_is_claimed_of_a_job_before_a_look_at_it():
    unseen = JobPicture(name="tunedModels/a", title="a")
    assert progress_line(unseen) == "waiting for the first look"
    assert progress_line(unseen, 12) == "waiting for~"
    assert counts([unseen, RUNNING]) == "1 running, 1 waiting for the first look"
    assert job_line(unseen) == "a: waiting for the first look"
    assert counted([unseen, RUNNING]) == "2 tuning jobs: 1 running, 1 waiting for the first look"
    assert "waiting for the first look" in jobs_text([unseen, RUNNING])


def test_a_time_left_that_is_no_number_is_not_said():
    picture = attrs.evolve(RUNNING, eta=float("inf"))
    assert "left" not in progress_line(picture)
    assert "left" not in job_text(picture)


def test_a_narrow_line_gives_up_the_bar_first_then_the_percentage_and_then_what_stands_last():
    for width in range(8, 53):
        line = progress_line(RUNNING, width)
        whole = ["running", "19/38 steps", " 50.0 %", "loss 1.402", "23 s left"]
        if width < 52:
            whole.remove(" 50.0 %")
        assert "  ".join(whole).startswith(line)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.2, "1 s"), (59, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_a_duration_is_said_as_people_say_it(seconds, words):
    assert duration(seconds) == words


def test_an_outage_is_said_in_a_few_words_and_of_whom():
    silent = attrs.evolve(RUNNING, trouble="tunedModels.get for tunedModels/a failed with HTTP 503 UNAVAILABLE: out")
    over = attrs.evolve(silent, tone=Tone.GOOD)
    assert trouble([silent]) == trouble([silent, silent, over]) == "no answer (HTTP 503); still trying"
    assert trouble([silent, RUNNING]) == "no answer about 1 of 2 jobs (HTTP 503); still trying"
    assert trouble([attrs.evolve(RUNNING, trouble="nobody listens.")]) == "no answer (nobody listens); still trying"
    assert trouble([RUNNING, over]) == ""
    assert trouble([attrs.evolve(RUNNING, trouble="no losses: denied")]) == "no losses: denied"


def test_what_the_service_says_controls_no_terminal():
    wild = attrs.evolve(RUNNING, name="tunedModels/\x1b[2J", word="wild\x9b", trouble="\x1b]0;x\x07")
    drawn = [*PlainJobs(lambda: [wild]).block(80, 20, 1), *PlainJobs(lambda: [wild, wild]).block(80, 20, 1)]
    assert all(line.isprintable() for line in drawn)


def many(count: int) -> list[JobPicture]:
    jobs = [
        attrs.evolve(RUNNING, name=f"tunedModels/job{n}", share=n / 10, total=10, completed=n) for n in range(count)
    ]
    return [attrs.evolve(jobs[0], word="failed", tone=Tone.BAD), *jobs[1:]]


def test_the_table_has_a_line_for_each_job_and_those_that_go_on_first():
    view = PlainJobs(lambda: many(5), hint="Ctrl-C stops watching")
    block = view.block(80, 10, 61, unicode=False)
    assert block[0] == "1 failed, 4 running"
    assert [line.split()[0] for line in block[1:-1]] == [f"job{n}" for n in (1, 2, 3, 4, 0)]
    assert block[-1] == "1 min 01 s  Ctrl-C stops watching"
    assert all(len(line) <= 80 for line in block)
    assert view.block(80, 5, None)[-1] == "and 3 more"
    assert len(view.block(80, 4, 1)) == 4


def test_elsewhere_each_job_has_a_line_and_an_outage_one_for_all():
    jobs = many(3)
    view = PlainJobs(lambda: jobs)
    keys, marks, lines = zip(*view.reports(100), strict=True)
    assert keys == ("tunedModels/job0", "tunedModels/job1", "tunedModels/job2")
    assert marks == (("failed", 0), ("running", 1), ("running", 2))
    assert lines[1].startswith("tunedModels/job1  running  [")
    jobs[:] = [attrs.evolve(job, trouble="HTTP 503") for job in jobs]
    (report,) = view.reports(100)
    assert report[2] == "1 failed, 2 running: no answer (HTTP 503); still trying"


@pytest.mark.parametrize("width", [30, 80])
def test_jobs_of_vertex_ai_are_told_apart_in_the_table(width):
    names = [f"projects/164094200177/locations/us-central1/tuningJobs/{n}118121177199970883" for n in (1, 5, 8)]
    block = PlainJobs(lambda: [JobPicture(name=name, title="") for name in names]).block(width, 10, None)
    assert len({line.split()[0] for line in block[1:]}) == 3
    if width == 80:
        assert [line.split()[0] for line in block[1:]] == [name.rpartition("/")[2] for name in names]
