"""Every screen that a person sees, on terminals of 80 and of 40 columns, against golden files (``screens/``).

The command runs in a process of its own on a pseudo-terminal, and pyte keeps the screen. The emulator's clock stands
still unless a test moves it, so that every picture is the same in every run; the times that stand in them are masked.
``GEMTUNE_DRAW=1`` draws the files again: look at what changed before you keep it.
"""

import asyncio

import pytest

from cli.conftest import BASE, HOUR
from cli.terminal import Terminal, check, plain, quick
from gemtune import Client
from gemtune.emulator import BatchFate, Fault, JobFate

pytestmark = [pytest.mark.socket, pytest.mark.slow]

WIDTHS = pytest.mark.parametrize("columns", [80, 40])


@pytest.fixture
def many(tmp_path):
    """A file of 40 examples."""
    path = tmp_path / "many.csv"
    path.write_text("text_input,output\n" + "".join(f"{n},{n + 1}\n" for n in range(40)))
    return path


@pytest.fixture
def start(app, gemtune, many):
    """Start a job of 40 steps, each of which takes 1.2 s of the emulator's time."""

    def started(name, *argv):
        options = ["--base", BASE, "--epochs", 4, "--batch-size", 4, "--id", name, *argv]
        assert gemtune("tune", many, *options).code == 0
        return f"tunedModels/{name}"

    return started


@pytest.fixture
def create(app):
    """Create a batch of prompts, some of which will fail, and return its name."""

    def created(title, prompts, failed):
        async def create():
            async with Client() as client:
                return await client.batches.create("gemini-3.7-flash", [*prompts], display_name=title)

        app.faults.add(
            Fault(method="models.batchGenerateContent", batch=BatchFate(failed_lines=tuple(range(1, failed + 1))))
        )
        return asyncio.run(create()).name

    return created


def fits(terminal):
    """Nothing is wider than the terminal but what cannot be broken: a name, a command to be copied."""
    wide = [line for line in terminal.text.splitlines() if len(line) >= terminal.columns]
    assert [line for line in wide if " " in line.strip() and not line.startswith("gemtune ")] == []
    return terminal.text


@WIDTHS
def test_tune_and_wait(app, many, columns):
    argv = ["tune", many, "--base", BASE, "--epochs", 4, "--batch-size", 4, "--id", "my-model", "--wait"]
    terminal = Terminal(quick(*argv), columns)
    check(f"tune-begins-{columns}", terminal.until("0/40 steps"))
    app.clock.advance(40)
    check(f"tune-runs-{columns}", terminal.until(lambda text: "loss" in text))
    app.clock.advance(HOUR)
    check(f"tune-ends-{columns}", terminal.close())
    assert terminal.code == 0


@WIDTHS
def test_watch_one_job(app, start, columns):
    start("my-model")
    app.clock.advance(40)
    terminal = Terminal(quick("jobs", "watch", "my-model"), columns)
    terminal.until("loss")
    check(f"watch-one-{columns}", fits(terminal))
    app.clock.advance(HOUR)
    check(f"watch-one-ends-{columns}", terminal.close())
    assert terminal.code == 0


@WIDTHS
def test_watch_several_jobs(app, start, columns):
    start("small-rate", "--learning-rate", 0.0005)
    app.clock.advance(20)
    start("large-rate", "--learning-rate", 0.02)
    app.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=9, message="loss diverged")))
    start("unlucky")
    app.clock.advance(20)
    terminal = Terminal(quick("jobs", "watch", "small-rate", "large-rate", "unlucky"), columns)
    terminal.until("1 failed, 2 running")
    check(f"watch-several-{columns}", fits(terminal))
    app.clock.advance(12)
    terminal.until("small-rate succeeded")
    app.clock.advance(HOUR)
    check(f"watch-several-ends-{columns}", terminal.close())
    assert terminal.code == 1


@WIDTHS
def test_before_the_first_look_it_says_that_it_waits(app, start, columns):
    start("my-model")
    app.faults.add(Fault(method="*", delay=HOUR, times=100))
    terminal = Terminal(quick("jobs", "watch", "my-model"), columns)
    terminal.until("waiting")
    check(f"watch-waits-{columns}", fits(terminal))
    first = terminal.text
    terminal.until(lambda text: text != first)
    terminal.press_ctrl_c()
    check(f"watch-interrupted-{columns}", terminal.close())
    assert terminal.code == 130


def test_what_happens_is_seen_within_three_seconds(app, start):
    start("my-model")
    app.clock.advance(20)
    before = len(app.requests)
    terminal = Terminal(plain("jobs", "watch", "my-model"))
    terminal.until("16/40 steps")
    # The first look is made at once, the next ones two seconds after each other: it is on the screen before a third.
    looks = [entry.method for entry in list(app.requests)[before:]]
    assert looks.count("tunedModels.get") <= 2, looks
    terminal.press_ctrl_c()
    terminal.close()


def test_a_window_that_changes_its_size_keeps_no_stale_line(app, start):
    start("my-model")
    app.clock.advance(40)
    terminal = Terminal(quick("jobs", "watch", "my-model"))
    terminal.until("loss")
    for columns in (40, 100, 60):
        terminal.resize(columns)
        terminal.until(lambda text, columns=columns: widest(text) > columns - 25 and widest(text) < columns)
        assert terminal.text.count("Ctrl-C stops watching") == terminal.text.count("33/40 steps") == 1
        assert terminal.text.count("┤") == 3
        assert terminal.text.count("step └") == 1
    check("watch-resized-60", fits(terminal))
    app.clock.advance(HOUR)
    terminal.close()


def widest(text):
    below = text.partition("\ntunedModels/my-model")[2]  # the hint above stands there since the window was wider
    return max(map(len, below.splitlines()), default=0)


@WIDTHS
def test_an_outage_while_watching(app, start, columns):
    start("my-model")
    app.clock.advance(20)
    terminal = Terminal(quick("jobs", "watch", "my-model"), columns)
    terminal.until("16/40 steps")
    app.faults.add(Fault(method="*", status=503, message="The service is down.", times=10_000))
    terminal.until("no answer")
    check(f"watch-outage-{columns}", fits(terminal))
    app.faults.clear()
    terminal.until("Ctrl-C stops watching")
    app.clock.advance(HOUR)
    check(f"watch-after-the-outage-{columns}", terminal.close())


@WIDTHS
def test_an_outage_while_tuning(app, many, columns):
    argv = ["tune", many, "--base", BASE, "--epochs", 4, "--batch-size", 4, "--id", "my-model", "--wait"]
    terminal = Terminal(quick(*argv), columns)
    terminal.until("0/40 steps")
    app.faults.add(Fault(method="*", status=503, message="The service is down.", times=10_000))
    terminal.until(lambda text: "note:" in text and text.rstrip().endswith("still trying"))
    check(f"tune-outage-{columns}", fits(terminal))
    terminal.press_ctrl_c()
    check(f"tune-interrupted-{columns}", terminal.close())
    assert terminal.code == 130


@pytest.mark.parametrize("columns", [120, 80, 40])
def test_lists_and_cards(app, start, columns):
    start("my-model", "--display-name", "Zahlen 六七八 und ihre Nachfolger", "--description", "It says " + "more " * 30)
    start("a-model-with-a-name-of-forty-characters", "--display-name", "Another")
    app.clock.advance(HOUR)
    start("still-running")
    app.clock.advance(30)
    for argv in (["list"], ["get", "my-model"], ["get", "still-running"]):
        terminal = Terminal(quick("jobs", *argv), columns)
        check(f"jobs-{'-'.join(argv)}-{columns}", terminal.close())
        assert terminal.code == 0


@WIDTHS
def test_batch(app, tmp_path, monkeypatch, columns):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("".join(f"prompt {n}\n" for n in range(12)))
    app.faults.add(Fault(method="models.generateContent", delay=1.0, times=12))
    app.faults.add(Fault(method="models.generateContent", status=400, message="a bad day"))
    argv = ["batch", "in.txt", "out.jsonl", "--model", "models/gemini-3.7-flash", "--concurrency", 4]
    terminal = Terminal(quick(*argv), columns)
    terminal.until("4 in flight")
    check(f"batch-begins-{columns}", fits(terminal))
    app.clock.advance(1)
    terminal.until(lambda text: "4/12" in text and "4 in flight" in text)
    check(f"batch-runs-{columns}", fits(terminal))
    for done in ("8/12", "answered"):
        app.clock.advance(1)
        terminal.until(done)
    check(f"batch-ends-{columns}", terminal.close())


@WIDTHS
def test_watch_batches(app, create, columns):
    names = [create(f"{n} prompts", map(str, range(n)), failed=n // 20) for n in (20, 200)]
    terminal = Terminal(quick("batches", "watch", *names), columns)
    terminal.until("0/200")
    check(f"batches-watch-begins-{columns}", fits(terminal))
    app.clock.advance(3)
    terminal.until(lambda text: "4/20" in text and "40/200" in text)
    check(f"batches-watch-runs-{columns}", fits(terminal))
    app.clock.advance(49 * HOUR)
    check(f"batches-watch-ends-{columns}", terminal.close())
    assert terminal.code == 0


@WIDTHS
def test_demo(columns):
    terminal = Terminal(quick("demo", "--speed", 100), columns, rows=200)
    check(f"demo-{columns}", terminal.close())
    assert terminal.code == 0
