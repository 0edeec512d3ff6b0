"""The server engine: the same inputs, results and journal as the local one, by batches that the service runs."""

import pytest

from batch.server_service import ServerService, shuffled
from batch.service import Service, collect
from gemtune import errors

pytestmark = pytest.mark.usefixtures("virtual_time")


async def run(server, inputs, *, service=None, **options):
    async with (service or Service(0.0)).client() as client, server.batch(client, inputs, **options) as results:
        return await collect(results)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
async def test_every_row_has_its_result_whatever_the_order_of_the_lines(count):
    server = ServerService(shape=shuffled(1))
    rows = [(f"k{n}", f"p{n}") for n in range(count)]
    results = await run(server, rows)
    assert sorted((one.index, one.key, one.text) for one in results) == [
        (n, f"k{n}", f"re: p{n}") for n in range(count)
    ]
    assert len(server.batches) == -(-count // 10)
    assert server.files == {}, "inputs were left at the service"


async def test_results_come_in_the_order_of_the_input_if_asked_for():
    server = ServerService(shape=shuffled(2))
    rows = [f"p{n}" for n in range(47)]
    rows[13] = ""
    results = await run(server, rows, order="input")
    assert [one.index for one in results] == list(range(47))
    assert [one.index for one in results if not one.ok] == [13]
    assert isinstance(results[13].error, errors.InvalidInput)
    assert results[13].error.row == 14
