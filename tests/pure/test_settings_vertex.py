"""Which service a client talks to, where on Vertex AI, and where its credential may go from there."""

import pytest

from gemtune.errors import SettingsError
from gemtune.settings import DEFAULT_BASE_URL, resolve
from gemtune.settings.addresses import STORAGE

KEY = "AIzaSyA-secret-of-the-test"
HERE = "http://127.0.0.1:8321"


def vertex(environ=(), **arguments):
    return resolve(dict(environ), **{"vertexai": True, "project": "home", **arguments})


def shown(settings, name):
    return next((entry.shown, entry.source) for entry in settings if entry.name == name)


@pytest.mark.parametrize("variable", ["GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"])
@pytest.mark.parametrize("value", ["true", "True", "1", " TRUE "])
def test_a_variable_chooses_vertex_ai(variable, value):
    settings = resolve({variable: value, "GOOGLE_CLOUD_PROJECT": "home"})
    assert settings.service == "vertex"
    assert shown(settings, "service") == ("Vertex AI", variable)


@pytest.mark.parametrize("environ", [{}, {"GOOGLE_GENAI_USE_VERTEXAI": "false"}, {"GOOGLE_CLOUD_PROJECT": "home"}])
def test_without_such_a_wish_it_is_the_gemini_api(environ):
    settings = resolve(environ)
    assert (settings.service, settings.base_url, settings.storage) == ("gemini", DEFAULT_BASE_URL, None)


def test_an_argument_outweighs_the_variable():
    environ = {"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_CLOUD_PROJECT": "home"}
    assert resolve(environ, vertexai=False).service == "gemini"
    assert shown(resolve({}, vertexai=True, project="home"), "service") == ("Vertex AI", "argument vertexai")


def test_the_location_decides_the_host_and_by_default_it_is_one_that_tunes():
    assert vertex().base_url == "https://us-central1-aiplatform.googleapis.com"
    assert shown(vertex(), "location") == ("us-central1", "default")
    assert vertex(location="europe-west4").base_url == "https://europe-west4-aiplatform.googleapis.com"
    assert vertex({"GOOGLE_CLOUD_LOCATION": "eu"}).base_url == "https://aiplatform.eu.rep.googleapis.com"
    assert vertex({"GOOGLE_CLOUD_LOCATION": "eu"}, location="global").base_url == "https://aiplatform.googleapis.com"


@pytest.mark.parametrize(
    "location",
    [
        "",
        "x",
        "us-central1.evil.example",
        "us-central1/",
        "evil.example#",
        "US-CENTRAL1",
        "us-central1\n",
        "@x",
        "us-1",
    ],
)
def test_a_location_that_could_lead_to_another_host_is_refused(location):
    with pytest.raises(SettingsError, match="location must be a location of Vertex AI"):
        vertex(location=location)


def test_a_wrong_location_in_a_variable_is_called_by_the_variable_s_name():
    with pytest.raises(SettingsError, match="GOOGLE_CLOUD_LOCATION must be"):
        vertex({"GOOGLE_CLOUD_LOCATION": "nowhere"})


def test_the_project_of_the_resources_is_needed_and_may_come_from_the_credentials():
    with pytest.raises(SettingsError, match="project is missing") as refused:
        resolve({}, vertexai=True)
    assert refused.value.field == "project"

    class Account:
        project_id = "theirs"

    settings = resolve({}, vertexai=True, credentials=Account())
    assert (settings.project, settings.quota_project) == ("theirs", None)
    assert resolve({"GOOGLE_CLOUD_PROJECT": "env"}, vertexai=True, credentials=Account()).project == "env"


@pytest.mark.parametrize("project", ["p", "P", "my_project", "my-project-", "a/b", "..", "example.com:"])
def test_what_cannot_stand_in_a_resource_s_name_is_no_project(project):
    with pytest.raises(SettingsError, match="project must be a project id or number"):
        vertex(project=project)
    assert vertex(project="example.com:my-project").project == "example.com:my-project"


def test_an_argument_names_the_project_that_pays_as_well_and_a_variable_does_not():
    assert vertex(project=123).quota_project == "123"
    settings = resolve({"GOOGLE_CLOUD_PROJECT": "home"}, vertexai=True)
    assert (settings.project, settings.quota_project) == ("home", None)
    settings = resolve({"GOOGLE_CLOUD_PROJECT": "home", "GOOGLE_CLOUD_QUOTA_PROJECT": "pays"}, vertexai=True)
    assert (settings.project, settings.quota_project) == ("home", "pays")


def test_with_a_base_url_every_call_goes_there():
    assert not vertex().fixed
    assert (vertex(base_url=HERE).base_url, vertex(base_url=HERE).fixed) == (HERE, True)
    settings = vertex({"GOOGLE_VERTEX_BASE_URL": HERE, "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1"})
    assert (settings.base_url, settings.fixed) == (HERE, True)
    with pytest.raises(SettingsError, match="GOOGLE_VERTEX_BASE_URL points to evil.example"):
        vertex({"GOOGLE_VERTEX_BASE_URL": "https://evil.example"})
    assert resolve({"GOOGLE_VERTEX_BASE_URL": HERE}).base_url == DEFAULT_BASE_URL


def test_storage_is_google_s_unless_an_emulator_takes_its_place():
    assert vertex().storage == STORAGE
    assert vertex(base_url=HERE).storage == HERE
    assert vertex(base_url="https://[::1]:8443").storage == "https://[::1]:8443"
    assert vertex(base_url="http://box:1", trusted_hosts=["box"]).storage == "http://box:1"
    # A gateway for the one service is none for the other.
    assert vertex(base_url="https://gateway.example/vertex").storage == STORAGE
    for host in ("127.0.0.1:9023", "http://127.0.0.1:9023"):
        settings = vertex({"STORAGE_EMULATOR_HOST": host}, base_url=HERE)
        assert settings.storage == "http://127.0.0.1:9023"
        assert shown(settings, "storage")[1] == "STORAGE_EMULATOR_HOST"
    with pytest.raises(SettingsError, match="STORAGE_EMULATOR_HOST"):
        vertex({"STORAGE_EMULATOR_HOST": "https://evil.example"})


@pytest.mark.parametrize(("given", "kept"), [("b-1", "b-1"), ("gs://b-1", "b-1"), ("gs://b-1/", "b-1")])
def test_a_bucket_is_given_by_its_name_or_its_address(given, kept):
    assert vertex(bucket=given).bucket == kept
    assert vertex({"GEMTUNE_BUCKET": given}).bucket == kept
    assert vertex().bucket is None


@pytest.mark.parametrize("bucket", ["", "B", "a/b", "gs://", "../x", "b?", 5])
def test_what_is_no_bucket_is_refused(bucket):
    with pytest.raises(SettingsError, match="bucket must be the name of a bucket"):
        vertex(bucket=bucket)


def test_an_api_key_for_vertex_ai_is_refused_with_what_it_can_do_and_what_it_cannot():
    with pytest.raises(SettingsError, match="can neither tune nor") as refused:
        vertex(api_key=KEY)
    assert refused.value.field == "api_key"
    assert "vertexai=False" in str(refused.value)
    assert KEY not in str(refused.value)
    with pytest.raises(SettingsError, match="GEMINI_API_KEY is an API key") as refused:
        resolve({"GEMINI_API_KEY": KEY}, vertexai=True)
    assert "name your project with project" in str(refused.value)


def test_a_key_in_the_environment_gives_way_to_a_project_and_the_settings_say_so():
    settings = vertex({"GOOGLE_API_KEY": KEY})
    assert (settings.credential, settings.api_key) == ("adc", None)
    assert shown(settings, "credential")[1] == "GOOGLE_API_KEY is not used on Vertex AI"
    assert vertex({"GOOGLE_API_KEY": KEY}, token="t").credential == "token"
    assert KEY not in str(settings) + repr(settings)


@pytest.mark.parametrize("name", ["location", "bucket"])
def test_what_belongs_to_vertex_ai_is_refused_on_the_gemini_api(name):
    with pytest.raises(SettingsError, match=f"{name} has a meaning on Vertex AI only.*pass vertexai=True"):
        resolve({}, **{name: "europe-west4"})


def test_everything_is_shown_with_its_source():
    lines = str(vertex(bucket="b-1", location="us")).splitlines()
    assert [line.split()[0] for line in lines] == [
        "base_url", "credential", "project", "service", "location", "storage", "bucket",
    ]  # fmt: skip
    assert all("(from " in line for line in lines)
