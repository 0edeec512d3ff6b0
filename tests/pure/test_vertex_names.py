"""Names of Vertex AI are data: whatever is accepted stays in its collection and names its place, and no host."""

import re

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.protocol import vertex_names as names
from gemtune.types.training import Checkpoint
from gemtune.types.vertex import PreTunedModel, VertexTunedModel, VertexTuningJob

HERE = names.Place("my-project", "us-central1")
AT = "projects/123456789012/locations/us-central1"
ID = "7729237860439556096"
HOSTILE = [
    f"{AT}/tuningJobs/..",
    f"{AT}/tuningJobs/1/../../models/2",
    f"{AT}/tuningJobs/1?key=x",
    f"{AT}/tuningJobs/1#x",
    f"{AT}/tuningJobs/1%2F2",
    f"{AT}/tuningJobs/1:cancel",
    f"{AT}/tuningJobs/1@evil.example",
    f"{AT}/tuningJobs/1\r\nx: y",
    f"{AT}/tuningJobs/",
    f"{AT}/tuningJobs/1/2",
    "projects/p1/locations/evil.example/tuningJobs/1",
    "projects/p1/locations/evil.example#/tuningJobs/1",
    "projects/p1/locations/us-central1.evil/tuningJobs/1",
    "projects/p1/locations/us_central1/tuningJobs/1",
    "projects/p1/locations/-central1/tuningJobs/1",
    "projects/p1/locations/US-CENTRAL1/tuningJobs/1",
    "projects/p1/locations/../tuningJobs/1",
    "projects/../locations/us-central1/tuningJobs/1",
    "projects/p1/locations/us-central1@evil/tuningJobs/1",
    "projects/p/q/locations/us-central1/tuningJobs/1",
    "https://evil.example/v1/projects/p1/locations/us-central1/tuningJobs/1",
    "//evil.example/1",
    "../../x",
    "",
    "..",
    ".",
]
CHECKS = [HERE.tuning_job, HERE.model, HERE.endpoint]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("check", CHECKS)
def test_a_hostile_name_is_refused_before_it_can_become_a_path_or_a_host(check, name):
    with pytest.raises(InvalidInput) as caught:
        check(name)
    assert caught.value.field == "name"
    for other in ("tuningJobs", "models", "endpoints"):
        with pytest.raises(InvalidInput):
            check(name.replace("tuningJobs", other, 1)) if "tuningJobs" in name else check(name)


@given(st.text(max_size=60) | st.from_regex(rf"{AT}/(models|endpoints|tuningJobs)/[\w.@:/-]{{1,9}}", fullmatch=True))
def test_whatever_is_accepted_stays_inside_its_collection_and_place(text):
    place = r"projects/[a-z0-9.:-]+/locations/[a-z]+(-[a-z]+[0-9]+)?"
    for check, tail in (
        (HERE.tuning_job, r"tuningJobs/[A-Za-z0-9_-]+"),
        (HERE.model, r"models/[A-Za-z0-9_-]+(@[A-Za-z0-9-]+)?"),
        (HERE.endpoint, r"endpoints/[A-Za-z0-9_-]+"),
    ):
        try:
            name = check(text)
        except InvalidInput:
            continue
        assert re.fullmatch(rf"{place}/{tail}", name)
        parts = name.split("/")
        assert ".." not in parts
        assert names.Place(parts[1], parts[3]).name == "/".join(parts[:4])


@pytest.mark.parametrize("given", [ID, f"tuningJobs/{ID}", f"{HERE.name}/tuningJobs/{ID}"])
def test_short_names_are_completed_with_the_place_of_the_client(given):
    assert HERE.tuning_job(given) == f"{HERE.name}/tuningJobs/{ID}"


def test_a_full_name_keeps_its_own_place():
    assert HERE.tuning_job(f"projects/9/locations/europe-west4/tuningJobs/{ID}").startswith("projects/9/locations/eu")


@pytest.mark.parametrize("location", ["us-central1", "europe-west12", "northamerica-northeast1", "global", "us", "eu"])
@pytest.mark.parametrize("project", ["my-project", "123456789012", "example.com:my-project"])
def test_a_place_is_a_project_and_a_location(project, location):
    assert names.Place(project, location).name == f"projects/{project}/locations/{location}"


@pytest.mark.parametrize(
    ("project", "location", "field"),
    [("", "us", "project"), ("a/b", "us", "project"), ("..", "us", "project"), (None, "us", "project")]
    + [("my-project", wrong, "location") for wrong in ("", "a.b", "us-central1/..", "us central1", "us-central", None)],
)
def test_what_is_no_place_is_refused(project, location, field):
    with pytest.raises(InvalidInput) as caught:
        names.Place(project, location)
    assert caught.value.field == field


def test_objects_stand_for_what_they_know():
    endpoint, model = f"{AT}/endpoints/5", f"{AT}/models/6@1"
    tuned = VertexTunedModel(model=model, endpoint=endpoint)
    job = VertexTuningJob(name=f"{AT}/tuningJobs/7", tuned_model=tuned)
    assert HERE.tuning_job(job) == job.name
    assert HERE.model(job) == HERE.model(tuned) == model
    assert HERE.endpoint(job) == HERE.endpoint(tuned) == HERE.endpoint(Checkpoint(endpoint=endpoint)) == endpoint
    with pytest.raises(InvalidInput, match="must be a name or an object that has one"):
        HERE.endpoint(PreTunedModel())


@pytest.mark.parametrize(
    "given",
    ["gemini-2.5-flash", "models/gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash",
     f"{AT}/publishers/google/models/gemini-2.5-flash"],
)  # fmt: skip
def test_a_base_model_has_many_spellings_and_one_short_name(given):
    assert names.base_model(given) == "gemini-2.5-flash"


@pytest.mark.parametrize("given", [7, "a b", f"{AT}/models/6@1", "tunedModels/x", "../x"])
def test_what_is_no_base_model_is_refused(given):
    with pytest.raises(InvalidInput, match="base_model must look like 'gemini-2.5-flash'"):
        names.base_model(given)


def test_a_run_is_found_only_where_its_context_belongs_to_the_experiment():
    board, experiment = f"{AT}/tensorboards/9000", f"{AT}/metadataStores/default/contexts/tuning-experiment-1"
    assert names.run(board, experiment, f"{experiment}-tuning-experiment-run-2") == (
        f"{board}/experiments/tuning-experiment-1/runs/tuning-experiment-run-2"
    )
    assert names.run(board, experiment, f"{AT}/metadataStores/default/contexts/other-1") is None
    assert names.run("evil.example", experiment, f"{experiment}-r") is None
    for check in (names.context, names.tensorboard):
        assert check("//evil.example") is check(None) is None
    assert names.time_series(f"{board}/experiments/e/runs/r/timeSeries/1/../2") is None


@attrs.define
class Met:
    """The names of jobs in the order in which they are met."""

    spellings: names.Spellings = attrs.field(factory=names.Spellings)

    def named(self, project: str, number: str = ID) -> str:
        return self.spellings.of(f"projects/{project}/locations/us-central1/tuningJobs/{number}")


def test_one_job_has_one_name_in_whichever_order_its_spellings_are_met():
    met = Met()
    assert met.named("my-project", "1") == f"{HERE.name}/tuningJobs/1", "nobody knows the number yet"
    met.spellings.learn(f"{HERE.name}/tuningJobs", f"{AT}/tuningJobs/2")
    assert met.named("123456789012", "1") == met.named("my-project", "1") == f"{HERE.name}/tuningJobs/1"
    assert met.named("my-project", "2") == met.named("123456789012", "2") == f"{AT}/tuningJobs/2"


def test_jobs_of_other_projects_are_other_jobs():
    met = Met()
    met.spellings.learn(HERE.name + "/tuningJobs", f"{AT}/tuningJobs/2")
    assert met.named("my-project", "1") != met.named("9", "1")
    assert met.named("other-project", "1") != met.named("my-project", "1")


@pytest.mark.parametrize(
    ("value", "good"), [("a-1_b", True), ("A", False), ("a.b", False), ("x" * 64, False), (1, False)]
)
def test_labels_are_words_of_the_service_s_alphabet(value, good):
    assert names.is_label(value) is good
