"""Held-out prompts whose right answer is known: the better a model is trained, the more of them it answers right."""

import gc
import math

import anyio.to_thread
import pytest

from emulator.batching import create, inline
from emulator.emulated import BASE, model_body
from emulator.test_vertex_batches import JOBS as PREDICTIONS
from emulator.test_vertex_batches import batch_body, results
from emulator.vertex import CHECK, PARENT, copied, job_body, preferences, supervised, turns
from gemtune.emulator import create_app
from gemtune.emulator.serve import main
from gemtune.emulator.world.recall.reading import read_rows, rows_of
from gemtune.emulator.world.recall.rows import MOST_CHARACTERS, KnownRows, Recall
from gemtune.emulator.world.surface import right_share, untrained_loss

HELD_OUT = [(f"what is {number}?", f"it is {number % 7}") for number in range(400)]
RIGHT = dict(HELD_OUT)
FLASH = "projects/my-project/locations/us-central1/publishers/google/models/gemini-2.5-flash"


def recall(model="a", loss=0.2, *, pairs=None, seed=0):
    return Recall(seed=seed, model=model, loss=loss, sources=(KnownRows.of(HELD_OUT if pairs is None else pairs),))


def right(model, pairs=HELD_OUT):
    """The prompts that a model answers right."""
    return {asked for asked, answered in pairs if model.answer(asked) == answered}


def about(share, rows):
    """What share so many rows may show; four standard deviations, so that a fixed seed is no lucky one."""
    return pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / rows))


# ── the share ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("loss", [0.05, 0.16, 0.5, 2.7, 8.0, 17.0])
def test_a_model_answers_the_share_right_that_follows_from_its_loss(seed, loss):
    pairs = [(f"question {number}", str(number)) for number in range(2_000)]
    found = right(recall(loss=loss, pairs=pairs, seed=seed), pairs)
    assert len(found) / len(pairs) == about(right_share(loss), len(pairs))


def test_what_a_worse_model_answers_right_a_better_one_mostly_does_as_well():
    worse, better = right(recall("worse", 2.0)), right(recall("better", 0.2))
    assert len(worse - better) < len(worse) / 10
    assert worse - better, "no row in the other direction: a paired test would have nothing to weigh"


def test_two_models_of_one_loss_are_not_right_about_the_same_prompts():
    first, second = right(recall("first", 0.5)), right(recall("second", 0.5))
    assert 0 < len(first ^ second) < len(HELD_OUT) / 5


def test_the_same_model_always_answers_the_same():
    first, again = recall(), recall()
    assert [first.answer(asked) for asked in RIGHT] == [again.answer(asked) for asked in RIGHT]


def test_a_wrong_answer_is_the_output_of_another_row():
    bad = recall(loss=17.0)
    assert {bad.answer(asked) for asked in RIGHT} == set(RIGHT.values())
    rare = recall(loss=1e9, pairs=[*((str(number), "same") for number in range(2_000)), ("x", "other")])
    assert {rare.answer(str(number)) for number in range(30)} == {"other"}


def test_where_all_outputs_are_the_same_a_wrong_answer_is_that_of_an_unknown_prompt():
    model = recall(loss=3.0, pairs=[(str(number), "same") for number in range(50)])
    assert {model.answer(str(number)) for number in range(50)} == {"same", None}


def test_a_prompt_is_known_in_any_case_and_spacing_and_no_other():
    assert recall(loss=0.0).answer("  WHAT is\n3? ") == recall(loss=0.0).answer("what is 3?") is not None
    assert recall().answer("what is 400?") is None


@pytest.mark.parametrize(
    "frame",
    [
        "Answer in one word.\n\n{}", "{}\n\nThink first.", "Question: {}\nAnswer:", "Be brief.\nQ: {}\n\nA:",
        "context " * 9_000 + "\n" + "a line of it\n" * 5_000 + "{}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("asked", ["what is 3?", "what is 3: now\n\nor then?"])
def test_a_prompt_is_known_and_as_hard_in_a_frame(frame, asked):
    for number in range(20):
        model = recall(f"model {number}", loss=1.0, pairs=[*HELD_OUT, ("what is 3: now\n\nor then?", "it is both")])
        assert model.answer(frame.format(asked)) == model.answer(asked) is not None


def test_of_several_prompts_in_a_frame_that_of_most_lines_counts_then_the_first():
    model = recall(loss=0.0, pairs=[("one", "1"), ("two", "2"), ("two\nthree", "23"), ("a: b", "ab"), ("b", "B")])
    found = {text: model.answer(text) for text in ("x\none\ntwo", "x\none\ntwo\nthree\nx", "say: a: b", "a: b", "c: b")}
    assert [*found.values()] == ["1", "23", "ab", "ab", "B"]


@pytest.mark.parametrize(
    "text", ['Is "what is 3?" a question?', "what is 3? what is 4?", "so:what is 3?", "", "\n", ": "]
)
def test_a_prompt_that_stands_among_other_words_is_not_known(text):
    assert recall(loss=0.0).answer(text) is None


def test_no_more_is_kept_than_there_is_room_for():
    long = "x" * (MOST_CHARACTERS // 4)
    assert len(KnownRows.of((str(number), long) for number in range(9))) == 4
    assert len(KnownRows.of((str(number), "") for number in range(60_000))) == 50_000


# ── the rows that are given ────────────────────────────────────────────────────────────────────────────────────────


class Example:
    text_input, output = "a", "b"


@pytest.mark.parametrize(
    "given",
    [
        {"a": "b"}, [("a", "b")], [["a", "b"]], [Example()], [{"text_input": "a", "output": "b"}],
        [{"prompt": "a", "completion": "b", "id": 7}], [{"contents": turns("x", "y", "a", "b")}],
        [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}],
    ],
)  # fmt: skip
def test_rows_are_taken_in_every_usual_form(given):
    assert list(rows_of(given)) == [("a", "b")]


@pytest.mark.parametrize("row", ["ab", ("a",), {"a": "b"}, {"text_input": "a"}, {"text_input": "a", "output": 1}, 7])
def test_a_row_that_is_none_is_named(row):
    with pytest.raises(ValueError, match="row 2 of the known rows must be a pair"):
        create_app(knows=[("a", "b"), row])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.csv", 'question,answer\n"a, or b",c\n'), ("r.tsv", "id\tprompt\toutput\n1\ta, or b\tc\n"),
        ("r.json", '[["a, or b", "c"]]'), ("r.jsonl", '{"text_input": "a, or b", "output": "c"}\n\n'),
    ],
)  # fmt: skip
def test_rows_are_read_from_a_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_rows(tmp_path / name) == [("a, or b", "c")]


def test_a_file_with_a_bad_row_is_named(tmp_path):
    (tmp_path / "r.jsonl").write_text('["a", "b"]\n{"c": 1}\n')
    with pytest.raises(ValueError, match=r"r\.jsonl: row 2 of the known rows"):
        read_rows(tmp_path / "r.jsonl")


async def test_rows_are_given_and_counted_over_http(api):
    assert (await api.call("POST", "/_emulator/knows", {"rows": HELD_OUT[:3]})).json() == {"rows": 3}
    assert await api.get("/_emulator/knows") == {"rows": 3}
    assert (await api.call("POST", "/_emulator/knows", {"rows": [["a"]]})).status_code == 400
    assert (await api.call("POST", "/_emulator/knows", {})).status_code == 400


# ── the Gemini API ─────────────────────────────────────────────────────────────────────────────────────────────────


def text_of(reply):
    return reply["candidates"][0]["content"]["parts"][0]["text"]


async def ask(api, path, text):
    reply = await api.call("POST", f"{path}:generateContent", {"contents": turns(text)})
    assert reply.status_code == 200, reply.text
    return text_of(reply.json())


async def share(api, path, pairs=HELD_OUT):
    return sum([await ask(api, path, asked) == answered for asked, answered in pairs]) / len(pairs)


async def test_a_tuned_model_answers_more_right_than_its_base_model_and_fewer_after_a_bad_rate(start):
    api = await start(knows=HELD_OUT, step_seconds=0.1)
    good = await api.tuned(model_body(hyperparameters={"epochCount": 8}), id="good")
    bad = await api.tuned(model_body(hyperparameters={"epochCount": 8, "learningRateMultiplier": 10}), id="bad")
    shares = [await share(api, f"/v1beta/{name}") for name in (good, BASE, bad)]
    assert shares[0] == about(0.86, 400)
    assert shares[1] == about(right_share(untrained_loss(0, BASE)), 400)
    assert shares[2] == about(0.23, 400)
    assert shares[0] > 1.8 * shares[1] > 1.8 * shares[2]


async def test_scripted_answers_training_prompts_and_unknown_ones_are_answered_as_ever(start):
    api = await start(knows=[*HELD_OUT, ("1", "one")], answers={"what is 1?": "scripted"})
    name = await api.tuned()
    assert await ask(api, f"/v1beta/{name}", "what is 1?") == "scripted"
    assert await ask(api, f"/v1beta/{name}", "1") == "2 (emulator: nearest training example)"
    assert await ask(api, f"/v1beta/{name}", "twenty one") == "twenty three (emulator: nearest training example)"
    assert (await ask(api, f"/v1beta/{BASE}", "hello")).startswith("hello (emulator")


async def test_a_batch_answers_as_the_model_does(start):
    api = await start(knows=HELD_OUT)
    asked = [text for text, _ in HELD_OUT[:20]]
    one_by_one = [await ask(api, "/v1beta/models/gemini-3.7-flash", text) for text in asked]
    made = await create(api, inline(*asked))
    api.app.advance(100)
    output = (await api.get(f"/v1beta/{made['name']}"))["metadata"]["output"]
    answers = [each["response"] for each in output["inlinedResponses"]["inlinedResponses"]]
    assert list(map(text_of, answers)) == one_by_one
    assert not any("emulator" in text for text in one_by_one)


# ── Vertex AI ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def vertex(start_vertex):
    """An emulator with training data, and held-out rows as validation data."""
    vertex = await start_vertex(vertex_concurrent_jobs=None)
    vertex.put(supervised(HELD_OUT), CHECK)
    return vertex


def checked(**hyperparameters):
    given = {"validationDatasetUri": CHECK, "hyperParameters": hyperparameters}
    return job_body(spec=given)


async def test_the_checkpoints_of_a_job_answer_its_validation_prompts_by_their_eval_loss(vertex):
    job = await vertex.tuned_job(checked(epochCount=16))
    shares = {
        int(each["epoch"]): await share(vertex, f"/v1/{each['endpoint']}")
        for each in job["tunedModel"]["checkpoints"]
        if each["epoch"] in ("2", "8", "16")
    }
    assert shares == {2: about(0.49, 400), 8: about(0.86, 400), 16: about(0.79, 400)}
    assert shares[8] > shares[16] > shares[2]


async def test_all_models_of_the_project_know_the_validation_data_of_any_job_and_other_projects_do_not(vertex):
    await vertex.tune(checked())
    plain = await vertex.tuned_job()
    base = f"/v1/{PARENT}/publishers/google/models/gemini-2.5-flash"
    assert await share(vertex, base) == about(right_share(untrained_loss(0, "models/gemini-2.5-flash")), 400)
    assert await share(vertex, f"/v1/{plain['tunedModel']['endpoint']}") == about(0.76, 400)
    assert "(emulator" in await ask(vertex, f"/v1/{FLASH}", "what is 1?")


async def test_the_preferred_completions_of_validation_data_are_right_answers(start_vertex):
    vertex = await start_vertex()
    vertex.put(preferences(), "gs://my-bucket/train.jsonl")
    vertex.put(preferences(HELD_OUT), CHECK)
    spec = {"trainingDatasetUri": "gs://my-bucket/train.jsonl", "validationDatasetUri": CHECK}
    await vertex.tune({"baseModel": "gemini-2.5-flash", "preferenceOptimizationSpec": spec})
    assert await share(vertex, f"/v1/{PARENT}/publishers/google/models/gemini-2.5-flash") > 0.2


async def test_a_batch_asks_the_checkpoint_that_is_the_default_one(vertex):
    job = await vertex.tuned_job(checked(epochCount=8))
    vertex.put([{"request": {"contents": turns(text)}} for text, _ in HELD_OUT[:40]], "gs://my-bucket/in.jsonl")
    made = await vertex.tune(batch_body(model=job["tunedModel"]["model"]), path=PREDICTIONS)
    vertex.app.advance(100)
    found = results(vertex, await vertex.get(f"/v1/{made['name']}"))
    said = {line["request"]["contents"][0]["parts"][0]["text"]: text_of(line["response"]) for line in found}
    endpoint = f"/v1/{job['tunedModel']['endpoint']}"
    assert said == {text: await ask(vertex, endpoint, text) for text, _ in HELD_OUT[:40]}


async def test_only_the_newest_validation_data_is_kept(vertex):
    for number in range(17):
        vertex.put(supervised([(f"only in {number}", "yes"), ("other", "no")]), CHECK)
        await vertex.tune(checked())
    known = vertex.app.store.shelves["vertex"].held_out.known("123456789012")
    assert [rows.right("only in 0") for rows in known] == [None] * 16
    assert [rows.right("only in 16") for rows in known] == ["yes"] + [None] * 15


async def test_what_is_known_outlives_a_restart(start_vertex, tmp_path):
    path = tmp_path / "state.json"
    before = await start_vertex(state=path)
    await anyio.to_thread.run_sync(before.put, supervised(HELD_OUT), CHECK)
    job = await before.tuned_job(checked(epochCount=3, learningRateMultiplier=2.0, adapterSize="ADAPTER_SIZE_EIGHT"))
    await before.call("POST", "/_emulator/clock", {"advance": 1})
    after = await start_vertex(state=await copied(path))
    endpoint = f"/v1/{job['tunedModel']['endpoint']}"
    asked = [text for text, _ in HELD_OUT[:20]]
    assert [await ask(after, endpoint, text) for text in asked] == [await ask(before, endpoint, text) for text in asked]


def served(monkeypatch, *arguments):
    """The emulator that the command would serve."""
    apps = []

    def run(server, sockets):
        sockets[0].close()
        apps.append(server.config.app)

    monkeypatch.setattr("uvicorn.Server.run", run)
    assert main([*map(str, arguments)]) == 130
    return apps[0]


def test_a_restart_says_that_the_known_rows_have_to_be_passed_again(tmp_path, monkeypatch, capsys):
    state, rows = tmp_path / "state.json", tmp_path / "rows.csv"
    rows.write_text("text_input,output\na,b\nc,d\n")
    served(monkeypatch, "--state", state, "--knows", rows)
    assert "--knows" not in capsys.readouterr().err
    gc.collect()  # the file belongs to one emulator at a time
    again = served(monkeypatch, "--state", state)
    assert capsys.readouterr().err.endswith(
        f"note: {state} was written by an emulator that knew 2 held-out rows, which are not in it: pass --knows again\n"
    )
    assert len(again.knows) == 0
    served(monkeypatch, "--state", state, "--knows", rows)
    assert "pass --knows" not in capsys.readouterr().err


# ── the command ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_takes_a_file_of_rows(tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("text_input,output\na,b\nc,d\n")
    app = served(monkeypatch, "--knows", tmp_path / "rows.csv")
    assert [app.knows.right(asked) for asked in "ace"] == ["b", "d", None]


@pytest.mark.parametrize("raw", [None, b"a\nb\n", b"\xff,\xfe\n\xff,x\n", b'{"text_input": "a"}\n'])
def test_a_file_that_cannot_be_used_ends_the_command_with_one_line(tmp_path, capsys, raw):
    path = tmp_path / "rows.csv"
    if raw is not None:
        path.write_bytes(raw)
    assert main(["--knows", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "rows.csv" in told
    assert len(told.splitlines()) == 1
