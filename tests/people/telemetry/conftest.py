import pytest

from .collected import Collected


@pytest.fixture
def collected() -> Collected:
    """Spans and metrics, collected in memory."""
    return Collected.make()
