"""The guard of conftest.py sees what gemtune does on the event loop, and only that."""

from pathlib import Path

import anyio
import pytest
from blockbuster import BlockingError

import gemtune


def as_if_in_gemtune(source: str) -> None:
    exec(compile(source, str(Path(gemtune.__file__).with_name("pretended.py")), "exec"), {})


async def test_a_blocking_call_of_gemtunes_on_the_loop_is_an_error():
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        as_if_in_gemtune("import time; time.sleep(0)")


async def test_a_worker_thread_of_gemtunes_may_block():
    await anyio.to_thread.run_sync(as_if_in_gemtune, "import time; time.sleep(0)")


async def test_a_tests_own_file_access_is_no_error(tmp_path):
    (tmp_path / "note").write_text("read")
    assert (tmp_path / "note").read_text() == "read"


async def test_gemtune_may_import_on_the_loop():
    as_if_in_gemtune("import sys; sys.modules.pop('colorsys', None); import colorsys")
