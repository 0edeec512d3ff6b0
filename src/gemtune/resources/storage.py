"""Training data into Cloud Storage, from where Vertex AI reads it: checked, converted, uploaded.

Reading, checking and converting take a thread, and none of it is held in memory if it is a file of JSON lines. What is
in Cloud Storage already is not looked at.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, closing

import anyio
import attrs

from gemtune import checks
from gemtune.config import RetryPolicy
from gemtune.datasets.conversations import Method
from gemtune.datasets.headings import Choice
from gemtune.datasets.load import is_file
from gemtune.datasets.reading import source_of
from gemtune.datasets.report import DataReport
from gemtune.datasets.upload.spool import Spooled, spool
from gemtune.errors import DeadlineExceeded, Failure, InvalidInput
from gemtune.http.caller import Caller
from gemtune.remedy import Argument, Remedy
from gemtune.resources.uploads.cloud import Upload
from gemtune.resources.uploads.held import held
from gemtune.resources.uploads.sending import OnProgress

_data_log = logging.getLogger("gemtune.datasets")


@attrs.frozen
class Placed:
    """Training data in Cloud Storage.

    Args:
        uri: Its address, ``gs://bucket/name``.
        data: What was read of it; None if it was there already and was not read.
    """

    uri: str
    data: DataReport | None = None


@attrs.frozen(eq=False)
class Storage:
    """Cloud Storage, as far as tuning needs it: training data is checked, converted and uploaded.

    Args:
        caller: Carries out the calls.
        bucket: Where to upload unless a call says otherwise.
    """

    _caller: Caller
    bucket: str | None = None

    async def upload(
        self,
        data: object,
        *,
        method: Method = "supervised",
        bucket: str | None = None,
        input: str | int | None = None,
        output: str | int | None = None,
        heading: bool | None = None,
        delimiter: str | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Placed:
        """Check training data and put it into Cloud Storage, as ``client.tune`` does on Vertex AI.

        The same data is uploaded once: a repeat finds it by its content, whoever uploaded it.

        Args:
            data: Training data of any kind that ``client.tune`` takes, or the ``gs://`` URI of a JSONL file, which is
                returned as it is.
            method: What it is for: ``supervised`` or ``preference``.
            bucket: The bucket; by default the client's.
            input: The column with the input; the same for ``output``, ``heading`` and ``delimiter`` as for ``tune``.
            on_progress: Called with the bytes that have arrived and those of the whole file.
            timeout: Seconds for all of it; None for no end but those of the requests.
            retry: Another retry policy.

        Raises:
            InvalidInput: A row is wrong, or there is no bucket.
            CallError: It could not be uploaded.
        """
        choice = Choice.of(input, output, heading=heading, delimiter=delimiter)
        return await self.place(
            data, choice, method, bucket=bucket, on_progress=on_progress, timeout=timeout, retry=retry
        )

    async def place(
        self,
        data: object,
        choice: Choice,
        method: Method,
        *,
        field: str = "training_data",
        bucket: str | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Placed:
        """Do the same for what is an argument of ``client.tune``.

        Args:
            data: As for ``upload``, like the following.
            choice: What the caller says about its columns.
            method: How to tune.
            field: Which argument it is.
            bucket: The bucket.
            on_progress: Called with the progress.
            timeout: Seconds for all of it.
            retry: Another retry policy.
        """
        limit = None if timeout is None else checks.seconds("timeout", timeout)
        with anyio.move_on_after(limit):
            return await self._place(data, choice, method, field, bucket, on_progress, retry)
        raise DeadlineExceeded(f"the upload did not end within {limit:g} s", failure=Failure.AMBIGUOUS)

    async def _place(
        self,
        data: object,
        choice: Choice,
        method: Method,
        field: str,
        bucket: str | None,
        on_progress: OnProgress | None,
        retry: RetryPolicy | None,
    ) -> Placed:
        checks.one_of("method", method, "supervised", "preference")
        uri = cloud_uri(data, field)
        if uri is not None:
            choice.refuse_all_but((), "a file in Cloud Storage")
            return Placed(uri)
        into = chosen_bucket(bucket, self.bucket, "the training data")
        try:
            async with _spooled(data, choice, method) as spooled:
                _data_log.info("%s: %s", field.replace("_", " "), spooled.report)
                for note in spooled.report.notes:
                    _data_log.warning("%s: %s", field.replace("_", " "), note)
                found = await Upload(self._caller, spooled, into, on_progress, retry).run()
        except InvalidInput as error:
            raise _about(field, error) from None
        return Placed(found.uri, spooled.report)


def chosen_bucket(given: object, own: str | None, what: str) -> str:
    """Return the bucket for something: the one that was given, otherwise the client's.

    Args:
        given: What a call says.
        own: The client's.
        what: What it is for, for the message.

    Raises:
        InvalidInput: There is none, or it is none.
    """
    bucket = own if given is None else checked_bucket(given)
    if bucket is None:
        raise InvalidInput(
            f"there is no bucket for {what}, and Vertex AI reads it from Cloud Storage",
            Remedy("pass ", Argument("bucket", "my-bucket")),
            Remedy("set the environment variable GEMTUNE_BUCKET"),
            field="bucket",
        )
    return bucket


def checked_bucket(given: object) -> str:
    """Return the name of a bucket, which may be given as ``gs://name``.

    Raises:
        InvalidInput: It is none.
    """
    name = given.removeprefix("gs://").removesuffix("/") if isinstance(given, str) else ""
    if not (3 <= len(name) <= 222 and name.isascii() and name == name.lower() and _is_name(name)):
        checks.refuse("bucket", "the name of a bucket such as 'my-bucket'", given)
    return name


def _is_name(name: str) -> bool:
    return all(char.isalnum() or char in "-_." for char in name) and name[0].isalnum() and name[-1].isalnum()


def cloud_uri(data: object, field: str = "training_data") -> str | None:
    """Return the URI of data that lies in Cloud Storage already; None for all else.

    Raises:
        InvalidInput: It is none that the service takes.
    """
    if not isinstance(data, str) or not data.startswith("gs://"):
        return None
    bucket, _, name = data.removeprefix("gs://").partition("/")
    if not bucket or not name.endswith(".jsonl") or name == ".jsonl":
        what = f"{field}: {data:.200} must end in .jsonl, as that is what the service takes from Cloud Storage"
        raise InvalidInput(f"{what}: convert it, or download it and pass the file", field=field)
    return data


def _about(field: str, error: InvalidInput) -> InvalidInput:
    """Return an error about rows that says which argument they are of, if it is not the usual one."""
    if field == "training_data":
        return error
    rest = error.message.removeprefix("training_data").removeprefix(": ")
    said = f"{field}{rest}" if rest.startswith(" ") else f"{field}: {rest}"
    known = field if error.field == "training_data" else error.field
    return InvalidInput(said, *error.remedies, field=known, row=error.row)


@asynccontextmanager
async def _spooled(data: object, choice: Choice, method: Method) -> AsyncIterator[Spooled]:
    """Check training data in a thread, which ends soon after nobody waits for it any more."""
    stopped = threading.Event()
    # Iterators are the caller's code, and run where the caller runs.
    source = None if is_file(data) else source_of(data, choice)

    def work() -> AbstractContextManager[Spooled]:
        return closing(spool(source_of(data, choice) if source is None else source, choice, method, stopped))

    try:
        async with held(work, abandon=True) as spooled:
            yield spooled
    finally:
        stopped.set()
