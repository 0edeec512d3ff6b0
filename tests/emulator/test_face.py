"""The seam: a second service, made up here, beside the Gemini API on the same origin."""

from functools import partial

import anyio
import attrs
import httpx
import pytest

from emulator.emulated import Api, bearer
from gemtune.emulator import Auth, Emulator, Fault, JobFate, Settings, Token
from gemtune.emulator.app import FACES
from gemtune.emulator.messages.errors import not_found
from gemtune.emulator.messages.http import HttpReply
from gemtune.emulator.messages.schema import COMMON, Schema
from gemtune.emulator.world.clock import SteppedClock
from gemtune.emulator.world.face import JsonFace, Replication
from gemtune.emulator.world.keeping.state import StateFile
from gemtune.emulator.world.route import Route
from gemtune.emulator.world.store import Store
from gemtune.emulator.world.tuning import Job

SCHEMA = Schema.parse(
    "google.cloud.choirs.v1",
    """
Song
1 string name
2 SongState state
3 int64 bars
4 float* losses

ListSongsResponse
1 Song* songs
""",
    {"SongState": {"SONG_STATE_UNSPECIFIED": 0, "REHEARSING": 1, "SUNG": 2}},
    COMMON,
)
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@attrs.define
class Songbook:
    """What the made-up service keeps: a job for each song, by the formula that tuned models have."""

    jobs: dict[str, Job] = attrs.field(factory=dict)

    def clear(self):
        self.jobs.clear()

    def dump(self):
        return {name: [job.examples, job.created] for name, job in self.jobs.items()}

    def restore(self, kept):
        for name, (bars, created) in kept.items():
            self.rehearse(name, bars, created)

    def rehearse(self, name, bars, created, fate=JobFate()):  # noqa: B008 - frozen
        self.jobs[name] = Job.plan(
            queue_seconds=0, step_seconds=1, refresh_seconds=0, name=name, examples=bars, epochs=1, batch_size=1,
            created=created, seed=0, fate=fate,
        )  # fmt: skip


def songs(store) -> Songbook:
    return store.shelves["choirs"]


def show(name, job, now):
    progress = job.progress(now)
    losses = [step.mean_loss for step in progress.snapshots]
    return {
        "name": name, "state": "SUNG" if progress.done else "REHEARSING", "bars": job.examples, "losses": losses,
    }  # fmt: skip


def create(store, call):
    name = f"{call.params['parent']}/songs/{call.query['song_id']}"
    songs(store).rehearse(name, call.body["bars"], call.now, call.fate)
    return show(name, songs(store).jobs[name], call.now)


def get(store, call):
    job = songs(store).jobs.get(call.params["name"])
    if job is None:
        raise not_found(f"Song {call.params['name']} does not exist.")
    return show(call.params["name"], job, call.now)


def list_(store, call):
    return {"songs": [show(name, job, call.now) for name, job in songs(store).jobs.items()]}


CHOIRS = JsonFace(
    name="choirs",
    host="choirs.googleapis.com",
    package="google.cloud.choirs.{version}",
    schema=SCHEMA,
    routes=(
        Route("choirs.songs.create", "POST", "{parent=choirs/*}/songs", ("v1",), create, "Song", "Song",
              ("songId",), (SCOPE,), "Choirs.CreateSong"),
        Route("choirs.songs.get", "GET", "{name=choirs/*/songs/*}", ("v1",), get, None, "Song", (), (SCOPE,),
              "Choirs.GetSong"),
        Route("choirs.songs.list", "GET", "{parent=choirs/*}/songs", ("v1",), list_, None, "ListSongsResponse"),
    ),
    replication=Replication(
        reads=frozenset({"choirs.songs.get", "choirs.songs.list"}),
        collections=frozenset({"choirs.songs.list"}),
        lists=("songs",),
        running=lambda entry: (),
        hidden=lambda call, status: not_found("Hush."),
    ),
    shelf=lambda settings: Songbook(),
)  # fmt: skip
SONG = "/v1/choirs/c/songs/s"


class PlainFace:
    """A service that does not speak Google's JSON: uploads and downloads, and errors in words of its own."""

    name, host, server, replication = "bytes", "bytes.googleapis.com", "Bytes", None

    def __init__(self):
        self.inner = JsonFace(
            name=self.name, host=self.host, package="bytes", schema=COMMON,
            routes=(Route("bytes.insert", "PUT", "{name=bytes/*}", ("v1",), self.insert, "raw"),),
        )  # fmt: skip
        self.held = {}

    def insert(self, store, call):
        if call.params["name"].endswith("full"):
            raise not_found("no room")
        self.held[call.params["name"]] = call.body["data"]
        return {"size": len(call.body["data"])}

    def find(self, verb, path, query=""):
        match = self.inner.find(verb, path, query)
        return match and attrs.evolve(match, face=self)

    def layout(self, match, request):
        return self.inner.layout(None, request)

    def read(self, match, request, settings):
        reading = self.inner.read(match, attrs.evolve(request, body=b""), settings)
        return attrs.evolve(reading, body={"data": request.body, "range": request.headers.get("content-range")})

    def write(self, match, value, layout, mask):
        return HttpReply(status=308, chunks=(b"%d bytes" % value["size"],), headers={"content-type": "text/plain"})

    def refuse(self, error, layout):
        return HttpReply(status=error.code, chunks=(error.message.encode(),), headers={"content-type": "text/plain"})

    def new_shelf(self, settings):
        return None

    def rpc_name(self, match):
        return "bytes.Insert"

    def anonymous(self):
        return not_found("who are you?")

    def usual_error(self, code):
        return not_found("so it goes") if code == 404 else None

    def missing(self, path):
        return self.inner.missing(path)


@pytest.fixture
async def side_by_side(anyio_backend):
    """A function that starts an emulator with three faces."""
    clients = []

    async def begin(path=None, **settings):
        knobs = Settings(**settings)
        app = Emulator(knobs, SteppedClock(), Auth(), Store(knobs, {}), (*FACES, CHOIRS, PlainFace()))
        if path:
            app.state = StateFile(path)
            await anyio.to_thread.run_sync(partial(app.state.load, app.clock, app.store))
        clients.append(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"))
        return Api(app, clients[-1])

    yield begin
    for client in clients:
        await client.aclose()


async def sing(api, bars=4, **options):
    reply = await api.call("POST", "/v1/choirs/c/songs?songId=s", {"bars": bars}, **options)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_second_service_shares_the_origin_the_clock_and_the_formula(side_by_side):
    api = await side_by_side()
    assert await sing(api) == {"name": "choirs/c/songs/s", "state": "REHEARSING", "bars": "4"}
    api.app.advance(2)
    song = await api.get(SONG)
    assert len(song["losses"]) == 2
    api.app.advance(2)
    assert (await api.get(SONG + "?fields=state&$alt=json;enum-encoding=int")) == {"state": 2}
    assert (await api.get("/v1/choirs/c/songs"))["songs"][0]["losses"][:2] == song["losses"]
    assert (await api.get("/v1beta/tunedModels")) == {}


async def test_what_one_service_reads_is_unknown_to_the_other(side_by_side):
    api = await side_by_side()
    error = await api.refused(400, "POST", "/v1/choirs/c/songs?songId=s", {"displayName": "Gemini's"})
    assert 'Unknown name "displayName"' in error["message"]
    error = await api.refused(400, "GET", SONG + "?fields=displayName")
    assert error["details"][0]["fieldViolations"][0]["field"] == "displayName"
    assert (await api.call("GET", "/v1beta/choirs/c/songs/s")).status_code == 404


async def test_its_refusals_name_its_own_host_and_methods(side_by_side):
    api = await side_by_side()
    api.app.auth.tokens["t"] = Token(scopes=["other"])
    error = await api.refused(403, "GET", SONG, **bearer("t"))
    (info,) = error["details"]
    assert info["metadata"] == {"service": "choirs.googleapis.com", "method": "google.cloud.choirs.v1.Choirs.GetSong"}


async def test_faults_fates_replicas_and_the_request_log_work_for_it(side_by_side):
    api = await side_by_side(hidden_reads=1.0)
    api.app.faults.add(
        Fault(method="choirs.songs.create", status=503), Fault(method="choirs.songs.create", job={"fail_at_step": 2})
    )
    await api.refused(503, "POST", "/v1/choirs/c/songs?songId=s", {"bars": 4})
    await sing(api)
    api.app.advance(10)
    (song,) = (await api.get("/v1/choirs/c/songs"))["songs"]
    assert len(song["losses"]) == 1
    assert (await api.refused(404, "GET", SONG))["message"] == "Hush."
    assert [entry.status for entry in api.app.requests.of("choirs.songs.create")] == [503, 200]


async def test_what_it_keeps_outlives_the_process_and_is_forgotten_by_a_reset(side_by_side, tmp_path):
    before = await side_by_side(tmp_path / "state.json")
    await sing(before)
    before.app.advance(2)
    after = await side_by_side(tmp_path / "state.json")
    after.app.advance(2)
    assert await after.get(SONG) == await before.get(SONG)
    await after.call("POST", "/_emulator/reset", {})
    await after.refused(404, "GET", SONG)
    await (await side_by_side(tmp_path / "state.json")).refused(404, "GET", SONG)


async def test_a_service_with_bodies_of_its_own_reads_and_writes_them_itself(side_by_side):
    api = await side_by_side()
    reply = await api.call("PUT", "/v1/bytes/b", b"\x00\xff", headers={"content-range": "bytes 0-1/2"})
    assert (reply.status_code, reply.text) == (308, "2 bytes")
    assert reply.headers["server"] == "Bytes"
    reply = await api.call("PUT", "/v1/bytes/full", b"x")
    assert (reply.status_code, reply.text) == (404, "no room")
    api.app.faults.add(Fault(method="bytes.insert", error="overloaded_old"))
    reply = await api.call("PUT", "/v1/bytes/b", b"x")
    assert (reply.status_code, reply.text) == (503, "The model is overloaded. Please try again later.")
    for status, text in ((404, "so it goes"), (409, "The emulator was told to answer 409.")):
        api.app.faults.add(Fault(method="bytes.insert", status=status))
        reply = await api.call("PUT", "/v1/bytes/b", b"x")
        assert (reply.status_code, reply.text) == (status, text)
    api.app.auth.mode = "required"
    assert (await api.call("PUT", "/v1/bytes/b", b"x")).text == "who are you?"
