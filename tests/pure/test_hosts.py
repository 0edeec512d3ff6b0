"""Where calls may go: whatever a name from outside says, no address comes of it but Google's own or the settings'."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.protocol.hosts import Routes, location_of, origin_of
from gemtune.settings.addresses import STORAGE, aiplatform

REGIONAL = "https://europe-west4-aiplatform.googleapis.com"
JOB = "projects/p/locations/{}/tuningJobs/1"
VERTEX = Routes(base_url="https://us-central1-aiplatform.googleapis.com", fixed=False, storage=STORAGE, vertex=True)
LOCATIONS = ["global", "us", "eu", "us-central1", "europe-west4", "northamerica-northeast2", "me-central2"]
SLY = st.one_of(
    st.text(max_size=40),
    st.text("abcus-central1./@:#?%\\\n", max_size=40),
    st.sampled_from(LOCATIONS).flatmap(lambda location: st.text(max_size=20).map(lambda more: location + more)),
    st.sampled_from(LOCATIONS).flatmap(lambda location: st.text(max_size=20).map(lambda more: more + location)),
)


@pytest.mark.parametrize(
    ("location", "origin"),
    [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_a_resource_is_served_by_the_host_of_its_location(location, origin):
    for rest in ("tuningJobs/1", "endpoints/2:generateContent", "publishers/google/models/gemini-2.5-flash"):
        assert origin_of(f"projects/123/locations/{location}/{rest}") == origin
    assert location_of(JOB.format(location)) == location


@pytest.mark.parametrize("name", ["", "tunedModels/x", "projects/p", "projects/p/locations/", "x" + JOB.format("us")])
def test_a_name_without_a_location_has_no_host(name):
    with pytest.raises(InvalidInput, match="endpoint must be a name such as"):
        origin_of(name, field="endpoint")


def googles(origin):
    parts = urlsplit(origin)
    return (
        parts.scheme == "https"
        and parts.netloc == parts.hostname
        and (parts.hostname or "").endswith("aiplatform.googleapis.com")
    ) or parts.netloc in {"aiplatform.us.rep.googleapis.com", "aiplatform.eu.rep.googleapis.com"}


@given(SLY)
def test_no_location_leads_away_from_google(location):
    try:
        origin = origin_of(JOB.format(location))
    except InvalidInput:
        return
    assert googles(origin)
    assert VERTEX.to(origin) == origin


@given(st.one_of(SLY, SLY.map(lambda x: f"https://{x}-aiplatform.googleapis.com"), SLY.map(lambda x: f"https://{x}")))
def test_no_origin_that_was_not_derived_is_ever_gone_to(origin):
    try:
        address = VERTEX.to(origin)
    except InvalidInput:
        return
    assert googles(address) or address == STORAGE


@pytest.mark.parametrize(
    "origin", [REGIONAL, "https://aiplatform.googleapis.com", "https://aiplatform.eu.rep.googleapis.com"]
)
def test_with_a_base_url_of_its_own_a_client_goes_there_for_every_location(origin):
    here = Routes(base_url="http://127.0.0.1:1", fixed=True, storage="http://127.0.0.1:2", vertex=True)
    assert here.to(origin) == "http://127.0.0.1:1"
    assert here.to(STORAGE) == "http://127.0.0.1:2"
    assert here.to(None) == "http://127.0.0.1:1"
    with pytest.raises(InvalidInput):
        here.to("https://evil.example")


@pytest.mark.parametrize("origin", [REGIONAL, STORAGE, "https://generativelanguage.googleapis.com", ""])
def test_a_client_of_the_gemini_api_goes_nowhere_else(origin):
    routes = Routes(base_url="https://generativelanguage.googleapis.com")
    assert routes.to(None) == "https://generativelanguage.googleapis.com"
    with pytest.raises(InvalidInput, match="this client's credential does not go to"):
        routes.to(origin)


@pytest.mark.parametrize("location", [None, 5, "", "Us-central1", "us-central1\n", "\N{CYRILLIC SMALL LETTER A}"])
def test_what_is_no_location_has_no_address(location):
    with pytest.raises(InvalidInput, match="location must be a location of Vertex AI"):
        aiplatform(location)
