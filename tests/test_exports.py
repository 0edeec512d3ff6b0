"""The public names: sorted, all there, documented, and cheap to import."""

import inspect
import json
import subprocess
import sys

import pytest

import gemtune

HEAVY = ("aiohttp", "cattrs", "google.auth", "httpx", "orjson", "rich", "tenacity", "uvicorn")
MODULES = 50  # typing and re need about 30 in a bare interpreter, attrs would bring 60, an HTTP library 200


def loaded_by(statement: str) -> list[str]:
    """The modules that a statement loads in a fresh process."""
    report = "print(json.dumps(sorted(set(sys.modules) - before)))"
    program = f"import json, sys; before = set(sys.modules); {statement}; {report}"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    modules: list[str] = json.loads(run.stdout)
    return modules


def public_names() -> list[str]:
    return list(getattr(gemtune, "__all__", ()))


def public_members(owner: type) -> list[tuple[str, object]]:
    """The methods and properties a class of ours adds, attrs' own (dunder) ones left out."""
    found = []
    for name, member in vars(owner).items():
        function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if not name.startswith("_") and inspect.isfunction(function):
            found.append((name, function))
    return found


def test_all_is_there_sorted_and_without_repeats():
    assert public_names()
    assert public_names() == sorted(set(public_names()))


@pytest.mark.parametrize("name", public_names())
def test_every_name_resolves_and_dir_shows_it(name):
    assert getattr(gemtune, name) is not None
    assert name in dir(gemtune)


def test_a_name_that_is_not_there_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="no_such_name"):
        gemtune.no_such_name  # noqa: B018


def test_import_star_brings_exactly_the_public_names():
    namespace: dict[str, object] = {}
    exec("from gemtune import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(public_names())


def test_import_gemtune_loads_nothing_heavy_and_little_at_all():
    modules = loaded_by("import gemtune")
    assert [heavy for heavy in HEAVY if heavy in modules] == []
    assert len(modules) <= MODULES, modules


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_is_documented(name):
    value = getattr(gemtune, name)
    if inspect.isclass(value):
        assert vars(value).get("__doc__"), f"class {name} has no docstring of its own"
        undocumented = [member for member, function in public_members(value) if not function.__doc__]
        assert undocumented == [], f"of {name}"
    elif inspect.isroutine(value) or inspect.ismodule(value):
        assert value.__doc__, f"{name} has no docstring"
