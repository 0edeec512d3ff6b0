"""What needs an extra is tested here (``nox -s people``); everywhere else the tests run on a plain installation."""

import importlib.util


def test_the_extras_are_there():
    wanted = ("rich", "shtab", "sse_starlette", "opentelemetry.trace", "uvicorn")
    assert [name for name in wanted if importlib.util.find_spec(name) is None] == []
