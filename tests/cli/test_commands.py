"""The thin commands: what they print, and where."""

import json

import pytest

from cli.conftest import BASE, HOUR
from gemtune.emulator import Fault, JobFate

pytestmark = pytest.mark.socket

READ = "training data: 3 rows of rows.csv; input = column 'text_input', output = 'output'"


def test_tune_prints_the_jobs_name_and_says_how_to_look_at_it(app, gemtune, rows):
    ran = gemtune("tune", rows, "--base", BASE, "--display-name", "My Numbers", "--epochs", 2, "--batch-size", 1)
    assert ran.code == 0, ran.err
    name = ran.out.strip()
    assert name.startswith("tunedModels/my-numbers-")
    assert ran.err.splitlines() == [READ, f"the job continues; watch it with: gemtune jobs watch {name}"]
    sent = json.loads(app.requests.of("tunedModels.create")[0].body)
    assert sent["tuningTask"]["hyperparameters"] == {"epochCount": 2, "batchSize": 1}


def test_tune_waits_for_the_model_and_tells_every_snapshot(app, gemtune, rows, tuned):
    ran = gemtune("tune", rows, "--base", BASE, "--id", "my-model", "--if-exists", "adopt", "--wait", "--json")
    assert ran.code == 0, ran.err
    kinds = [record["kind"] for record in ran.records]
    assert kinds[0] == "adopted"
    assert kinds[-1] == "succeeded"
    assert [record["step"] for record in ran.records if record["kind"] == "snapshot"] == [1, 2, 3, 4]


def test_tune_says_what_it_found_where_it_created_nothing(app, gemtune, rows, tuned):
    again = ["tune", rows, "--base", BASE, "--id", "my-model", "--if-exists", "adopt"]
    ran = gemtune(*again)
    assert (ran.code, ran.out) == (0, f"{tuned}\n")
    assert ran.err.splitlines() == [READ, f"{tuned} existed already (ACTIVE); nothing was created"]
    assert "following" not in gemtune(*again, "--wait").err
    (record,) = gemtune(*again, "--json").records
    assert (record["kind"], record["state"]) == ("adopted", "ACTIVE")


def test_tune_says_that_an_adopted_job_goes_on_if_it_does(app, gemtune, rows):
    again = ["tune", rows, "--base", BASE, "--id", "running", "--if-exists", "adopt", "--json"]
    (created,) = gemtune(*again).records
    assert (created["kind"], created["state"]) == ("created", "CREATING")
    ran = gemtune(*again)
    assert [(record["kind"], record["operation"]) for record in ran.records] == [("adopted", created["operation"])]
    assert ran.err.splitlines() == [
        READ,
        "tunedModels/running existed already (CREATING); nothing was created",
        "the job continues; watch it with: gemtune jobs watch tunedModels/running",
    ]


def test_tune_keeps_results_and_progress_apart(app, gemtune, rows, tuned):
    ran = gemtune("tune", rows, "--base", BASE, "--id", "my-model", "--if-exists", "adopt", "--wait")
    assert ran.code == 0, ran.err
    assert ran.out == f"{tuned}\n"
    assert " 4/4 steps  100.0 %" in ran.err
    assert ran.err.count("succeeded  [") == 1
    assert ran.err.splitlines()[-1].startswith("loss ")
    assert "\x1b" not in ran.err


def test_what_was_read_is_shown_before_anything_is_created(app, gemtune, rows):
    app.faults.add(Fault(method="tunedModels.create", status=403))
    ran = gemtune("tune", rows, "--base", BASE)
    assert ran.code != 0
    assert ran.err.splitlines()[0] == READ


def test_the_json_of_tune_holds_what_was_read(app, gemtune, rows):
    (record,) = gemtune("tune", rows, "--base", BASE, "--json").records
    assert record["data"] == {
        "rows": 3,
        "input": ["text_input"],
        "output": ["output"],
        "rejected": [],
        "left_out": [],
        "source": "rows.csv",
        "notes": [],
    }


def test_a_job_that_fails_is_told_with_the_services_reason(app, gemtune, rows):
    app.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=2, message="out of luck")))
    assert gemtune("tune", rows, "--base", BASE, "--id", "doomed").code == 0
    app.clock.advance(HOUR)
    ran = gemtune("tune", rows, "--base", BASE, "--id", "doomed", "--if-exists", "adopt", "--wait")
    assert ran.code == 1
    assert ran.out == ""
    assert ran.errors == ["tuning tunedModels/doomed failed: out of luck"]
    assert "  reason        out of luck" in gemtune("jobs", "get", "doomed").out.splitlines()


def test_waiting_ends_at_the_timeout_and_the_job_goes_on(app, gemtune, rows):
    ran = gemtune("tune", rows, "--base", BASE, "--id", "slow", "--wait", "--timeout", "1s")
    assert ran.code == 124
    (error,) = ran.errors
    assert "tunedModels/slow is not done after 1 s (starting); the job continues" in error
    app.clock.advance(HOUR)
    assert "succeeded" in gemtune("jobs", "get", "slow").out


def test_jobs_list_is_a_table_names_or_the_services_own_json(app, gemtune, rows, tuned):
    table = gemtune("jobs", "list").out.splitlines()
    assert [line.split()[:2] for line in table] == [["NAME", "STATE"], [tuned, "ACTIVE"]]
    assert gemtune("jobs", "ls", "-q").out == f"{tuned}\n"
    (model,) = gemtune("jobs", "list", "--json").records
    assert model["tuningTask"]["snapshots"][0]["step"] == 1
    assert gemtune("jobs", "list", "--filter", "nothing-like-it").out == ""


def test_the_columns_of_a_list_stand_below_each_other_however_long_a_name_is(app, gemtune, rows, tuned):
    assert gemtune("tune", rows, "--base", BASE, "--display-name", "A name that is made up of many words").code == 0
    header, *lines = gemtune("jobs", "list").out.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line[header.index("STATE") :].startswith(("ACTIVE", "CREATING"))
        assert line[header.index("BASE") :].startswith(BASE)


def test_a_list_of_nothing_says_so_beside_the_results(app, gemtune):
    ran = gemtune("jobs", "list")
    assert (ran.code, ran.out, ran.err) == (0, "", "no tuned models\n")


def test_a_name_of_two_lines_has_one_in_a_table(app, gemtune, rows):
    assert gemtune("tune", rows, "--base", BASE, "--display-name", "a\r\nb\tc").code == 0
    assert gemtune("jobs", "list").out.splitlines()[1].endswith("a  b c")


def test_jobs_get_shows_state_progress_and_curve(app, gemtune, tuned):
    ran = gemtune("jobs", "get", tuned)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == tuned
    assert lines[1].startswith("  succeeded  [")
    assert lines[1].endswith(" 4/4 steps  100.0 %  loss 0.4236")
    assert sum("┤" in line or "│" in line for line in lines) == 8


def test_jobs_get_knows_the_total_of_a_running_job(app, gemtune, rows):
    gemtune("tune", rows, "--base", BASE, "--id", "running", "--epochs", 10, "--batch-size", 1)
    app.clock.advance(10)
    assert "/30 steps" in gemtune("jobs", "get", "running").out


def test_jobs_get_tells_a_cancelled_job_from_a_failed_one(app, gemtune, rows):
    gemtune("tune", rows, "--base", BASE, "--id", "unwanted", "--epochs", 10, "--batch-size", 1)
    app.clock.advance(10)
    gemtune("jobs", "cancel", "unwanted")
    line = gemtune("jobs", "get", "unwanted").out.splitlines()[1]
    assert line.startswith("  cancelled  [")
    assert "/30 steps" in line
    assert "100.0 %" not in line


def test_jobs_get_shows_no_model_for_an_operation_that_does_not_exist(app, gemtune, tuned):
    ran = gemtune("jobs", "get", f"{tuned}/operations/zzz")
    assert (ran.code, ran.out) == (4, "")
    assert f"{tuned}/operations/zzz" in ran.errors[0]
    (operation,) = [entry.path for entry in app.requests.of("tunedModels.operations.get")][:1]
    assert operation.endswith("/operations/zzz")


def test_one_wrong_name_does_not_keep_the_others_from_being_shown(app, gemtune, tuned):
    ran = gemtune("jobs", "get", "not-there", tuned, "-q")
    assert ran.code == 4
    assert ran.out == f"{tuned}\n"
    assert len(ran.errors) == 1
    assert gemtune("jobs", "get", "not-there", "../x").code == 1


def test_jobs_cancel_says_that_there_is_nothing_to_cancel_of_what_has_ended(app, gemtune, tuned):
    ran = gemtune("jobs", "cancel", tuned)
    assert (ran.code, ran.out) == (0, f"{tuned} has ended (ACTIVE): there is nothing to cancel\n")
    (record,) = gemtune("jobs", "cancel", tuned, "--json").records
    assert record == {"name": tuned, "cancelling": False, "state": "ACTIVE"}
    assert app.requests.of("tunedModels.operations.cancel") == []


def test_jobs_cancel_asks_and_deletes_nothing(app, gemtune, rows):
    gemtune("tune", rows, "--base", BASE, "--id", "unwanted")
    assert gemtune("jobs", "cancel", "unwanted").out == "asked to cancel tunedModels/unwanted\n"
    assert gemtune("jobs", "list", "-q").out == "tunedModels/unwanted\n"
    assert gemtune("tune", rows, "--base", BASE, "--id", "unwanted", "--if-exists", "adopt", "--wait").code == 1


def test_jobs_delete_deletes(app, gemtune, tuned):
    assert gemtune("jobs", "delete", tuned, "--json", "--yes").records == [{"name": tuned, "deleted": True}]
    assert gemtune("jobs", "delete", tuned, "--yes").code == 4


def test_generate_prints_the_answer_whole_or_in_pieces(app, gemtune, tuned):
    answer = "four (emulator: nearest training example)\n"
    assert gemtune("generate", "three", "--model", tuned).out == answer
    assert gemtune("generate", "three", "--model", tuned, "--stream").out == answer
    pieces = gemtune("generate", "three", "--model", tuned, "--stream", "--json").records
    texts = [part["text"] for piece in pieces for part in piece["candidates"][0]["content"]["parts"]]
    assert len(texts) > 1
    assert "".join(texts) == answer.strip()


def test_generate_sends_its_options(app, gemtune):
    options = ["--system", "Be brief.", "--temperature", 0.5, "--max-output-tokens", 2]
    ran = gemtune("generate", "one two three four five", "--model", "models/gemini-3.7-flash", *options)
    sent = json.loads(app.requests.of("models.generateContent")[0].body)
    assert sent["generationConfig"] == {"maxOutputTokens": 2, "temperature": 0.5}
    assert sent["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert ran.code == 0, ran.err
    assert ran.err == "note: the answer ended early: MAX_TOKENS\n"


def test_generate_reads_the_prompt_from_standard_input(app, gemtune, tuned, monkeypatch, tmp_path):
    (tmp_path / "prompt").write_text("六\n", encoding="utf-8")
    with (tmp_path / "prompt").open(encoding="utf-8") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert gemtune("generate", "-", "--model", tuned).out.startswith("七 ")


def test_settings_tell_where_everything_comes_from_and_no_secret(app, gemtune):
    ran = gemtune("settings")
    assert "(from GOOGLE_GEMINI_BASE_URL)" in ran.out
    assert "key-of-the-tests" not in ran.out
    assert [record["name"] for record in gemtune("settings", "--json").records][:2] == ["base_url", "credential"]


def test_nothing_is_deleted_without_a_terminal_to_ask_on_or_a_yes(app, gemtune, tuned):
    ran = gemtune("jobs", "delete", tuned)
    assert (ran.code, ran.out) == (2, "")
    assert ran.errors == ["there is no terminal to ask on: pass --yes to delete without being asked"]
    assert app.requests.of("tunedModels.delete") == []


def sent_pairs(app):
    """The examples that reached the service."""
    body = json.loads(app.requests.of("tunedModels.create")[0].body)
    rows = body["tuningTask"]["trainingData"]["examples"]["examples"]
    return [(row["textInput"], row["output"]) for row in rows]


def test_tune_takes_the_columns_that_are_named_and_shows_what_was_read(app, gemtune, tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("id;Review;Rating\n1;lovely;5,0\n2;awful;1,0\n2;awful;2,0\n", encoding="utf-8")
    ran = gemtune("tune", path, "--base", BASE, "--input-column", "Review", "--output-column", "rating")
    assert ran.code == 0, ran.err
    assert sent_pairs(app) == [("lovely", "5,0"), ("awful", "1,0"), ("awful", "2,0")]
    assert ran.err.splitlines()[:2] == [
        "training data: 3 rows of reviews.csv; input = column 'Review', output = 'Rating'; left out: 'id'",
        "note: training data: the same input has different outputs in lines 3 and 4",
    ]


def test_tune_asks_whether_line_1_is_a_heading_in_the_words_of_the_command(app, gemtune, tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("Birth Date,Zodiac Sign\n2 March,Pisces\n", encoding="utf-8")
    (error,) = gemtune("tune", path, "--base", BASE).errors
    assert error.endswith(
        "if it is a heading, pass --input-column 'Birth Date' and --output-column 'Zodiac Sign', "
        "or if it is an example, pass --no-heading"
    )
    assert gemtune("tune", path, "--base", BASE, "--no-heading").code == 0
    assert sent_pairs(app)[0] == ("Birth Date", "Zodiac Sign")


def test_quiet_commands_print_names_and_nothing_else(app, gemtune, rows):
    ran = gemtune("tune", rows, "--base", BASE, "--id", "quiet", "-q")
    assert (ran.code, ran.out, ran.err) == (0, "tunedModels/quiet\n", "")
    app.clock.advance(HOUR)
    for command in ("watch", "wait"):
        ran = gemtune("jobs", command, "quiet", "-q")
        assert (ran.code, ran.out, ran.err) == (0, "tunedModels/quiet\n", "")
    ran = gemtune("tune", rows, "--base", BASE, "--id", "quiet", "-q")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("error: "), "errors are said"
