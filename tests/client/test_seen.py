"""What happens can be seen: a line for each request, and representations that fit a cell of a notebook."""

import logging

from gemtune.emulator import Fault
from gemtune.testing import GeminiEmulator


async def test_each_request_is_a_line_at_debug_without_prompt_and_key(caplog):
    caplog.set_level(logging.DEBUG, logger="gemtune.http")
    emulator = GeminiEmulator.make()
    emulator.faults.add(Fault(method="models.generateContent", status=503))
    async with emulator.client(api_key="a-key-of-the-tests") as client:
        await client.generate_content("gemini-3.7-flash", "a secret question")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert [line.split(" in ")[0] for line in lines] == [
        "generateContent models/gemini-3.7-flash: HTTP 503",
        "generateContent models/gemini-3.7-flash: HTTP 200",
    ]
    assert ["attempt 1" in lines[0], "attempt 2" in lines[1]] == [True, True]
    assert "secret" not in caplog.text
    assert "a-key" not in caplog.text


async def test_what_a_notebook_shows_fits_a_cell_and_is_escaped():
    emulator = GeminiEmulator.make(answers={"1": "<b>" + "x" * 500})
    async with emulator.client() as client:
        job = await client.tune("models/gemini-1.0-pro-001", [("1", "2"), ("3", "4")])
        model = await job
        reply = await client.generate_content(model, "1")
        (result,) = await client.generate_many(model, ["1"])
    for shown in (job, model, reply, result, client):
        assert len(repr(shown)) <= 200
    for shown in (job, model, reply, result):
        assert "<b>" not in shown._repr_html_()
    assert "STOP" in repr(reply)
    assert "tokens" in repr(result)
