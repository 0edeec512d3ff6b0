"""Every test of the watcher runs on two services, unless it is about what only one of them has (mark ``gemini``).

Those of outages, of jobs that are made anew and of random histories run on a third one, which says more than the others
and in two places.
"""

import pytest

from watch.service import Face, Foundry, Gemini, Service, Workshop, named

ON_THREE = {"test_churn", "test_made_anew", "test_outages", "test_watcher_histories", "test_what_has_ended"}


def pytest_generate_tests(metafunc):
    on_both = getattr(metafunc.module, "Service", None) is Service
    if on_both and metafunc.definition.get_closest_marker("gemini") is None:
        third = [Foundry] if metafunc.module.__name__.rpartition(".")[2] in ON_THREE else []
        metafunc.parametrize("tuning_service", [Gemini, Workshop, *third], indirect=True)


@pytest.fixture(autouse=True)
def tuning_service(request, monkeypatch):
    """The service that the test runs on."""
    chosen = getattr(request, "param", Gemini)
    monkeypatch.setattr(Face, "chosen", chosen)
    if hasattr(request.module, "NAME"):
        monkeypatch.setattr(request.module, "NAME", named("job0"))
    return chosen
