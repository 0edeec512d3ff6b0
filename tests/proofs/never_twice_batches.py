"""Never twice, for batches and files of the Gemini API: what every fault does to every request, as a table.

``PYTHONPATH=tests python -m proofs.never_twice_batches`` plays all cases in virtual time and prints the table that
stands in ``never_twice_batches.md``; the tests play them too and compare.
"""

import httpx

import gemtune
from gemtune import errors
from gemtune.resources.batches import collection
from gemtune.resources.uploads import sending
from proofs.faulty import FAULTS, Faulty
from proofs.never_twice import Case, Outcome, Table, main, program
from world import TOKEN, make_app, make_client

__all__ = ["INTRODUCTION", "TABLES"]

INTRODUCTION = """\
# Batches and files, never twice

The service chooses the names of batches and knows no idempotency key, so that a list has to be searched for one whose
creation is in doubt; a file has a name of ours. A cell is the result and the number of requests of that kind, with `/n`
where the service carried out n of them and not one. Every case has proved that its faults were met, that every attempt
sends one body, and that at most one batch of the call, or one file, is left in the end. Where the service acted on an
attempt after everybody had looked, the younger batch is cancelled; only what it does after the call has ended nobody
can see. A batch that was returned is the one that is left. Where the name is somebody's own and the service acts on
what it says it refused, AmbiguousOutcome names all that are there.
Made by `PYTHONPATH=tests python -m proofs.never_twice_batches`."""

MODEL = "models/gemini-3.7-flash"
FORMS = {"inline": {}, "inline, named": {"display_name": "mine"}, "file": {}}


async def create(case: Case) -> Outcome:
    """A new batch: every fault meets its creation."""
    app = make_app(batch_queue_seconds=10_000.0, batch_seconds=10_000.0)
    way = Faulty(httpx.ASGITransport(app), part=":batchGenerateContent", **program(case.fault, case.position))
    before, collection._INLINE_COUNT = collection._INLINE_COUNT, 0 if case.scenario == "file" else 10
    try:
        async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=way) as client:
            result, error, batch = "batch", None, None
            try:
                batch = await client.batches.create(MODEL, [("a", "x"), ("b", "y")], **FORMS[case.scenario])
            except errors.GemtuneError as caught:
                result, error = type(caught).__name__, caught
            await way.catch_up()
    finally:
        collection._INLINE_COUNT = before
    assert way.used >= 1
    assert len({request.content for request in way.asked}) == 1, "every attempt sends the same"
    async with make_client(app) as onlooker:
        every = await onlooker.batches.list().all()
    left = [each.name for each in every if not each.done and each.state != "CANCELLING"]
    outcome = Outcome(result, len(way.asked), len(every), error)
    # What the service does after the call has ended, only the next call can see.
    late = case.fault.acts == "late" and case.position == "every"
    if batch is not None:
        assert batch.name in left
        assert left == [batch.name] or (late and len(left) == 2)
    elif isinstance(error, errors.AmbiguousOutcome):
        # Under a name that somebody chose nothing proves which batches are of this call. If the service says that it
        # did not act, and acts all the same, then all are left, and named.
        assert len(left) <= (2 if late else 1) or all(name in str(error) for name in left)
        assert "client.batches." in str(error), "it says how to find out"
    else:
        assert left == [], "an error that leaves nothing open leaves nothing behind"
    return outcome


KINDS = {"begin": ("start", 1), "piece": ("upload", 4), "last piece": ("upload, finalize", 1)}
"""What meets the faults: the command of a request of an upload, and of how many pieces that has."""


async def upload(case: Case) -> Outcome:
    """A new file: every fault meets one kind of request."""
    command, pieces = KINDS[case.scenario]
    app, size = make_app(file_granularity=1024), 1024 * pieces - 10
    way = Faulty(httpx.ASGITransport(app), **program(case.fault, case.position))
    picky = Picky(way, command)
    before, sending.PIECE = sending.PIECE, 1024
    try:
        async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=picky) as client:
            result, error = "file", None
            try:
                file = await client.files.upload(b"x" * size, name="mine")
            except errors.GemtuneError as caught:
                result, error = type(caught).__name__, caught
            await way.catch_up()
            assert way.used >= 1
            files = await client.files.list().all()
            assert len(files) <= 1
            assert error is not None or files == [file]
            outcome = Outcome(result, len(way.asked), len(files), error)
            way.faults, way.forever = [], None
            again = await client.files.upload(b"x" * size, name="mine")
            assert await client.files.list().all() == [again]
            assert not files or files == [again], "what is there is not written again"
    finally:
        sending.PIECE = before
    return outcome


class Picky(httpx.AsyncBaseTransport):
    """Sends the requests with one command of an upload on a faulty way, and all others past it."""

    def __init__(self, way: Faulty, command: str) -> None:
        self.way, self.command = way, command
        way.part = "/upload/"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        faulty = request.headers.get("x-goog-upload-command") == self.command
        return await (self.way if faulty else self.way.inner).handle_async_request(request)


TABLES = (
    Table("models.batchGenerateContent of a new batch", tuple(FORMS), FAULTS, create),
    Table("media.upload of a new file", tuple(KINDS), FAULTS, upload),
)


if __name__ == "__main__":
    main(INTRODUCTION, TABLES)
