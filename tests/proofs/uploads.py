"""Never twice, for uploads: what every fault does to every request of one, as a table.

``PYTHONPATH=tests python -m proofs.uploads`` plays all cases in virtual time and prints the table that stands in
``uploads.md``; the tests play them too and compare.
"""

import httpx

import gemtune
from gemtune import errors
from gemtune.resources.uploads import cloud, sending
from proofs.faulty import FAULTS, Faulty
from proofs.never_twice import Case, Outcome, Table, main, program
from world import TOKEN, make_app

__all__ = ["INTRODUCTION", "TABLES"]

INTRODUCTION = """\
# Uploads

What comes of an upload whose first, second (after a plain 503) or every request of one kind meets a fault. A cell is
the result and the number of requests of that kind, with `/0` if no object was made. Every case has proved that its
faults were met, and that there is one object at most, with the right content; one that ended with an error was repeated
without faults and led to one object, which was written once.
Made by `PYTHONPATH=tests python -m proofs.uploads`."""

PIECE = 256 * 1024
ONE, PIECES, SINGLE = "one request", "several pieces", "one piece"
KINDS: dict[str, tuple[str, str, str]] = {
    "look": (ONE, "GET", "/storage/"),
    "one request": (ONE, "POST", "/upload/"),
    "begin": (PIECES, "POST", "/upload/"),
    "piece": (PIECES, "PUT", "/upload/"),
    "last piece": (SINGLE, "PUT", "/upload/"),
}
"""What meets the faults: this verb at this path, of an upload in one request, in one piece, or in several."""


async def act(case: Case) -> Outcome:
    """An upload: its faults, and what is there in the end."""
    layout, verb, part = KINDS[case.scenario]
    rows = [(f"{number:06}", "x" * 1000) for number in range(650 if layout == PIECES else 2)]
    app = make_app(buckets=frozenset({"my-bucket"}))
    objects = app.store.objects.buckets["my-bucket"].objects
    way = Faulty(httpx.ASGITransport(app), verb=verb, part=part, **program(case.fault, case.position))
    before, cloud.WHOLE, sending.PIECE = (cloud.WHOLE, sending.PIECE), PIECE if layout == ONE else 100, PIECE
    try:
        settings = {"vertexai": True, "project": "my-project", "bucket": "my-bucket"}
        async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=way, **settings) as client:
            storage, result, error = client.storage, "uploaded", None
            try:
                await storage.upload(rows)
            except errors.GemtuneError as caught:
                result, error = type(caught).__name__, caught
            await way.catch_up()
            before_repeat = [*objects.values()]
            outcome = Outcome(result, len(way.asked), len(before_repeat), error)
            assert way.used >= 1
            assert len(before_repeat) <= 1
            assert error is not None or before_repeat
            way.faults, way.forever = [], None
            placed = await storage.upload(rows)
            await way.catch_up()
            (made,) = objects.values()
            assert [made] == (before_repeat or [made]), "what is there is not written again"
            assert placed.uri == f"gs://my-bucket/{made.name}"
            assert app.store.objects.read("my-bucket", made.name).count(b"\n") == len(rows)
    finally:
        cloud.WHOLE, sending.PIECE = before
    return outcome


TABLES = (Table("each request of an upload", tuple(KINDS), FAULTS, act),)


if __name__ == "__main__":
    main(INTRODUCTION, TABLES)
