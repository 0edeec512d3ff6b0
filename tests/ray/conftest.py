"""A cluster of two nodes on this machine, and an emulator on a socket that writes down when each request came.

Ray is no dependency of gemtune: the tests are collected where it is installed (``nox -s ray``). The cluster is started
once, as people start theirs, and everything reaches it by its address.
"""

import importlib.util
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest

from gemtune.emulator import running_emulator
from gemtune.emulator.trouble.quotas import Latency, Load


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


collect_ignore = [] if _installed("ray.data") else ["test_cluster.py", "test_page.py", "test_shelf.py"]

NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with a CPU each; this process is its driver."""
    folder = Path(tempfile.mkdtemp(prefix="gt"))  # short, as the paths of sockets are at most 107 bytes long
    (folder / "ray").mkdir()
    os.environ |= QUIET | {"RAY_TMPDIR": str(folder)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        import ray

        nodes = Cluster(initialize_head=True, head_node_args=NODE)
        try:
            nodes.add_node(**NODE)
            ray.init(address=nodes.address, logging_level="error", log_to_driver=False)
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield nodes.address
        finally:
            ray.shutdown()
            nodes.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@attrs.define(eq=False)
class Seen:
    """What came in, and when: a quota that refuses nothing."""

    url: str = ""
    times: list[float] = attrs.field(factory=list)
    in_flight: int = 0
    peak: int = 0

    def refuse(self, now: float, tokens: int, model: str) -> None:
        """Write down when."""
        self.times.append(now)

    def take(self, tokens: int) -> None:
        """Count one more."""
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)

    def leave(self) -> None:
        """Count one less."""
        self.in_flight -= 1

    def most_within(self, span: float) -> int:
        """Return how many came within so many seconds, at most."""
        times, first, most = sorted(self.times), 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - span:
                first += 1
            most = max(most, last - first + 1)
        return most


@pytest.fixture
def serve(cluster: str) -> Iterator[Callable[..., Seen]]:
    """A function that starts an emulator: ``quotas`` and ``seconds`` of an answer, and arguments of ``create_app``."""
    with ExitStack() as stack:

        def begin(*quotas: object, seconds: float = 0.0, **options: object) -> Seen:
            seen = Seen()
            load = Load([*quotas, seen], latency=Latency(median=seconds))
            seen.url = stack.enter_context(running_emulator(clock="real", load=load, **options)).url
            return seen

        yield begin
