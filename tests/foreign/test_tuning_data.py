"""Examples made with the classes of Google's own SDKs are training data here, as its migration guides write them."""

import json

import pytest
from google.genai import types

import gemtune
from gemtune.testing import GeminiEmulator

pytestmark = pytest.mark.filterwarnings("ignore")  # of Google's code

PAIRS = [("1", "2"), ("seven", "eight")]
EXAMPLES = [types.TuningExample(text_input=text, output=output) for text, output in PAIRS]


async def sent(data):
    emulator = GeminiEmulator.make()
    async with emulator.client() as client:
        await client.tune("models/gemini-1.0-pro-001", data)
    body = json.loads(list(emulator.requests.of("tunedModels.create"))[-1].body)
    return [(row["textInput"], row["output"]) for row in body["tuningTask"]["trainingData"]["examples"]["examples"]]


@pytest.mark.parametrize("data", [types.TuningDataset(examples=EXAMPLES), EXAMPLES], ids=["dataset", "examples"])
async def test_examples_of_google_genai_are_sent(data):
    assert await sent(data) == PAIRS


async def test_one_example_and_a_dataset_elsewhere_are_refused():
    with pytest.raises(gemtune.errors.InvalidInput, match=r"one example \(TuningExample\): put it in a list"):
        await sent(EXAMPLES[0])
    with pytest.raises(gemtune.errors.InvalidInput, match="points to gs://bucket/train.jsonl: download that"):
        await sent(types.TuningDataset(gcs_uri="gs://bucket/train.jsonl"))


async def test_examples_of_google_generativeai_are_sent():
    protos = pytest.importorskip("google.generativeai.protos")
    examples = [protos.TuningExample(text_input=text, output=output) for text, output in PAIRS]
    assert await sent(examples) == PAIRS
    assert await sent(protos.Dataset(examples=protos.TuningExamples(examples=examples))) == PAIRS
