"""The plugin in projects of other people: found by itself, light, and silent where it is not used."""

import json
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path):
    """A function that runs pytest, warnings being errors, on the text of a test file; its output and exit code."""

    def run(text, *options):
        (tmp_path / "test_it.py").write_text(textwrap.dedent(text))
        (tmp_path / "pytest.ini").touch()  # or that of a directory above is taken
        command = [sys.executable, "-m", "pytest", "-W", "error", "--strict-markers", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
        return done.stdout + done.stderr, done.returncode

    return run


def test_a_project_without_configuration_uses_both_fixtures_on_any_loop(project):
    output, code = project("""
        import asyncio, os
        import anyio, pytest, gemtune

        async def tune(client):
            async with client:
                job = await client.tune("models/gemini-1.0-pro-001", [("1", "2")])
                return (await job).name

        def test_asyncio(gemini_emulator):
            assert asyncio.run(tune(gemini_emulator.client())) in gemini_emulator.app.store.tuned_models

        def test_trio(gemini_emulator):
            assert anyio.run(tune, gemini_emulator.client(), backend="trio") in gemini_emulator.app.store.tuned_models

        @pytest.mark.usefixtures("gemini_emulator_url")
        def test_one_fixture_name_and_no_credentials():
            assert asyncio.run(tune(gemtune.Client()))

        @pytest.mark.anyio
        @pytest.mark.gemini_emulator(answers={"1": "one"})
        async def test_anyio(gemini_emulator, gemini_emulator_url):
            async with gemtune.Client() as client:
                model = await (await client.tune("models/gemini-1.0-pro-001", [("1", "2")]))
                assert (await client.generate_content(model, "1")).text == "one"
            assert len(gemini_emulator.requests) > 0

        def test_the_environment_is_as_before():
            assert "GOOGLE_GEMINI_BASE_URL" not in os.environ
    """)
    assert (code, "6 passed" in output) == (0, True), output


def test_a_project_that_does_not_use_it_loads_nothing_of_it(project):
    output, code = project("""
        import json, sys

        def test_modules():
            ours = sorted(name for name in sys.modules if name.partition(".")[0] == "gemtune")
            heavy = [name for name in ("httpx", "aiohttp", "attr", "uvicorn", "google.auth") if name in sys.modules]
            print(json.dumps([ours, heavy]))
    """, "-s", "-p", "no:anyio", "-p", "no:hypothesispytest")  # fmt: skip
    assert code == 0, output
    ours, heavy = json.loads(output.splitlines()[0])
    assert ours == ["gemtune", "gemtune._version", "gemtune.testing", "gemtune.testing.plugin"]
    assert heavy == []


def test_it_can_be_switched_off(project):
    output, code = project("def test_it(gemini_emulator): pass", "-p", "no:gemtune")
    assert code == 1
    assert "fixture 'gemini_emulator' not found" in output


def test_its_fixtures_and_its_marker_explain_themselves(project):
    output, _ = project("", "--fixtures", "--markers")
    assert "gemini_emulator(**options): options of gemtune.emulator.create_app" in output
    output, _ = project("", "--fixtures")
    assert "Serve the test's Gemini API on a socket and return its address." in output
