"""Settings from arguments and environment: who wins, what is refused, and what is shown."""

import pytest

from gemtune.config import RetryPolicy, Timeouts, WatchPolicy
from gemtune.errors import SettingsError
from gemtune.settings import DEFAULT_BASE_URL, resolve

KEY = "AIzaSyA-secret-of-the-test"


def source(settings, name):
    return next(entry.source for entry in settings if entry.name == name)


def test_without_anything_application_default_credentials_are_meant():
    settings = resolve({})
    assert (settings.base_url, settings.credential, settings.project) == (DEFAULT_BASE_URL, "adc", None)


@pytest.mark.parametrize(
    ("environ", "used"),
    [
        ({"GOOGLE_API_KEY": KEY}, "GOOGLE_API_KEY"),
        ({"GEMINI_API_KEY": KEY}, "GEMINI_API_KEY"),
        ({"GOOGLE_API_KEY": KEY, "GEMINI_API_KEY": "other"}, "GOOGLE_API_KEY"),
        ({"GOOGLE_API_KEY": "  ", "GEMINI_API_KEY": f" {KEY}\n"}, "GEMINI_API_KEY"),
    ],
)
def test_a_key_is_taken_from_the_variables_in_googles_order(environ, used):
    settings = resolve(environ)
    assert settings.api_key == KEY
    assert source(settings, "credential") == used


def test_two_different_keys_are_warned_about(caplog):
    resolve({"GOOGLE_API_KEY": "a", "GEMINI_API_KEY": "a"})
    assert caplog.text == ""
    resolve({"GOOGLE_API_KEY": KEY, "GEMINI_API_KEY": "b"})
    assert "using GOOGLE_API_KEY" in caplog.text
    assert KEY not in caplog.text


def test_arguments_win_over_the_environment():
    environ = {
        "GOOGLE_API_KEY": "other",
        "GOOGLE_CLOUD_QUOTA_PROJECT": "theirs",
        "GOOGLE_GEMINI_BASE_URL": "http://localhost:1",
    }
    settings = resolve(environ, api_key=KEY, project="mine", base_url="https://gateway.example/gemini/")
    assert settings.api_key == KEY
    assert settings.project == "mine"
    assert settings.base_url == "https://gateway.example/gemini"
    assert resolve(environ, token="t").credential == "token"


def test_no_secret_is_shown():
    for settings in (resolve({"GOOGLE_API_KEY": KEY}), resolve({}, api_key=KEY), resolve({}, token=KEY)):
        assert KEY not in str(settings) + repr(settings)
        assert "****" in str(settings)


@pytest.mark.parametrize("given", [{"api_key": KEY, "token": "t"}, {"token": "t", "credentials": object()}])
def test_two_credentials_at_once_are_refused(given):
    with pytest.raises(SettingsError, match="not both"):
        resolve({}, **given)


@pytest.mark.parametrize("key", ["", "  ", "schlüssel", "a\nb"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key):
    with pytest.raises(SettingsError) as caught:
        resolve({}, api_key=key)
    assert key.strip() == "" or key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "https://user:pass@host",
        "https://host/?key=x",
        "https://host/#x",
        "https://host/a/../b",
        "https://host:99999",
        "https://",
        "host",
        "https://host/a b",
        "https://host?",
        "https://host#",
        "https://evil.example\\.googleapis.com",
        "https://evil.example%2f.googleapis.com",
        "https://evil.example\\@generativelanguage.googleapis.com",
        "https://@generativelanguage.googleapis.com",
        "https://evil.example:@generativelanguage.googleapis.com",
        "https://generativelanguage.googleapis.com:",
        "https://generativelanguage.googleapis.com:0",
        "https://generativelanguage.googleapis.com:443:443",
        "https://generativelanguage.googleapis.com:+443",
        "https://generativelanguage..googleapis.com",
        "https://.googleapis.com",
        "https://-x.googleapis.com",
        "https://evil.example;.googleapis.com",
        "https://evil.example,x.googleapis.com",
        "https://[::1%25eth0]",
        "https://[v1.x]",
        "https://127.1",
        "https://0x7f.1",
        "https://2130706433",
        "https://b\u00fccher.example",
        "https://evil.example\uff0f.googleapis.com",
    ],
)
def test_a_base_url_that_could_leak_a_credential_is_refused(url):
    with pytest.raises(SettingsError) as caught:
        resolve({}, base_url=url)
    assert caught.value.field == "base_url"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:99", "https://generativelanguage.googleapis.com"]
)
def test_a_variable_may_point_to_this_machine_or_to_google(url):
    assert resolve({"GOOGLE_GEMINI_BASE_URL": url}).base_url == url


@pytest.mark.parametrize(
    "url", ["https://evil.example", "https://googleapis.com.evil.example", "https://xgoogleapis.com"]
)
def test_a_variable_may_not_point_to_a_stranger(url):
    with pytest.raises(SettingsError, match="pass base_url="):
        resolve({"GOOGLE_GEMINI_BASE_URL": url})


@pytest.mark.parametrize("url", ["https://evil.example\\.googleapis.com", "https://evil.example%5c.googleapis.com"])
def test_a_variable_that_only_ends_like_google_is_refused(url):
    with pytest.raises(SettingsError, match="GOOGLE_GEMINI_BASE_URL must look like"):
        resolve({"GOOGLE_GEMINI_BASE_URL": url})


@pytest.mark.parametrize(
    "host", ["host", "a.b-c.example", "x_y.example", "10.0.0.1", "[2001:db8::1]", "host.example:8443", "3com.example"]
)
def test_a_host_or_an_address_of_any_kind_may_be_given(host):
    assert resolve({}, base_url=f"https://{host}/").base_url == f"https://{host}"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
@pytest.mark.parametrize(
    "make",
    [
        lambda value: Timeouts(connect=value),
        lambda value: Timeouts(total=value),
        lambda value: RetryPolicy(initial=value),
        lambda value: WatchPolicy(freshness=value),
    ],
    ids=["connect", "total", "initial", "freshness"],
)
def test_a_wait_without_sense_is_refused(make, seconds):
    with pytest.raises(SettingsError, match="positive number of seconds"):
        make(seconds)


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True])
def test_a_policy_without_an_attempt_is_refused(attempts):
    with pytest.raises(SettingsError, match="positive whole number"):
        RetryPolicy(attempts=attempts)


@pytest.mark.parametrize("project", ["a\r\nx: y", "ü", "", " ", 5.5, True])
def test_a_project_that_cannot_be_one_is_refused(project):
    with pytest.raises(SettingsError, match="project"):
        resolve({}, project=project)
