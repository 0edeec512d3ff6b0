"""Live displays in a real Jupyter kernel: what a cell shows, interrupted and run again, with nothing left behind."""

import itertools
from xml.etree import ElementTree as ET

import pytest

from people.notebook.kernels import Kernel

pytestmark = [pytest.mark.socket, pytest.mark.slow]

START = """
import asyncio, gemtune
from gemtune.emulator import Fault, JobFate, ScaledClock, running_emulator

EXAMPLES = [(str(n), str(n + 1)) for n in range(30)]
emulator = running_emulator(clock=ScaledClock(9), answers={"slow": "answer"})
emulator.start()
client = gemtune.Client(base_url=emulator.url, api_key="k-secret")

async def tune(name, **options):
    return await client.tune("models/gemini-1.0-pro-001", EXAMPLES, display_name=name, **options)

before = len(asyncio.all_tasks())
"""


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    try:
        started = kernel.run(START)
        assert started.error is None, started.error
        yield kernel
    finally:
        kernel.run("await client.aclose(); emulator.stop()")
        kernel.close()


def svg(html):
    return ET.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])


def test_a_job_is_watched_left_watched_again_and_its_model_returned(kernel):
    shown = kernel.run("job = await tune('<numbers>')\njob").result
    assert "&lt;numbers&gt;" in shown["text/html"]
    assert "<numbers>" not in shown["text/html"]
    assert shown["text/plain"].startswith("<numbers> · starting")

    left = kernel.run("model = await job.show()", interrupt=lambda cell: "<svg" in str(cell.views))
    assert len(left.displays) == 1, "one output, replaced again and again"
    assert "left; the job continues: await job" in left.views[-1]["text/html"]
    assert left.error["ename"] == "CancelledError"
    assert left.error["traceback"] == ["left; the job continues: await job"], "and no forty lines"
    assert kernel.run("len(asyncio.all_tasks()) - before").result["text/plain"] == "0"

    again = kernel.run("model = await job.show()\nmodel")
    assert again.error is None
    assert again.displays.isdisjoint(left.displays)
    assert "succeeded" in again.views[-1]["text/html"]
    assert "left" not in again.views[-1]["text/plain"]
    assert svg(again.views[-1]["text/html"]).get("aria-label").startswith("mean loss by step")
    assert "tuned model" in again.result["text/html"]

    once_more = kernel.run("await job.show()")
    assert len(once_more.views) == 1, "what has ended is shown as it is"


def test_awaiting_a_job_can_be_interrupted_as_well_and_says_so_in_one_line(kernel):
    left = kernel.run("job = await tune('awaited')\nprint('waits')\nawait job", interrupt=lambda cell: cell.printed)
    assert left.error["traceback"] == ["left; the job continues: await job"]


def test_pictures_come_a_few_times_a_second_at_most(kernel):
    shown = kernel.run("job = await tune('paced')\nmodel = await job.show(every=0.2)")
    times = [each["header"]["date"] for each in shown.messages if each["msg_type"] == "update_display_data"]
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(times[:-1])]
    assert gaps
    assert min(gaps) > 0.15


def test_a_failure_is_in_the_picture_and_in_one_line_below_it(kernel):
    failed = kernel.run("""
emulator.app.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=2, message="bad <data>")))
job = await tune("unlucky")
model = await job.show()
""")
    assert "bad &lt;data&gt;" in failed.views[-1]["text/html"]
    assert failed.error["ename"] == "TuningFailed"
    assert len(failed.error["traceback"]) == 1
    assert "bad <data>" in failed.error["traceback"][0]


def test_jobs_are_watched_together_and_compared(kernel):
    shown = kernel.run("""
settings = [gemtune.Hyperparameters(learning_rate=rate) for rate in (0.001, 0.002)]
jobs = [await tune(f"rate {used.learning_rate}", hyperparameters=used) for used in settings]
watcher = client.watch(jobs)
result = await watcher.show()
watcher
""")
    assert kernel.run("len(result.done), len(asyncio.all_tasks()) - before").result["text/plain"] == "(2, 0)"
    assert len(shown.displays) == 1
    last = shown.views[-1]["text/html"]
    assert len(svg(last).findall("{http://www.w3.org/2000/svg}polyline")) == 2
    assert shown.result["text/html"] == last, "the watcher itself shows the same"
    assert shown.result["text/plain"].startswith("2 tuning jobs: 2 succeeded")


def test_a_batch_is_shown_and_what_it_had_when_it_was_left_is_kept(kernel):
    kernel.run("prompts = [(f'k{n}', f'{n}') for n in range(2000)]")
    left = kernel.run(
        "batch = client.batch('models/gemini-1.0-pro-001', prompts, concurrency=4)\nresults = await batch.show()",
        interrupt=lambda cell: len(cell.views) > 2,
    )
    assert "which batch.collected holds" in left.views[-1]["text/plain"]
    kept = kernel.run("0 < len(batch.collected) < 2000, len(asyncio.all_tasks()) - before").result["text/plain"]
    assert kept == "(True, 0)"
    whole = kernel.run("results = await client.batch('models/gemini-1.0-pro-001', prompts[:200]).show()\nresults")
    assert "200 of 200 answered" in whole.views[-1]["text/html"]
    assert "and 190 more" in whole.result["text/html"]


def test_no_output_holds_the_key_and_a_repr_asks_nothing(kernel):
    shown = kernel.run("""
from IPython.display import display
job, fresh = await tune("repr"), client.job("tunedModels/nobody-knows")
watcher, batch = client.watch(job), client.batch(job, ["1"])
results = await client.generate_many("models/gemini-1.0-pro-001", ["1"])
before_requests = len(emulator.app.requests)
for each in (client, job, fresh, watcher, batch, results, results[0], results[0].response, job.data):
    display(each)
print(len(emulator.app.requests) - before_requests)
""")
    assert shown.printed == "0\n"
    assert "k-secret" not in str(shown.messages)
    assert "not seen yet" in str(shown.views)


def test_a_sweep_is_a_leaderboard_that_is_left_and_shown_again_to_its_end(kernel):
    kernel.run(
        "import tempfile\njournal = tempfile.mkdtemp() + '/sweep'\n"
        "def sweep():\n"
        "    space = {'epoch_count': [2, 3], 'learning_rate': [0.001, 0.002]}\n"
        "    return client.sweep('models/gemini-1.0-pro-001', EXAMPLES, space=space, objective='loss',\n"
        "                        title='<sweep>', journal=journal)"
    )
    left = kernel.run("await sweep().show()", interrupt=lambda cell: "<svg" in str(cell.views))
    assert len(left.displays) == 1, "one output, replaced again and again"
    assert "left; the jobs continue" in left.views[-1]["text/html"]
    assert left.error["ename"] == "CancelledError"
    assert len(left.error["traceback"]) == 1, "and no forty lines"
    assert kernel.run("len(asyncio.all_tasks()) - before").result["text/plain"] == "0"

    again = kernel.run("shown = sweep()\nlast = await shown.show()\nshown")
    assert again.error is None
    assert "4 of 4 points done" in again.views[-1]["text/plain"]
    assert svg(again.views[-1]["text/html"]).get("aria-label").startswith("mean loss by step")
    assert "&lt;sweep&gt;" in again.result["text/html"]
    assert again.result["text/html"] == again.views[-1]["text/html"]


def test_an_evaluation_shows_how_far_it_is_and_is_a_table(kernel):
    done = kernel.run(
        "from gemtune.evaluation import LiveProgress\nmodels = {'base': 'models/gemini-1.0-pro-001', 'again': "
        "'models/gemini-1.0-pro-001'}\nawait client.evaluate(models, EXAMPLES, on_progress=LiveProgress())"
    )
    assert done.error is None
    assert len(done.displays) == 1
    assert "60 of 60 answers" in done.views[-1]["text/html"]
    assert "2 models on 30 held-out rows" in done.result["text/html"]
    assert "again and base do equally well on all 30 rows" in done.result["text/plain"]


def test_without_a_journal_nobody_is_promised_that_a_sweep_can_be_taken_up_again(kernel):
    space = "{'epoch_count': [40]}"
    kernel.run(f"alone = client.sweep('models/gemini-1.0-pro-001', EXAMPLES, space={space}, objective='loss')")
    left = kernel.run("await alone.show()", interrupt=lambda cell: "<svg" in str(cell.views))
    assert "no sweep can take them up again without a journal" in left.views[-1]["text/html"]
