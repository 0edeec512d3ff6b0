"""What ``client.tune`` reads of training data, as Google's own pages write it, and what it says about it."""

import inspect
import io
import json
import logging

import pytest

import gemtune
from gemtune import datasets, errors
from gemtune.testing import GeminiEmulator

BASE = "models/gemini-1.0-pro-001"
NUMBERS = [("1", "2"), ("seven", "eight")]


async def tuned(data, **options):
    """The job, and the pairs that reached the service."""
    emulator = GeminiEmulator.make()
    async with emulator.client() as client:
        job = await client.tune(BASE, data, **options)
    body = json.loads(list(emulator.requests.of("tunedModels.create"))[-1].body)
    rows = body["tuningTask"]["trainingData"]["examples"]["examples"]
    return job, [(row["textInput"], row["output"]) for row in rows]


class Fields:
    """A class of Google's SDKs: fields by name, and a loop over them."""

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __iter__(self):
        yield from self.__dict__.items()


def example(text_input, output):
    return Fields(text_input=text_input, output=output)


@pytest.mark.parametrize(
    "data",
    [
        # google-generativeai: genai.create_tuned_model(training_data=[...])
        [{"text_input": text, "output": output} for text, output in NUMBERS],
        {"text_input": [text for text, _ in NUMBERS], "output": [output for _, output in NUMBERS]},
        Fields(examples=Fields(examples=[example(*pair) for pair in NUMBERS])),
        # google-genai: types.TuningDataset(examples=[types.TuningExample(...) for i, o in training_dataset])
        Fields(gcs_uri=None, vertex_dataset_resource=None, examples=[example(*pair) for pair in NUMBERS]),
        [example(*pair) for pair in NUMBERS],
        # the REST tutorial's "training_data" and its whole "tuning_task"
        {"examples": {"examples": [{"text_input": text, "output": output} for text, output in NUMBERS]}},
        {"hyperparameters": {}, "training_data": {"examples": {"examples": [example(*pair) for pair in NUMBERS]}}},
        {"tuning_task": {"training_data": {"examples": {"examples": [example(*pair) for pair in NUMBERS]}}}},
    ],
    ids=["dicts", "columns", "Dataset", "TuningDataset", "TuningExamples", "REST data", "REST task", "REST body"],
)
async def test_the_data_of_googles_own_pages_is_sent_as_it_stands_there(data):
    _, sent = await tuned(data)
    assert sent == NUMBERS


async def test_the_address_of_a_csv_file_is_refused_with_what_to_do():
    with pytest.raises(errors.InvalidInput, match="addresses are not read: download it as CSV"):
        await tuned("https://storage.googleapis.com/generativeai-downloads/data/test.csv")


async def test_a_job_knows_what_was_read_and_one_line_is_logged(caplog):
    rows = io.StringIO("id,Frage,Antwort\n1,a,x\n2,b,y\n3,b,z\n")
    with caplog.at_level(logging.INFO, logger="gemtune"):
        job, sent = await tuned(rows, input="Frage", output="Antwort")
    assert sent == [("a", "x"), ("b", "y"), ("b", "z")]
    read = "3 rows of an open file; input = column 'Frage', output = 'Antwort'; left out: 'id'"
    assert str(job.data) == read
    said = [(record.levelname, record.getMessage()) for record in caplog.records if "training" in record.getMessage()]
    assert said == [
        ("INFO", f"training data: {read}"),
        ("WARNING", "training data: the same input has different outputs in lines 3 and 4"),
    ]


async def test_what_was_read_before_is_sent_without_being_read_again():
    data = datasets.read(NUMBERS)
    job, sent = await tuned(data)
    assert sent == NUMBERS
    assert job.data is data.report


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"heading": 1}, "heading must be True or False, not 1"),
        ({"delimiter": ";;"}, "delimiter must be one character"),
        ({"input": "a", "output": "a"}, "both column 'a'"),
        ({"input": True}, "input must be"),
        ({"input": "a", "heading": False}, "a table without a heading has no names"),
    ],
)
async def test_options_of_the_table_are_checked(options, words):
    with pytest.raises(errors.InvalidInput, match=words):
        await tuned(NUMBERS, **options)


FOREIGN = {
    "validation_data": [("1", "2")], "labels": {"a": "b"}, "service_account": "me@p.example", "kms_key": "k",
    "checkpoints": "all", "bucket": "b-1", "queue": True, "method": "preference",
    "hyperparameters": gemtune.Hyperparameters(beta=0.1),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
async def test_what_only_vertex_ai_has_is_refused_by_name_and_nothing_is_sent(name):
    emulator = GeminiEmulator.make()
    async with emulator.client() as client:
        with pytest.raises(
            errors.InvalidInput, match="the Gemini API.*tune on Vertex AI, with vertexai=True"
        ) as refused:
            await client.tune(BASE, NUMBERS, **{name: FOREIGN[name]})
    assert refused.value.field == ("beta" if name == "hyperparameters" else name)
    assert not list(emulator.requests)


async def test_an_argument_that_there_is_not_is_refused_as_python_does():
    async with GeminiEmulator.make().client() as client:
        with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
            await client.tune(BASE, NUMBERS, epochs=5)
    assert {"validation_data", "display_name", "input", "queue"} <= inspect.signature(client.tune).parameters.keys()
