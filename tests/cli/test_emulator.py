"""The emulator as a command: it speaks like every other command."""

import json
import subprocess

import httpx
import pytest

pytestmark = pytest.mark.socket


def test_the_help_has_examples_and_every_way_to_ask_for_credentials(gemtune):
    ran = gemtune("emulator", "--help")
    assert ran.code == 0
    assert "\n  gemtune emulator " in ran.out
    assert "strict" in ran.out


@pytest.mark.parametrize(
    "argv",
    [
        ["--clock", "sundial"],
        ["--frob"],
        ["--auth", "sometimes"],
        ["--port", "70000"],
        ["--ready-file", "/nonexistent/ready"],
        ["--ready-file", "/"],
    ],
)
def test_what_keeps_it_from_starting_is_told_in_one_line(gemtune, argv):
    ran = gemtune("emulator", *argv)
    assert ran.code == 2
    assert ran.out == ""
    assert len(ran.errors) == len(ran.err.splitlines()) == 1


@pytest.mark.slow
def test_with_json_the_first_line_of_output_tells_where_it_listens(command):
    with subprocess.Popen(
        [*command, "emulator", "--json", "--auth", "strict"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            facts = json.loads(process.stdout.readline())
            assert (list(facts), facts["pid"]) == (["url", "pid", "version"], process.pid)
            refused = httpx.get(f"{facts['url']}/v1beta/tunedModels", headers={"x-goog-api-key": "unheard-of"})
            assert refused.status_code == 400
        finally:
            process.terminate()
        assert process.stderr.read() == ""
