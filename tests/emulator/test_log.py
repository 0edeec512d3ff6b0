"""The lines of ``gemtune emulator --log``, and ``--set``."""

import io
import re

import pytest

from emulator.emulated import model_body
from gemtune.emulator import Fault, Settings, serve
from gemtune.emulator.messages.http import HttpRequest
from gemtune.emulator.serve import main
from gemtune.emulator.world.settings import read_setting


async def test_each_request_is_a_line_without_its_credentials(start):
    api, lines = await start(), []
    api.app.requests.on_line = lines.append
    await api.call("POST", "/v1beta/tunedModels?tunedModelId=a&key=SECRET", model_body())
    api.app.advance(1.5)
    api.app.faults.add(Fault(status=503))
    await api.call("GET", "/v1beta/tunedModels/a", headers={"authorization": "Bearer SECRET"})
    await api.call("GET", "/v9/%0Anowhere")
    told = [re.sub(r"\d+ ms", "N ms", line) for line in lines]
    assert told == [
        "15:11:02.714 #1 POST /v1beta/tunedModels?tunedModelId=a&key=(hidden) -> 200, N ms (tunedModels.create)",
        "15:11:04.214 #2 GET /v1beta/tunedModels/a -> 503 by a fault, N ms (tunedModels.get)",
        "15:11:04.214 #3 GET /v9/%0Anowhere -> 404, N ms (unknown)",
    ]


async def test_what_is_refused_before_it_is_read_is_a_line_as_well(start):
    api, lines = await start(buckets=["b"], max_object_bytes=10), []
    api.app.requests.on_line = lines.append
    await api.call("GET", "/v1beta/models", headers={"host": "evil.example"})
    await api.http.post("/upload/storage/v1/b/b/o?uploadType=media&name=x", content=bytes(2_000_000))
    told = "The body is longer than 1048586 bytes (max_object_bytes)."
    assert lines == [
        "15:11:02.714 GET /v1beta/models -> refused: its host or origin is foreign",
        f"15:11:02.714 POST /upload/storage/v1/b/b/o -> refused: {told}",
    ]
    assert len(api.app.requests) == 0


async def test_a_line_stays_one_line_whatever_is_asked(start):
    api = await start()
    await api.call("GET", "/v1beta/models", params={"a": "line\nbreak\x1b[31m", "b": "x" * 1000})
    line = api.app.requests[-1].line()
    assert line.isprintable()
    assert len(line) < 600


async def test_a_dropped_connection_says_so(start):
    api = await start()
    api.app.faults.add(Fault(drop=True))
    with pytest.raises(ConnectionResetError):
        await api.call("GET", "/v1beta/models")
    assert "-> dropped by a fault," in api.app.requests[-1].line()


class Unread(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


@pytest.mark.parametrize("pipe", [io.StringIO, Unread])
def test_the_command_writes_the_lines_to_standard_error(pipe, monkeypatch):
    apps, err = [], pipe()

    def run(server, sockets):
        sockets[0].close()
        apps.append(server.config.app)

    monkeypatch.setattr("uvicorn.Server.run", run)
    assert main(["--log", "--set", "step_seconds=7", "--set", "buckets=a,b"]) == 130
    (app,) = apps
    assert (app.settings.step_seconds, app.settings.buckets) == (7, {"a", "b"})
    monkeypatch.setattr(serve.sys, "stderr", err)
    entry = app.requests.open(0, "tunedModels.get", HttpRequest("GET", "/v1beta/tunedModels/a", [], {}, b"", 0))
    app.requests.close(entry, 200)
    assert err.getvalue().count("\n") == (1 if pipe is io.StringIO else 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("max_connections=50", 50), ("step_seconds=0", 0), ("step_seconds=0.5", 0.5), ("gzip=false", False),
        ("answer_label=", ""), ("answer_label=(an emulator)", "(an emulator)"),
        ("answer_label=7", "7"), ("max_examples=null", None), ("buckets=a,b", {"a", "b"}),
        ('creating_error=["ABORTED", "no"]', ("ABORTED", "no")),
    ],
)  # fmt: skip
def test_a_setting_is_read(text, value):
    name, found = read_setting(text)
    assert (name, found) == (text.partition("=")[0], value)
    assert getattr(Settings(**{name: found}), name) == value


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("max_conections=5", "there is no setting 'max_conections'; did you mean max_connections?"),
        ("x", "there is no setting 'x'"), ("gzip=maybe", "gzip must be bool, not 'maybe'"),
        ("max_connections=1.5", "max_connections must be int"), ("max_connections=", "max_connections must be int"),
        ("seed=" + "1" * 5000, "seed must be int"),
    ],
)  # fmt: skip
def test_a_setting_that_is_none_ends_the_command_with_one_line(text, error, capsys):
    assert main(["--set", text]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {error}")
    assert len(told.splitlines()) == 1


def test_a_value_out_of_its_range_ends_the_command_with_one_line(capsys):
    assert main(["--set", "max_connections=0"]) == 2
    assert "max_connections" in capsys.readouterr().err
