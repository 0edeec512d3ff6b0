"""``gemtune sweep``: what it refuses before anything is created, and what it says of the points and of the best."""

import asyncio
import itertools
import re
import secrets
import threading
from collections import Counter

import pytest

from cli.conftest import BASE
from gemtune.cli.sweep.lines import PlainSweep
from gemtune.config import WatchPolicy
from gemtune.emulator import Fault, JobFate, create_app, running_emulator

ONE_OF = "such as 2,4,8 or 0.1..10:log"


@pytest.mark.parametrize(
    ("argv", "beginning"),
    [
        ([], "say what is tried: --epochs 2,4,8, --rate 0.5,1,2, or a file with --space"),
        (["--epochs", "2,2"], "--epochs lists 2 twice; every point would be tuned twice and paid for twice"),
        (["--epochs", "2,x"], f"--epochs: '2,x' must be numbers, {ONE_OF}"),
        (["--epochs", "2.5,3"], "--epochs must be a whole number from 1 to 2147483647, not 2.5"),
        (["--rate", "1..0.5"], "--rate: the low end of a range must be below the high end, not 1 and 0.5"),
        (["--rate", "0.1..1:lox"], f"--rate: '0.1..1:lox' must be numbers, {ONE_OF}"),
        (["--adapter", "3"], "--adapter must be 1, 2, 4, 8, 16 or 32, not 3"),
        (["--space", "none.json"], "--space: none.json cannot be read (No such file or directory)"),
        (["--space", "rows.csv"], "--space: rows.csv must be a .json, .yaml or .yml file"),
        (
            ["--space", "s.json", "--epochs", "2"],
            "the file says what is tried, and so does --epochs: leave one of them",
        ),
        (["--epochs", "2,3", "--study", "tpe"], "a study has no end: say how many points it may try with --max-jobs"),
        (["--epochs", "2,3", "--stop", "medium"], "argument --stop: there is no rule 'medium'; did you mean 'median'?"),
        (
            ["--epochs", "2,3", "--pruner", "median"],
            "--pruner belongs to a study: name a sampler with --study, or give",
        ),
        (["--epochs", "2,3", "--budget", 3], "no price is built in: give that of a million training tokens with"),
        (["--epochs", "2,3", "--validation", 2], "argument --validation: '2' is neither a share between 0 and 1 nor a"),
        (["--epochs", "2", "--seed", "x"], "argument --seed: 'x' is not a whole number"),
        (["--epochs", "2", "--label", "team=a"], "--label has no counterpart on the Gemini API"),
        (["--epochs", "2", "--objective", "exact"], "--objective: exact is none of eval_loss, loss, contains,"),
        (["--epochs", "2", "--validation", "none.csv"], "--validation: none.csv cannot be read (No such file or"),
        (["--epochs", "2", "--base", "no model"], "--base must look like 'models/gemini-3.7-flash' or"),
        (["--epochs", "2", "--metric", "labels", "--metric", "labels"], "--metric labels is given twice: leave one"),
        (
            ["--epochs", "2", "--metric", "json_equal", "--validation", 0.4],
            "DATA: no row expects JSON, which is what",
        ),
        (["--adapter", "4"], "--adapter: adapter_size is a hyperparameter of Vertex AI"),
        (["--rate", "1", "--learning-rate", "0.1"], "--rate and --learning-rate: learning_rate and learning_rate_"),
        (["--epochs", "2,3", "--journal", "rows.csv"], "rows.csv is a file, and a journal is a folder: name another"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_created(gemtune, rows, monkeypatch, argv, beginning):
    monkeypatch.chdir(rows.parent)
    ran = gemtune("sweep", "rows.csv", "--base", BASE, *argv)
    assert ran.code == 2
    (error,) = ran.errors
    assert error.startswith(beginning)
    assert not (rows.parent / "rows.csv.sweep").exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (".", "DATA: . cannot be read (Is a directory)"),
        ("none.csv", "DATA: none.csv cannot be read (No such file or directory)"),
        ("empty.csv", "DATA is empty: give at least one (input, output) pair, better 100 or more"),
        ("heads.csv", "DATA is empty: give at least one (input, output) pair, better 100 or more"),
    ],
)
def test_data_that_holds_nothing_is_said_to(gemtune, tmp_path, monkeypatch, data, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "heads.csv").write_text("question,answer\n")
    ran = gemtune("sweep", data, "--base", BASE, "--epochs", "2")
    assert (ran.code, ran.errors) == (2, [said])


def test_standard_input_needs_a_folder_for_what_was_begun(gemtune):
    ran = gemtune("sweep", "-", "--base", BASE, "--epochs", "2,3")
    assert ran.errors == ["standard input has no folder: name one with --journal, for what the sweep has begun"]


@pytest.mark.socket
def test_a_wrong_base_model_leaves_nothing_that_has_to_be_removed_by_hand(app, gemtune, rows):
    ran = gemtune("sweep", rows, "--base", "models/nonsense-1", "--epochs", "2,3", "--validation", 0.4)
    assert ran.code == 4
    assert "nothing was created" in ran.err
    assert "resume" not in ran.err
    assert not (rows.parent / "rows.csv.sweep").exists()


def test_a_sweep_is_not_continued_by_mistake(gemtune, rows):
    (rows.parent / "rows.csv.sweep").mkdir()
    (rows.parent / "rows.csv.sweep" / "points.journal").touch()
    ran = gemtune("sweep", rows, "--base", BASE, "--epochs", "2,3")
    assert ran.code == 2
    assert "--resume continues from there" in ran.err


@pytest.fixture
def service(monkeypatch, tmp_path):
    """An emulator whose jobs end at once, that knows the right answers, and commands that look often."""
    monkeypatch.chdir(tmp_path)
    examples = [(f"the number {n}", f"after {n} comes {n + 1}") for n in range(40)]
    lines = ["text_input,output", *(",".join(each) for each in examples)]
    (tmp_path / "rows.csv").write_text("\n".join(lines), encoding="utf-8")
    pauses = dict.fromkeys(("freshness", "terminal_freshness", "queued_interval", "min_interval"), 0.05)
    plain, often = WatchPolicy.__init__, pauses | {"max_rps": 200}
    monkeypatch.setattr(WatchPolicy, "__init__", lambda self, **given: plain(self, **given | often))
    # Losses follow from the names of the models, and these from the sweep's own id.
    numbers = itertools.count()
    monkeypatch.setattr(secrets, "token_hex", lambda count: f"{next(numbers):0{2 * count}x}")
    settings = {"step_seconds": 0.001, "queue_seconds": 0.0}
    with running_emulator(create_app(auth="required", knows=examples, **settings)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-tests")
        yield server.app


class OnceSaid:
    """Does something once the command says something, at whatever speed it gets there."""

    def __init__(self, monkeypatch):
        self.patch, self.later = monkeypatch, 0.0
        usual = asyncio.BaseEventLoop.time

        def time(loop):  # the emulator's loop is another thread's, and keeps its time
            return usual(loop) + (self.later if threading.current_thread() is threading.main_thread() else 0.0)

        monkeypatch.setattr(asyncio.BaseEventLoop, "time", time)

    def __call__(self, words, act):
        usual = PlainSweep.reports

        def reports(view, width, **given):
            lines = [*usual(view, width, **given)]
            if any(words in line for *_, line in lines):
                act()
            return iter(lines)

        self.patch.setattr(PlainSweep, "reports", reports)

    def time_is_up(self):
        self.later = 1000.0


@pytest.fixture
def once_said(monkeypatch):
    return OnceSaid(monkeypatch)


SWEEP = ["sweep", "rows.csv", "--base", BASE, "--validation", "0.3"]
FOUR = [*SWEEP, "--epochs", "1,4", "--rate", "0.5,1"]


def created(app):
    return len(app.requests.of("tunedModels.create"))


@pytest.mark.socket
def test_a_sweep_ends_with_the_best_model_and_whether_it_is_better(service, gemtune):
    ran = gemtune(*FOUR, "--metric", "exact_match")
    assert ran.code == 0, ran.err
    assert created(service) == 4
    head, *board = ran.out.splitlines()
    assert head.split() == ["rank", "point", "epochs", "rate", "×", "state", "steps", "curve", "exact_match"]
    reached = [float(line.split()[-1]) for line in board[:4]]
    assert reached == sorted(reached, reverse=True)
    assert [line.split()[0] for line in board[:4]] == [str(1 + sum(r > own for r in reached)) for own in reached]
    best = board[0].split()[1]
    assert board[4].startswith("4 of 4 points done · ")
    assert board[5].startswith(f"best: point {best} (epochs ")
    assert board[6] == f"its model: {name_of(service, best)}"
    assert board[7].startswith(
        (f"point {best} is better than base: ", "no difference between ", f"point {best} and base ")
    )
    assert ran.err.splitlines()[-1] == f"ask it with: gemtune generate 'your prompt' --model {name_of(service, best)}"
    assert f"point {best} (epochs " in ran.err, "what happened is said line by line"
    assert "\x1b" not in ran.out + ran.err


def name_of(app, number):
    (name,) = [name for name in app.store.tuned_models if name.endswith(f"-{number}")]
    return name


@pytest.mark.socket
def test_json_is_an_object_for_each_event_and_one_for_the_whole_sweep(service, gemtune):
    ran = gemtune(*FOUR, "--metric", "exact_match", "--json")
    *events, whole = ran.records
    kinds = Counter(event["kind"] for event in events)
    assert (kinds["point_planned"], kinds["point_ended"], kinds["point_evaluated"]) == (4, 4, 4)
    assert whole["kind"] == "sweep"
    assert whole["objective"] == "exact_match"
    reached = [point["objective"] for point in whole["points"]]
    assert reached == sorted(reached, reverse=True)
    assert [point["rank"] for point in whole["points"]] == [1 + sum(r > own for r in reached) for own in reached]
    assert whole["best"] == whole["points"][0]
    assert whole["best"]["values"].keys() == {"epoch_count", "learning_rate_multiplier"}
    (comparison,) = whole["comparisons"]
    assert comparison["other"] == "base"
    assert ran.err == ""


@pytest.mark.socket
def test_quiet_prints_the_best_models_name_only_which_can_be_asked(service, gemtune):
    ran = gemtune(*SWEEP, "--epochs", "2", "-q")
    assert ran.err == ""
    assert ran.out == name_of(service, 0) + "\n"
    assert gemtune("generate", "the number 3", "--model", ran.out.strip()).code == 0


@pytest.mark.socket
def test_a_sweep_that_is_done_is_resumed_without_a_new_job_and_compared_if_a_metric_is_added(service, gemtune):
    first = gemtune(*FOUR)
    assert "it was not compared with the base model: the same command with --metric" in first.out
    refused = gemtune(*FOUR)
    assert refused.code == 2
    assert refused.errors[0].startswith("rows.csv.sweep holds what an earlier run has done: --resume continues")
    again = gemtune(*FOUR, "--resume", "--metric", "exact_match")
    assert again.code == 0, again.err
    assert re.search(
        r"^(no difference between )?point \d (and|is better than) base.*: exact_match ", again.out, re.MULTILINE
    )
    assert created(service) == 4


@pytest.mark.socket
@pytest.mark.parametrize("other", [["--epochs", "1,8", "--rate", "0.5,1"], ["--epochs", "1", "--batch-size", "2"]])
def test_the_journal_of_another_sweep_is_refused_in_words(service, gemtune, other):
    assert gemtune(*SWEEP, "--epochs", "1").code == 0
    ran = gemtune(*SWEEP, *other, "--resume")
    assert ran.code != 0
    assert created(service) == 1
    assert "space" in ran.errors[0]
    assert ran.errors[0].count("rows.csv.sweep") >= 1


@pytest.mark.socket
def test_a_plan_creates_nothing(service, gemtune, rows):
    prices = '{"per_million": {"gemini-1.0-pro-001": 5.0}, "currency": "USD", "date": "2026-11-28", "source": "a page"}'
    (rows.parent / "prices.json").write_text(prices)
    ran = gemtune(*FOUR, "--plan", "--budget", "0.002", "--prices", "prices.json")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("4 points, ")
    assert "USD" in ran.out
    (planned,) = gemtune(*FOUR, "--plan", "--json").records
    assert planned["points"] == 4
    assert created(service) == 0
    assert not (rows.parent / "rows.csv.sweep").exists()


@pytest.mark.socket
def test_where_no_answer_is_right_that_may_be_the_metric_or_what_the_emulator_knows(service, gemtune, tmp_path):
    rows = "\n".join(f"question {n} for nobody,reply {n % 3}" for n in range(40))
    (tmp_path / "strange.csv").write_text(f"question,answer\n{rows}\n")
    ran = gemtune("sweep", "strange.csv", "--base", BASE, "--epochs", "1", "--validation", "0.3")
    assert ran.code == 0
    assert "no answer is right by exact_match: look at some with gemtune evaluate --output FILE" in ran.err
    assert "no answer is right" not in gemtune(*SWEEP, "--epochs", "8").err


@pytest.mark.socket
def test_a_point_whose_job_fails_is_said_and_is_a_failure(service, gemtune):
    service.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=2, message="the loss exploded")))
    ran = gemtune(*SWEEP, "--epochs", "1,2")
    assert ran.code == 1
    assert "the loss exploded" in ran.out
    assert "1 of 2 points failed\n" in ran.err
    assert "best: point 1 " in ran.out


@pytest.mark.socket
def test_without_any_model_there_is_no_best_one(service, gemtune):
    service.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=2), times=2))
    ran = gemtune(*SWEEP, "--epochs", "1,2")
    assert ran.code == 1
    assert ran.errors == ["no point has a model that could be ranked"]
    assert "ask it with" not in ran.err


@pytest.mark.socket
def test_points_that_the_budget_does_not_allow_are_left_out_and_said(service, gemtune):
    ran = gemtune(*SWEEP, "--epochs", "1,400", "--token-budget", "2000")
    assert ran.code == 0, ran.err
    assert created(service) == 1
    assert "left out" in ran.out
    assert "best: point 0 " in ran.out


@pytest.mark.socket
def test_a_budget_that_no_point_fits_leaves_no_journal_so_that_a_larger_one_needs_no_resume(service, gemtune, tmp_path):
    ran = gemtune(*SWEEP, "--epochs", "1,2", "--token-budget", "10")
    assert ran.code == 1
    assert ran.out.count("left out") >= 2
    assert ran.errors == ["no point has a model that could be ranked"]
    assert not (tmp_path / "rows.csv.sweep").exists()
    assert gemtune(*SWEEP, "--epochs", "1,2", "--token-budget", "5000").code == 0
    assert created(service) == 2


@pytest.mark.socket
def test_a_time_out_leaves_the_jobs_running_and_says_how_to_resume_and_how_to_cancel_them(service, gemtune, once_said):
    service.faults.add(Fault(method="tunedModels.create", job=JobFate(stall_at_step=2)))
    once_said("point 1 (epochs 2): trained", once_said.time_is_up)
    ran = gemtune(*SWEEP, "--epochs", "1,2", "--timeout", "600s")
    assert ran.code == 124
    cancel = f"gemtune jobs cancel {name_of(service, 0)}"
    said = "1 job continues on the service; resume with the same command and --resume, or cancel it with: "
    assert f"{said}{cancel}\n" in ran.err
    assert gemtune(*cancel.split()[1:]).code == 0
    assert ran.errors == ["not done after 600 s; allow more with --timeout"]


@pytest.mark.socket
def test_data_that_cannot_be_read_is_told_and_nothing_is_left_behind(service, gemtune, tmp_path):
    ran = gemtune("sweep", "none.csv", "--base", BASE, "--epochs", "1,2")
    assert ran.code == 2
    assert ran.errors[0].startswith("DATA: none.csv cannot be read")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "none.csv.sweep").exists()


@pytest.mark.socket
def test_a_base_model_that_does_not_exist_leaves_no_journal_to_be_removed_by_hand(service, gemtune, tmp_path):
    ran = gemtune(*SWEEP[:2], "--base", "models/gemini-0", "--epochs", "1,2")
    assert ran.code == 4
    assert "nothing was created\n" in ran.err
    assert not (tmp_path / "rows.csv.sweep").exists()
    assert gemtune(*SWEEP, "--epochs", "1").code == 0
    assert gemtune(*SWEEP[:2], "--base", "models/gemini-0", "--epochs", "1", "--resume").code != 0
    assert (tmp_path / "rows.csv.sweep" / "points.journal").exists(), "what an earlier run has done stays"


@pytest.mark.socket
def test_a_service_that_is_down_is_waited_for_and_said(service, gemtune, once_said):
    service.faults.add(Fault(method="*", status=503, message="The service is down.", times=10_000))
    once_said("waiting for the service: ", once_said.time_is_up)
    ran = gemtune(*SWEEP, "--epochs", "1,2", "--timeout", "600s")
    assert ran.code == 124
    assert created(service) >= 1
    assert "no job is running" in ran.err
    assert "waiting for the service: " in ran.err


@pytest.mark.socket
def test_an_outage_in_the_middle_is_said_and_survived(service, gemtune, once_said):
    once_said("still trying", service.faults.clear)  # not before: an outage may be too short to be seen
    service.faults.add(
        Fault(method="tunedModels.operations.get", status=503, message="The service is down.", times=10_000),
        Fault(method="tunedModels.list", status=503, message="The service is down.", times=10_000),
    )
    ran = gemtune(*SWEEP, "--epochs", "1,2")
    assert ran.code == 0, ran.err
    assert "no answer (HTTP 503); still trying" in ran.err
