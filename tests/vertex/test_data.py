"""``client.tune`` on Vertex AI with data of one's own: it is checked, converted and uploaded."""

import json

import pytest

import gemtune
from gemtune import errors
from vertex.service import BASE, TRAIN, VALIDATION, make_vertex

pytestmark = pytest.mark.usefixtures("virtual_time")

ROWS = [("one", "two"), ("two", "three"), ("three", "four"), ("four", "five")]
CHAT = {
    "system_instruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "one"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "next", "args": {"of": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "next", "response": {"is": 2}}}]},
        {"role": "model", "parts": [{"text": "two"}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "next"}]}],
}


def service():
    return make_vertex(bucket="my-bucket", on_request=None)


def stored(app, uri):
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return [json.loads(line) for line in app.store.objects.read(bucket, name).splitlines()]


def spec(app):
    return json.loads(app.requests.of("tuningJobs.create")[-1].body)["supervisedTuningSpec"]


async def test_rows_are_uploaded_and_learned():
    app, client = service()
    async with client:
        job = await client.tune(BASE, ROWS, validation_data=ROWS[:1], display_name="numbers")
        assert job.data.rows == 4
        assert (await client.generate_content(await job, "three")).text.startswith("four")
    sent = spec(app)
    assert [line["contents"][1]["parts"] for line in stored(app, sent["trainingDatasetUri"])] == [
        [{"text": answer}] for _, answer in ROWS
    ]
    assert len(stored(app, sent["validationDatasetUri"])) == 1


async def test_conversations_keep_their_turns_and_calls():
    app, client = service()
    async with client:
        job = await client.tune(BASE, [CHAT, *[{"prompt": "a", "completion": "b"}] * 3])
    first, second, *_ = stored(app, spec(app)["trainingDatasetUri"])
    assert first == CHAT
    assert [turn["parts"] for turn in second["contents"]] == [[{"text": "a"}], [{"text": "b"}]]
    assert str(job.data).startswith("4 rows; ")


async def test_preference_pairs_are_uploaded_for_preference_tuning():
    app, client = service()
    async with client:
        pair = {"prompt": "one", "chosen": "two", "rejected": "three"}
        await client.tune(BASE, [pair], method="preference")
    sent = json.loads(app.requests.of("tuningJobs.create")[-1].body)["preferenceOptimizationSpec"]
    (line,) = stored(app, sent["trainingDatasetUri"])
    assert [each["score"] for each in line["completions"]] == [1, 0]


async def test_tuning_again_uploads_nothing():
    app, client = service()
    async with client:
        for _ in range(2):
            await client.tune(BASE, ROWS)
        uploads = [entry for entry in app.requests if "/upload/" in entry.path]
        assert len(uploads) == 1
        placed = await client.storage.upload(ROWS)
        await client.tune(BASE, placed.uri)
        assert spec(app)["trainingDatasetUri"] == placed.uri
        assert [entry for entry in app.requests if "/upload/" in entry.path] == uploads


async def test_wrong_data_creates_no_job():
    app, client = service()
    async with client:
        with pytest.raises(errors.InvalidInput, match="^row 1: output is empty"):
            await client.tune(BASE, [("a", "")])
        with pytest.raises(errors.InvalidInput, match="^validation_data: row 1: output is empty"):
            await client.tune(BASE, ROWS, validation_data=[("a", "")])
    assert not app.requests.of("tuningJobs.create")


async def test_much_validation_data_is_noted(caplog):
    _, client = service()
    async with client:
        await client.tune(BASE, ROWS, validation_data=ROWS[:2])
    warned = [record.getMessage() for record in caplog.records if record.name == "gemtune.datasets"]
    assert "validation data: there are 2 rows for 4 of training data, and Google documents 30 % at most" in warned


async def test_a_choice_of_columns_holds_for_both_and_need_not_fit_both(tmp_path):
    app, client = service()
    path = tmp_path / "rows.csv"
    path.write_text("Frage;Antwort\n" + "a;b\n" * 4, encoding="utf-8")
    choice = {"input": "Frage", "output": "Antwort", "delimiter": ";"}
    async with client:
        await client.tune(BASE, path, validation_data=[{"Frage": "a", "Antwort": "b"}], **choice)
        await client.tune(BASE, path, validation_data=VALIDATION, **choice)
        assert spec(app)["validationDatasetUri"] == VALIDATION
        await client.tune(BASE, TRAIN, validation_data=path, **choice)
        with pytest.raises(errors.InvalidInput, match="delimiter has no meaning for rows in memory"):
            await client.tune(BASE, [{"Frage": "a", "Antwort": "b"}], **choice)


async def test_without_a_bucket_the_ways_to_give_one_are_shown():
    app, client = make_vertex(on_request=None)
    async with client:
        with pytest.raises(errors.InvalidInput, match="pass bucket='my-bucket', or set the environment variable GEM"):
            await client.tune(BASE, ROWS)
        await client.tune(BASE, ROWS, bucket="my-bucket")
    assert spec(app)["trainingDatasetUri"].startswith("gs://my-bucket/gemtune/")


async def test_the_gemini_api_needs_no_storage_and_says_so():
    async with gemtune.Client(api_key="k" * 20) as client:
        with pytest.raises(errors.NotSupported, match=r"needs no Cloud Storage; give the data as training_data"):
            await client.storage.upload(ROWS)
