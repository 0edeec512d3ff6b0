"""gemtune and google-genai in one process, on one event loop, with one set of environment variables."""

import pytest
from google import genai

import gemtune
from emulator.emulated import BASE, PAIRS

pytestmark = [pytest.mark.socket, pytest.mark.filterwarnings("ignore")]  # of Google's code


@pytest.mark.gemini_emulator(answers={"LXIII": "LXIV"})
async def test_what_one_tunes_the_other_uses(gemini_emulator_url):
    async with gemtune.Client() as client, genai.Client().aio as google:
        job = await client.tune(BASE, PAIRS, display_name="number generator model")
        assert (await google.tunings.get(name=job.name)).state == "JOB_STATE_SUCCEEDED"
        model = await job
        ours = await client.generate_content(model, "LXIII")
        theirs = await google.models.generate_content(model=model.name, contents="LXIII")
        assert ours.text == theirs.text == "LXIV"
        await google.models.update(model=model.name, config={"description": "changed by the other"})
        assert (await client.tuned_models.get(model.name)).description == "changed by the other"
        await google.models.delete(model=model.name)
        with pytest.raises(gemtune.errors.NotFound):
            await client.tuned_models.get(model.name)
