"""The one line: a dataset with the answers of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack, cast

from ray.data import ActorPoolStrategy

from gemtune.batch.ray.asker import Asker, ClientLike, checked_options
from gemtune.batch.ray.block import checked_columns, folder_of
from gemtune.batch.ray.quota import Quota
from gemtune.config import BatchPolicy
from gemtune.errors import InvalidInput
from gemtune.resources.given import Accept, Durability, Framing, spelled_out

if TYPE_CHECKING:
    from ray.data import Dataset

ROWS: Final = 1024
"""Rows of a block: so many that the last ones, of which only a few are under way at a time, hardly matter."""
CPUS: Final = 0.5
"""What one actor is to Ray: it waits most of the time, and uses a whole core at about a thousand rows a second."""
_OF_THE_QUOTA: Final = ("concurrency", "rpm", "tpm")


class AskOptions(Framing, total=False):
    """The keyword arguments of ``ask``, which explains them."""

    client: ClientLike
    quota: Quota | None
    concurrency: int | Literal["auto"]
    rpm: float | None
    tpm: float | None
    journal: object
    actors: int | tuple[int, int]
    batch_size: int
    columns: Mapping[str, str] | None
    num_cpus: float
    ray_remote_args: Mapping[str, Any] | None
    policy: BatchPolicy
    accept: Accept | None
    item_timeout: float | None
    retry_failed: bool
    durability: Durability


@spelled_out(AskOptions)
def ask(
    dataset: Dataset, model: Any, *, column: str = "prompt", key: str | None = None, **options: Unpack[AskOptions]
) -> Dataset:
    """Return a dataset with the answers of a model to each row, as lazy as every other: reading it asks.

    A row that failed is a row: its ``text`` is null and its ``error`` has ``class``, ``message`` and ``status``. What
    dooms all further rows (a wrong key, a model that is gone, a quota for the day) ends the dataset with that error.
    A dataset that is read twice is asked twice, unless it has a ``journal``.

    Args:
        dataset: The rows.
        model: The model to ask, as for ``client.batch``.
        column: The column with the prompts: strings, or requests as structs.
        key: A column with keys, unique within a block, by which journals know the rows; None for their places.
        client: The arguments of ``gemtune.Client``, or a function that returns a client. By default each actor takes
            everything from the environment of its worker.
        quota: A ``Quota`` to share with other datasets; by default one of its own, of the next three numbers.
        concurrency: Requests in flight, all actors together; by default ``auto``, which finds out how many are taken.
        rpm: Most requests a minute, all actors together. The same for ``tpm``, input tokens.
        journal: A folder that all machines see under one path, for one journal per block. A repeated run pays for
            nothing that is in it, whatever its blocks are.
        actors: How many, or the fewest and the most; 2 by default.
        batch_size: Rows of a block, 1,024 by default, of which as many are asked at a time as the quota allows.
        columns: Which results are added under which names; see ``COLUMNS``.
        num_cpus: What one actor needs of a machine, 0.5 by default; ``ray_remote_args`` are its further arguments.
        policy: As for ``client.batch``, like ``accept``, ``item_timeout``, ``retry_failed``, ``durability`` and
            ``system_instruction``, ``generation_config`` ...

    Raises:
        InvalidInput: An argument is wrong, or a quota is given beside the numbers to make one of.

    Example:
        >>> rows = ray.data.read_parquet("prompts/")
        >>> ask(rows, "gemini-2.5-flash", rpm=4_000, journal="/mnt/shared/run-7").write_parquet("answers/")
    """
    asker, pool = _taken_apart(dict(options))
    asker |= {"model": model, "column": column, "key": key}
    return dataset.map_batches(
        Asker, fn_constructor_kwargs=asker, batch_format="pyarrow", udf_modifying_row_count=False, **pool
    )


def _taken_apart(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of the actors and those of their pool."""
    unknown = [name for name in options if name not in AskOptions.__annotations__]
    if unknown:
        checked_options({unknown[0]: options[unknown[0]]})  # knows why some are not a block's to decide
    actors = options.pop("actors", 2)
    size = {"size": actors} if isinstance(actors, int) else dict(zip(("min_size", "max_size"), actors, strict=True))
    pool = {
        "compute": ActorPoolStrategy(**size),
        "batch_size": options.pop("batch_size", ROWS),
        "num_cpus": options.pop("num_cpus", CPUS),
        **(options.pop("ray_remote_args", None) or {}),
    }
    numbers = {name: options.pop(name) for name in _OF_THE_QUOTA if name in options}
    numbers = {name: value for name, value in numbers.items() if value is not None}
    asker = {name: options.pop(name, None) for name in ("client", "quota", "journal", "columns")}
    folder_of(asker["journal"])
    checked_columns(asker["columns"])
    asker["options"] = checked_options(options)
    if asker["quota"] is None:
        asker["quota"] = Quota(**numbers, policy=cast("BatchPolicy | None", options.get("policy")))
    elif numbers:
        raise InvalidInput(f"give a quota or {' and '.join(numbers)}, not both", field="quota")
    return asker, pool
