"""google-auth, over a token endpoint of the test's."""

import json
import sys
import types
from datetime import UTC, datetime, timedelta

import google.auth.credentials
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gemtune.errors import CredentialsError, SettingsError
from gemtune.http.auth import google as google_auth
from gemtune.http.auth.choose import make_credentials
from gemtune.settings import resolve

pytestmark = [pytest.mark.socket, pytest.mark.both_backends]

COMMAND = (
    "gcloud auth application-default login --scopes="
    "https://www.googleapis.com/auth/cloud-platform,https://www.googleapis.com/auth/generative-language.tuning"
)


@pytest.fixture(scope="module")
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def adc(private_key, tmp_path, monkeypatch):
    """A function that makes Application Default Credentials which ask this token endpoint."""

    def make(endpoint, **changes):
        file = tmp_path / "account.json"
        account = {
            "type": "service_account",
            "project_id": "home",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "robot@home.example",
            "token_uri": f"{endpoint}/token",
            "quota_project_id": "pays",
        }
        file.write_text(json.dumps(account | changes))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        monkeypatch.setattr(google_auth, "PAUSES", (0.0, 0.0))
        return make_credentials(resolve({}))

    return make


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """A machine without any Google credential."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def token_endpoint(reply, *answers):
    """A handler that answers with a status and a JSON value each, the last one for ever."""
    left = list(answers)

    async def handle(connection):
        while await connection.request() is not None:
            status, value = left.pop(0) if len(left) > 1 else left[0]
            await connection.send(reply(json.dumps(value).encode(), b"content-type: application/json", status=status))

    return handle


GOOD = (b"200 OK", {"access_token": "ya29.canary", "expires_in": 3599, "token_type": "Bearer"})


async def test_a_service_account_gets_one_token_with_the_right_scopes(serve, adc, reply):
    server = serve(token_endpoint(reply, GOOD))
    credential = adc(server.origin)
    assert credential.ready() is None
    ready = await credential.obtain()
    assert dict(ready.headers)["authorization"] == "Bearer ya29.canary"
    assert credential.ready() is ready
    assert len(server.requests) == 1
    assert server.requests[0].startswith(b"POST /token HTTP/1.1")
    assert "canary" not in repr(credential)


async def test_a_refused_token_is_fetched_again(serve, adc, reply, monkeypatch):
    other = (b"200 OK", {**GOOD[1], "access_token": "second"})
    server = serve(token_endpoint(reply, GOOD, other))
    credential = adc(server.origin)
    now = 1000.0
    monkeypatch.setattr(credential, "_clock", lambda: now)
    generation = (await credential.obtain()).generation
    now += 60
    assert await credential.renew(generation)
    assert dict(credential.ready().headers)["authorization"] == "Bearer second"


@pytest.mark.parametrize(
    "answer", [{"error": "invalid_grant", "error_description": "Token has been revoked."}, {"error": "invalid_scope"}]
)
async def test_a_refused_refresh_names_the_command(serve, adc, reply, answer):
    server = serve(token_endpoint(reply, (b"400 Bad Request", answer)))
    with pytest.raises(CredentialsError) as caught:
        await adc(server.origin).obtain()
    assert answer["error"] in str(caught.value)
    assert "check the file that GOOGLE_APPLICATION_CREDENTIALS names" in str(caught.value)
    assert "GOOGLE_API_KEY" in str(caught.value)
    assert caught.value.__context__ is None
    assert len(server.requests) == 1


async def test_a_broken_connection_to_the_endpoint_is_tried_again(serve, adc, reply):
    good = token_endpoint(reply, GOOD)

    async def handle(connection):
        if connection.number > 2:
            await good(connection)
        await connection.request()

    server = serve(handle)
    assert dict((await adc(server.origin).obtain()).headers)["authorization"] == "Bearer ya29.canary"
    assert server.accepted == 3


async def test_an_endpoint_that_cannot_be_reached_is_named(adc):
    with pytest.raises(CredentialsError, match="check network and proxy") as caught:
        await adc("http://127.0.0.1:1").obtain()
    assert "127.0.0.1" in str(caught.value)


async def test_without_any_credential_the_message_names_the_command(nothing):
    with pytest.raises(CredentialsError) as caught:
        await make_credentials(resolve({})).obtain()
    assert COMMAND in str(caught.value)
    assert "GOOGLE_API_KEY" in str(caught.value)


async def test_at_an_address_of_this_machine_the_emulators_own_account_is_named(nothing):
    for address, named in {"http://127.0.0.1:8080": True, "https://aiplatform.googleapis.com": False}.items():
        with pytest.raises(CredentialsError) as caught:
            await make_credentials(resolve({}, vertexai=True, project="my-project", base_url=address)).obtain()
        assert ("`gemtune emulator`" in str(caught.value)) == named
        assert "gcloud auth application-default login" in str(caught.value)


async def test_in_colab_the_message_speaks_of_colab(nothing, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    with pytest.raises(CredentialsError, match="userdata"):
        await make_credentials(resolve({})).obtain()


class Own(google.auth.credentials.Credentials):
    """A credentials object of the user's, with a token that is still good."""

    def __init__(self):
        super().__init__()
        self.token = "given"
        self.expiry = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None)
        self.refreshed = 0

    def refresh(self, request):
        self.refreshed += 1
        self.token = "refreshed"


async def test_a_credentials_object_with_a_good_token_is_not_refreshed(monkeypatch):
    own = Own()
    own._quota_project_id = "own"
    credential = make_credentials(resolve({}, credentials=own), credentials=own)
    assert (await credential.obtain()).headers == (
        ("authorization", "Bearer given"),
        ("x-goog-user-project", "own"),
    )
    assert own.refreshed == 0


async def test_the_project_of_the_argument_wins_and_an_expired_token_is_refreshed():
    own = Own()
    own.expiry -= timedelta(hours=2)
    settings = resolve({}, credentials=own, project="given")
    credential = make_credentials(settings, credentials=own)
    with pytest.raises(CredentialsError, match="already expired"):
        await credential.obtain()  # this object's refresh forgets to move the expiry
    assert own.refreshed == 1


async def test_an_anonymous_credential_sends_nothing():
    anonymous = google.auth.credentials.AnonymousCredentials()
    credential = make_credentials(resolve({}, credentials=anonymous), credentials=anonymous)
    assert (await credential.obtain()).headers == ()


@pytest.mark.parametrize("value", ["key.json", 42])
def test_what_is_no_credentials_object_is_refused_at_once(value):
    with pytest.raises(SettingsError, match="google-auth"):
        make_credentials(resolve({}, credentials=value), credentials=value)


class NoRequests:
    """A machine on which the package requests is not installed, as after ``pip install gemtune``."""

    def find_spec(self, name, *_):
        if name.partition(".")[0] in {"requests", "urllib3"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def without_requests(monkeypatch):
    for name in [*sys.modules]:
        if name.partition(".")[0] in {"requests", "urllib3"} or name == "google.auth.transport.requests":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NoRequests(), *sys.meta_path])


@pytest.fixture
def cloud(serve, reply, monkeypatch, nothing):
    """A function that starts a metadata server with these answers for tokens."""

    def start(*answers, flavor=b"metadata-flavor: Google"):
        left = list(answers)

        async def handle(connection):
            while (request := await connection.request()) is not None:
                assert b"metadata-flavor: google" in request.lower()
                if b"/token?" not in request:
                    status, value = b"200 OK", {}
                else:
                    status, value = left.pop(0) if len(left) > 1 else left[0]
                await connection.send(reply(json.dumps(value).encode(), flavor, status=status))

        server = serve(handle)
        monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{server.port}")
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{server.port}")
        monkeypatch.delenv("NO_GCE_CHECK")
        monkeypatch.setattr(google_auth, "PAUSES", (0.0, 0.0))
        return server

    return start


async def test_the_metadata_server_is_asked_for_its_name_and_a_token_and_nothing_else(cloud):
    """Some versions of google-auth would ask it themselves, some only beside the package requests: all end here."""
    server = cloud(GOOD)
    ready = await make_credentials(resolve({})).obtain()
    assert dict(ready.headers)["authorization"] == "Bearer ya29.canary"
    name, asked = (request.split(b" ")[1].decode() for request in server.requests)
    assert name == "/"
    assert asked.startswith("/computeMetadata/v1/instance/service-accounts/default/token?scopes=")
    assert "cloud-platform" in asked
    assert "generative-language.tuning" in asked


async def test_for_vertex_ai_only_the_scope_of_google_cloud_is_asked_for(cloud):
    server = cloud(GOOD)
    await make_credentials(resolve({}, vertexai=True, project="home")).obtain()
    asked = server.requests[1].split(b" ")[1].decode()
    assert asked.endswith("token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform")


async def test_for_vertex_ai_the_command_to_log_in_is_gcloud_s_own(nothing):
    with pytest.raises(CredentialsError) as caught:
        await make_credentials(resolve({}, vertexai=True, project="home")).obtain()
    assert str(caught.value).endswith("Run: gcloud auth application-default login")


async def test_a_metadata_server_that_is_not_ready_is_asked_again(cloud):
    server = cloud((b"503 Service Unavailable", {}), (b"403 Forbidden", {}), GOOD)
    ready = await make_credentials(resolve({})).obtain()
    assert dict(ready.headers)["authorization"] == "Bearer ya29.canary"
    assert sum(b"/token?" in request for request in server.requests) == 3


async def test_without_an_account_the_advice_is_for_the_cloud_and_not_for_a_laptop(cloud):
    cloud((b"404 Not Found", {}))
    with pytest.raises(CredentialsError, match="(?s)404.*service account") as caught:
        await make_credentials(resolve({})).obtain()
    assert "gcloud" not in str(caught.value)


async def test_what_else_listens_at_that_address_is_no_metadata_server(cloud):
    cloud(GOOD, flavor=b"server: captive-portal")
    with pytest.raises(CredentialsError, match="no Google credential was found"):
        await make_credentials(resolve({})).obtain()


async def test_a_broken_gcloud_file_hides_no_metadata_server_and_a_named_file_does(cloud, monkeypatch, tmp_path):
    server = cloud(GOOD)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    with pytest.raises(CredentialsError, match="gone.json', which does not exist"):
        await make_credentials(resolve({})).obtain()
    assert server.requests == []


async def test_workload_identity_works_without_the_package_requests(
    nothing, without_requests, serve, reply, monkeypatch, tmp_path
):
    server = serve(token_endpoint(reply, (GOOD[0], GOOD[1] | {"issued_token_type": "x"})))
    (tmp_path / "subject").write_text("jwt")
    account = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/github",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.origin}/v1/token",
        "credential_source": {"file": str(tmp_path / "subject")},
    }
    (tmp_path / "pool.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "pool.json"))
    ready = await make_credentials(resolve({})).obtain()
    assert dict(ready.headers)["authorization"] == "Bearer ya29.canary"
    assert b"subject_token=jwt" in server.requests[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        ("directory", "is a directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b'{"type": "service_acc', "is not JSON"),
        (b"AIzaSyExample", "GOOGLE_API_KEY"),
        (b"[]", "is not a JSON object"),
        (
            b'{"installed": {"client_secret": "canary"}}',
            "OAuth client's secret and not yet.*client-id-file=",
        ),
        (b'{"web": {"client_secret": "canary"}}', "OAuth client's secret"),
        (b'{"client_id": "canary"}', "holds no 'type'"),
    ],
)
async def test_a_file_that_is_no_credential_is_named_with_what_it_is(nothing, monkeypatch, tmp_path, content, said):
    path = tmp_path / "credentials.json"
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(CredentialsError, match=said) as caught:
        await make_credentials(resolve({})).obtain()
    assert "GOOGLE_APPLICATION_CREDENTIALS names" in str(caught.value)
    assert str(path) in str(caught.value)
    assert "canary" not in str(caught.value)
    assert "token callable" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
async def test_a_service_account_whose_key_is_broken_is_an_error_of_ours(adc, key):
    adc("https://127.0.0.1:9", private_key=key)
    with pytest.raises(CredentialsError) as caught:
        await make_credentials(resolve({})).obtain()
    assert "token callable" not in str(caught.value)
