"""Every test of the watcher runs on two services, unless it is about what only one of them has (mark ``gemini``)."""

import pytest

from watch.service import Face, Gemini, Service, Workshop, named


def pytest_generate_tests(metafunc):
    on_both = getattr(metafunc.module, "Service", None) is Service
    if on_both and metafunc.definition.get_closest_marker("gemini") is None:
        metafunc.parametrize("tuning_service", [Gemini, Workshop], indirect=True)


@pytest.fixture(autouse=True)
def tuning_service(request, monkeypatch):
    """The service that the test runs on."""
    chosen = getattr(request, "param", Gemini)
    monkeypatch.setattr(Face, "chosen", chosen)
    if hasattr(request.module, "NAME"):
        monkeypatch.setattr(request.module, "NAME", named("job0"))
    return chosen
