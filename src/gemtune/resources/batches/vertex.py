"""Batches of Vertex AI: ``batchPredictionJobs``, which read requests from Cloud Storage and write results there.

Requests come as one object, whose name is made of its content, so that they are uploaded once however often it is
tried. The job's name is the service's to choose. What finds it again is the mark, as the label ``gemtune-id``: the
creation is sent again only if no job bears it for certain, and if two came to be after all, the older one stays and the
other is cancelled (``resources.vertex.labels``). A job that was cancelled in the queue has cost nothing.

Results lie in a folder that the service makes and names in the job: below ``gs://BUCKET/gemtune/batches/MARK/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import IO, Final

import anyio
import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.config import ONCE, RetryPolicy
from gemtune.datasets.upload.spool import measured
from gemtune.errors import BadRequest, InvalidInput, NotFound
from gemtune.http.caller import Caller
from gemtune.pager import Pages
from gemtune.protocol import vertex as registry
from gemtune.protocol import vertex_names
from gemtune.protocol.batches import vertex
from gemtune.protocol.call import Call
from gemtune.protocol.gemini import Page
from gemtune.protocol.vertex_names import Place
from gemtune.remedy import Argument, ClientCall, Remedy
from gemtune.resources.attempts import Attempts, time_left
from gemtune.resources.batches.late import when_there
from gemtune.resources.batches.results import fetch_folder
from gemtune.resources.batches.service import BatchLimits, InlineInput, PlacedInput
from gemtune.resources.storage import chosen_bucket
from gemtune.resources.uploads.cloud import Upload
from gemtune.resources.vertex.labels import LABEL, LabelSearch, age, check_labels, keep_oldest
from gemtune.types import GenerateContentRequest
from gemtune.types.batches import BatchState, GenerateContentBatch

FOLDER: Final = "gemtune/batches"
"""Where in a bucket requests and results are."""
_PAGE: Final = 100
_LONGEST_NAME: Final = 128
_PRECONDITION: Final = "FAILED_PRECONDITION"
_PATIENCE: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Seconds between the attempts to delete a batch that is being cancelled (tuning jobs were seen to take up to 60)."""


@attrs.frozen(eq=False)
class VertexBatches:
    """``BatchService`` of Vertex AI.

    Args:
        caller: Carries out the calls.
        place: Project and location.
        bucket: The client's bucket.
    """

    _caller: Caller
    _place: Place
    _bucket: str | None

    # 72 hours in the queue and 24 from the beginning on, after which what is finished is kept.
    limits = BatchLimits(requests=vertex.MAX_REQUESTS, bytes=vertex.MAX_BYTES, jobs=None, inline_bytes=0, hours=72 + 24)
    is_batch = staticmethod(vertex_names.is_batch)
    read_line = staticmethod(vertex.read_line)

    def batch_name(self, given: object) -> str:
        """Return ``projects/P/locations/L/batchPredictionJobs/{id}``."""
        return self._place.batch(given)

    def input_line(self, key: str, model: str, request: GenerateContentRequest) -> bytes:  # noqa: ARG002
        """Return one line of an input file, with the key in the request's labels; the model stands in the creation."""
        return vertex.input_line(key, request)

    async def place(
        self, file: IO[bytes], size: int, name: str, *, bucket: str | None = None, retry: RetryPolicy | None = None
    ) -> PlacedInput:
        """Upload an input file as an object that is named after its content."""
        into = chosen_bucket(bucket, self._bucket, "the input of a batch")
        spooled = await anyio.to_thread.run_sync(measured, file, size, name)
        found = await Upload(self._caller, spooled, into, None, retry, folder=FOLDER).run()
        return PlacedInput(found.uri)

    async def create(
        self,
        model: str,
        placed: PlacedInput | InlineInput,
        mark: str,
        *,
        display_name: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> GenerateContentBatch:
        """Create a batch once; see the head of this module."""
        begun = anyio.current_time()
        source, target = self._addresses(placed, mark)
        check_labels(labels)
        if priority is not None:
            what = "priority is an argument of the Gemini API"
            raise InvalidInput(what, Remedy("leave it out"), field="priority")
        title = mark if display_name is None else display_name
        if not isinstance(title, str) or not 0 < len(title) <= _LONGEST_NAME:
            checks.refuse("display_name", f"a string of 1 to {_LONGEST_NAME} characters", title)
        search = self._search(mark)

        async def look(left: float) -> GenerateContentBatch | None:
            return min(await search.certain(left, ONCE), key=age, default=None)

        call = vertex.create_job(
            self._place.name, display_name=title, model=await self._model(model, retry), source=source, target=target,
            labels={**(labels or {}), LABEL: search.label},
        )  # fmt: skip
        remedy = Remedy("look with ", ClientCall("batches.list"), f" for the label {LABEL}={search.label}")
        attempts: Attempts[GenerateContentBatch] = Attempts(self._caller, look, (remedy,))
        made = await attempts.run(call, time_left(timeout, begun), retry)
        if not attempts.doubted:
            return made
        others = await search.beside(made, time_left(timeout, begun), doubted=True)
        return await keep_oldest([*(others or ()), made], _is_over, self.cancel)

    async def find(self, mark: str) -> GenerateContentBatch | None:
        """Return the batch with a mark; of several the oldest stays."""
        found = await self._search(mark).certain(None, None)
        return await keep_oldest(found, _is_over, self.cancel) if found else None

    async def get(
        self, name: str, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> GenerateContentBatch:
        """Look at a batch."""
        return await self._caller.call(vertex.get_job(name), timeout=timeout, retry=retry)

    def list(
        self, *, page_size: int | None = None, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Pages[GenerateContentBatch]:
        """Return the pages of the list of batches, the one that changed last first."""
        parent = self._place.name
        vertex.list_jobs(parent, page_size=page_size)  # a bad argument fails here, not later

        async def fetch(token: str | None) -> Page[GenerateContentBatch]:
            call = vertex.list_jobs(parent, page_size=page_size, page_token=token)
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pages(fetch)

    async def cancel(self, name: str) -> None:
        """Ask the service to end a batch; one that has ended is left as it is."""
        try:
            await self._caller.call(vertex.cancel_job(name))
        except BadRequest as error:
            # So is the second of two attempts refused of which the first was lost.
            if error.reason != _PRECONDITION or not _is_over(await self.get(name)):
                raise

    async def delete(self, name: str) -> None:
        """Remove a batch from the list; the service deletes none that runs, so that one is cancelled first."""
        for pause in (*_PATIENCE, None):
            try:
                await self._caller.call(vertex.delete_job(name))
            except NotFound as error:
                if error.attempts < 2:
                    raise  # else it was there, and an earlier attempt of this call has deleted it
            except BadRequest as error:
                if error.reason != _PRECONDITION or pause is None:
                    raise
                await self.cancel(name)
                await anyio.sleep(pause)
                continue
            return

    async def fetch(self, batch: GenerateContentBatch, into: IO[bytes], *, retry: RetryPolicy | None = None) -> int:
        """Download the results of a batch: every ``predictions*.jsonl`` in its folder, one after the other."""

        async def fetch(found: GenerateContentBatch) -> int:
            return await fetch_folder(self._caller, found.output, into, retry) if found.output else 0

        return await when_there(batch, fetch, partial(self.get, retry=retry))

    async def discard(self, placed: PlacedInput) -> None:
        """Leave an input file where it is: its name is its content, so that the next batch may need it.

        The bucket is the user's. Whoever wants it emptied gives it a lifecycle rule for ``gemtune/batches/``.
        """

    def _addresses(self, placed: PlacedInput | InlineInput, mark: str) -> tuple[str, str]:
        """Return where the requests of a batch are, and where its results are to be."""
        uri = placed.address if isinstance(placed, PlacedInput) else ""
        bucket, _, path = uri.removeprefix("gs://").partition("/")
        if not uri.startswith("gs://") or not bucket or not path:
            what = f"a batch on Vertex AI reads its requests from Cloud Storage, and {uri or 'these'} do not lie there"
            raise InvalidInput(what, Remedy("give the requests themselves, or gs://BUCKET/FILE"), field="requests")
        # Results of requests that were uploaded here belong beside them; a file of somebody else's may be in a bucket
        # in which nobody here may write.
        own = path.startswith(f"{FOLDER}/") or self._bucket is None
        return uri, f"gs://{bucket if own else self._bucket}/{FOLDER}/{mark}/"

    async def _model(self, name: str, retry: RetryPolicy | None) -> str:
        """Return what a creation calls a model: of an endpoint it is the model that is deployed there."""
        _, published, short = name.partition("/publishers/")
        if published:
            return f"publishers/{short}"
        if not vertex_names.is_endpoint(name):
            return name
        served = (await self._caller.call(registry.get_endpoint(name), retry=retry)).deployed_models
        if not served:
            raise InvalidInput(f"model: {name} serves nothing", field="model")
        model, version = served[0].model, served[0].model_version_id
        place = model.partition("/models/")[0].rpartition("/")[2]
        if place != self._place.location:
            raise InvalidInput(
                f"model: {model} is in {place}, and a batch runs where its model is",
                Remedy("make a client with ", Argument("location", place)),
                field="model",
            )
        return model if "@" in model or not version else f"{model}@{version}"

    def _search(self, mark: str) -> LabelSearch[GenerateContentBatch]:
        label = mark if vertex_names.is_label(mark) and mark else vertex_names.label_of(mark)

        def page(token: str | None, filter: str | None) -> Call[Page[GenerateContentBatch]]:
            return vertex.list_jobs(self._place.name, page_size=_PAGE, page_token=token, filter=filter)

        return LabelSearch(self._caller, page, label)


def _is_over(batch: GenerateContentBatch) -> bool:
    return batch.done or batch.state is BatchState.CANCELLING
