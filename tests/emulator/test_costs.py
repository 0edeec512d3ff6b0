"""Reading what comes from outside costs no more than its size: operations are counted, not seconds."""

import ast
import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gemtune.emulator
from emulator.costs import cost, regex_steps
from gemtune.emulator import create_app
from gemtune.emulator.front.control import control
from gemtune.emulator.front.guard import refuse_foreign
from gemtune.emulator.gemini.face import GEMINI
from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.gemini.tuned_models import split_mask
from gemtune.emulator.messages.http import HttpRequest
from gemtune.emulator.messages.json_text import parse_json
from gemtune.emulator.messages.masks import read_mask
from gemtune.emulator.world.auth import Credential
from gemtune.emulator.world.keeping.state import restore, seal
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Principal
from gemtune.emulator.world.tuning import JobFate

SIZES = (60, 120, 240)
FEWER = (20, 40, 80)  # of things that each have many parts
TWICE = 2.4  # what twice the input may cost


def request(path="/v1beta/tunedModels", body=b"", verb="POST", query=(), **headers):
    headers = {"content-type": "application/json"} | headers
    return HttpRequest(verb, path, list(query), headers, body, len(body))


def call(**query):
    return MethodCall(
        method="tunedModels.list", version="v1beta", params={}, query=query, body={}, caller=Principal("a"), now=0,
        fate=JobFate(),
    )  # fmt: skip


APP = create_app(clock="stepped")


def read(wanted):
    match = GEMINI.find(wanted.verb, wanted.path)
    GEMINI.layout(match, wanted)
    GEMINI.read(match, wanted, APP.settings)


def command(path, text):
    control(APP, request(path, text.encode()))
    APP.faults.clear()


def host(text):
    scope = {"headers": [(b"host", text.encode()), (b"origin", text.encode())], "server": ("127.0.0.1", 1)}
    refuse_foreign(scope, ())


TEXT_READERS = {
    "JSON": lambda text: parse_json(text.encode()),
    "JSON in a string": lambda text: parse_json(b'"' + text.encode()),
    "body": lambda text: read(request(body=text.encode())),
    "mask of a message": lambda text: read_mask(text, SCHEMA, "TunedModel"),
    "mask of anything": lambda text: read_mask(text, SCHEMA, None),
    "mask below a long name": lambda text: read_mask(f"{'a' * len(text)}({text})", SCHEMA, None),
    "update mask": split_mask,
    "page token": lambda text: take_page(call(page_token=text), (), default=10, maximum=10),
    "page size": lambda text: take_page(call(page_size=text), (), default=10, maximum=10),
    "filter": lambda text: GEMINI.find("GET", "/v1beta/tunedModels").route.handler(APP.store, call(filter=text)),
    "path": lambda text: APP.find("GET", "/v1beta/tunedModels/" + text),
    "control clock": lambda text: command("/_emulator/clock", text),
    "control faults": lambda text: command("/_emulator/faults", text),
    "control path": lambda text: command("/_emulator/" + text, ""),
    "state": lambda text: restore(APP.clock, create_app().store, text.encode()),
    "host": host,
    "bearer": lambda text: Credential.read({"authorization": text}, {}),
}
UNITS = [
    "a", "name", "a,", "a,b(c),", "a(", "a/", "a.", "a(b,c),", "*,", "*(a),", "(", ")", ",", "/", "A", "aB", "_",
    '\\"', '"', "\\", '"a",', ", ", "[", "{", "[],", '{"a":1},', '{"a":', "1", "-", "1e", " ", "\t,", "]", "null,",
    '{"status":500},', '{"statsu":1},', '[{"job":{"losses":[1]}}],', '"a":', '{"headers":{"a":"b"}},',
    "%41", "&", "=", ";", "@", ":", "x:1,", "é", "\N{PILE OF POO}",
]  # fmt: skip


def grows_too_fast(costs):
    return any(after > TWICE * before + 2_000 for before, after in itertools.pairwise(costs))


@pytest.mark.parametrize("reader", TEXT_READERS.values(), ids=TEXT_READERS)
def test_a_reader_of_text_goes_over_it_a_constant_number_of_times(reader):
    for unit in UNITS:
        for before, after in (("", ""), ("[", "]"), ('"', "")):
            costs = [cost(reader, before + unit * size + after) for size in SIZES]
            assert not grows_too_fast(costs), (unit, before, costs)


@given(st.sampled_from(sorted(TEXT_READERS)), st.lists(st.sampled_from(UNITS), min_size=2, max_size=4))
@settings(max_examples=40, deadline=None)
def test_mixtures_cost_no_more(name, units):
    costs = [cost(TEXT_READERS[name], "".join(units) * (size // 2)) for size in SIZES]
    assert not grows_too_fast(costs), costs


def examples(size):
    return {"examples": {"examples": [{"textInput": "a", "output": "b"}] * size}}


STATE = {"clock": {"time": 0, "wall": 0}, "numbers": 0, "shelves": {}}
VALUES = {
    "unknown fields": lambda n: {f"unknown{i}": 1 for i in range(n)},
    "wrong values": lambda n: {"readerProjectNumbers": ["x"] * n},
    "right values": lambda n: {"readerProjectNumbers": list(range(n))},
    "examples": lambda n: {"tuningTask": {"trainingData": examples(n)}},
    "long names": lambda n: {"a" * n: {"b" * n: 1}},
    "long values": lambda n: {"displayName": "a" * n, "description": "a" * n, "temperature": "1" * n},
    "numbers": lambda n: {"topK": "9" * n, "temperature": "1" * n, "readerProjectNumbers": "7" * n},
}
FAULTS = {
    "many": lambda n: [{"status": 500}] * n,
    "by method": lambda n: {"tunedModels.get": [{"status": 500}] * n},
    "headers": lambda n: [{"headers": {f"a{i}": "b" for i in range(n)}}],
    "losses": lambda n: [{"job": {"losses": [1.5] * n}}],
    "bodies": lambda n: [{"body": {f"a{i}": [1] for i in range(n)}}],
    "unknown": lambda n: [{f"a{i}": 1 for i in range(n)}],
    "wrong at the end": lambda n: [{"status": 500}] * n + [{"status": 5}],
}
STATES = {
    "models": lambda n: STATE | {"tuned_models": [{"number": 1}] * n},
    "whole models": lambda n: STATE | {"tuned_models": [kept_model()] * n},
    "examples": lambda n: STATE | {"tuned_models": [kept_model(examples=[["a", "b"]] * n)]},
    "permissions": lambda n: STATE | {"tuned_models": [kept_model(permissions=kept_model()["permissions"] * n)]},
    "losses": lambda n: STATE | {"tuned_models": [kept_model(job=kept_model()["job"] | {"fate": {"losses": [1] * n}})]},
    "nothing of it": lambda n: {f"a{i}": i for i in range(n)},
}


def kept_model(**changes):
    """A tuned model as a state file has it."""
    from emulator.test_damaged_states import KEPT

    return parse_json(KEPT)["state"]["tuned_models"][0] | changes


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_decoding_a_body_costs_its_size(value):
    costs = [cost(read, request(body=json.dumps(value(size)).encode())) for size in SIZES]
    assert not grows_too_fast(costs), costs


@pytest.mark.parametrize("value", FAULTS.values(), ids=FAULTS)
def test_planting_faults_costs_their_size(value):
    costs = [cost(command, "/_emulator/faults", json.dumps(value(size))) for size in FEWER]
    assert not grows_too_fast(costs), costs


@pytest.mark.parametrize("value", STATES.values(), ids=STATES)
def test_restoring_a_state_costs_its_size(value):
    costs = [cost(TEXT_READERS["state"], seal(value(size))) for size in FEWER]
    assert not grows_too_fast(costs), costs


def test_parameters_and_headers_cost_their_number():
    for pair in (("pageSize", "1"), ("unknown", "1"), ("$fields", "name"), ("fields", "name"), ("key", "1")):
        costs = [cost(read, request(verb="GET", query=[pair] * size)) for size in SIZES]
        assert not grows_too_fast(costs), (pair, costs)


# ── regular expressions ────────────────────────────────────────────────────────────────────────────────────────────

SOURCES = sorted(Path(gemtune.emulator.__file__).parent.rglob("*.py"))
METHODS = {"fullmatch", "match", "sub", "findall", "finditer", "search"}


def expressions():
    """(pattern, flags, method) of every regular expression in the emulator's sources."""
    for path in SOURCES:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        named = {}
        for node in nodes:
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("re.compile("):
                named[ast.unparse(node.targets[0])] = node.value.args
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
                owner = ast.unparse(node.func.value)
                given = node.args if owner == "re" else named.get(owner)
                if given and isinstance(given[0], ast.Constant):
                    flags = re.DOTALL if any("DOTALL" in ast.unparse(each) for each in given[1:]) else 0
                    yield given[0].value, flags, node.func.attr


EXPRESSIONS = sorted(set(expressions()))
PIECES = ['"', '\\"', "\\", "a", "A", "1", " ", ",", ", ", "@", "a@", "-", "a-", "_a", ".", "/", "(", "é", "\n", ":"]


@pytest.mark.parametrize(("pattern", "flags", "method"), EXPRESSIONS)
def test_a_regular_expression_tries_no_more_than_the_text_is_long(pattern, flags, method):
    for piece in PIECES:
        for before, after in (("", ""), ('"', ""), ("a", "!"), ("2024-01-01T00:00:00.", "")):
            steps = [regex_steps(pattern, flags, method, before + piece * size + after) for size in (25, 50, 100)]
            assert all(y <= 2.4 * x + 50 for x, y in itertools.pairwise(steps)), (piece, before, steps)


def test_the_counters_see_what_is_square():
    """What this wing's readers once did."""

    def pops(text):
        parts = list(text)
        while parts:
            parts.pop(0)

    def copies(text):
        path = ""
        for character in text:
            path = f"{path}.{character}"

    for square in (pops, copies):
        assert grows_too_fast([cost(square, "a" * size) for size in SIZES])
    pattern = r'"(?:\\.|[^"\\])*"|,(?=\s*[\]}])'
    steps = [regex_steps(pattern, re.DOTALL, "sub", '"' + '\\"' * size) for size in (25, 50, 100)]
    assert steps[2] > 3 * steps[1] > 9 * steps[0]
    assert {method for _, _, method in EXPRESSIONS} >= {"sub", "findall", "fullmatch"}
