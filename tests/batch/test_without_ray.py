"""Ray Data is an extra: nobody loads it unasked, and whoever asks without it learns what to install."""

import importlib
import subprocess
import sys

import pytest

from gemtune.errors import NotSupported


def test_without_ray_the_error_names_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    for name in [name for name in sys.modules if name.startswith("gemtune.batch.ray")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(NotSupported, match=r"pip install 'gemtune\[ray\]'"):
        importlib.import_module("gemtune.batch.ray")


def test_a_batch_loads_neither_ray_nor_arrow():
    code = (
        "import sys, gemtune.client, gemtune.batch, gemtune.limiter.leased; print({'ray', 'pyarrow'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
