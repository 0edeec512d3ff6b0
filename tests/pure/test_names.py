"""Names are data: what is accepted is exactly an id, what is refused never reaches a URL."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.protocol import names

HOSTILE = [
    "tunedModels/../models/x",
    "tunedModels/a/../../v1/models/x",
    "../../../../admin",
    "https://evil.example/v1beta/tunedModels/x",
    "//evil.example/x",
    "tunedModels/a?key=1",
    "tunedModels/a#b",
    "tunedModels/a%2Fb",
    "tunedModels/a b",
    "tunedModels/a\r\nx: y",
    "tunedModels/a\\b",
    "tunedModels/user@host",
    "tunedModels/",
    "tunedModels/.",
    "tunedModels/..",
    "tunedModels/a/b",
    "tunedModels/a:delete",
    "",
    ".",
    "..",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "check", [names.tuned_model_name, names.model_name, names.operation_name, names.permission_name]
)
def test_a_hostile_name_is_refused_before_it_can_become_a_path(check, name):
    with pytest.raises(InvalidInput) as caught:
        check(name)
    assert caught.value.field is not None


@given(st.text(max_size=60))
def test_whatever_is_accepted_stays_inside_its_collection(text):
    for check, pattern in (
        (names.tuned_model_name, r"tunedModels/[A-Za-z0-9][A-Za-z0-9._~-]*"),
        (names.model_name, r"(models|tunedModels|dynamic)/[A-Za-z0-9][A-Za-z0-9._~-]*"),
        (names.operation_name, r"(tunedModels|models)/[A-Za-z0-9._~-]+/operations/[A-Za-z0-9._~-]+"),
    ):
        try:
            name = check(text)
        except InvalidInput:
            continue
        assert re.fullmatch(pattern, name)
        assert ".." not in name.split("/")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gemini-3.7-flash", "models/gemini-3.7-flash"),
        ("gemini-pro", "models/gemini-pro"),
        ("gemma-3-27b-it", "models/gemma-3-27b-it"),
        ("text-bison-001", "models/text-bison-001"),
        ("text-embedding-004", "models/text-embedding-004"),
        ("embedding-001", "models/embedding-001"),
        ("aqa", "models/aqa"),
        ("veo-3.1-generate-preview", "models/veo-3.1-generate-preview"),
        ("some.model", "models/some.model"),
        ("1", "models/1"),
        ("gemini-2.5-flash-preview-generation", "models/gemini-2.5-flash-preview-generation"),
        ("models/gemini-1.0-pro-001", "models/gemini-1.0-pro-001"),
        ("my-model", "tunedModels/my-model"),
        ("geminitwin", "tunedModels/geminitwin"),
        ("text-classifier", "tunedModels/text-classifier"),
        ("number-generator-wl1qr34x2py", "tunedModels/number-generator-wl1qr34x2py"),
        ("number-generator-model-dzlmi0gswwqb", "tunedModels/number-generator-model-dzlmi0gswwqb"),
        ("gemini-helper-dzlmi0gswwqb", "tunedModels/gemini-helper-dzlmi0gswwqb"),
        ("models/my-model", "models/my-model"),
        ("tunedModels/number-generator-wl1qr34x2py", "tunedModels/number-generator-wl1qr34x2py"),
    ],
)
def test_a_model_is_named_in_full_or_by_a_bare_id_of_either_kind(value, expected):
    assert names.model_name(value) == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("models/a", "models/a", True),
        ("models/a", "models/b", False),
        ("projects/p/locations/l/endpoints/1", "projects/12/locations/l/endpoints/1", True),
        ("projects/p/locations/l/endpoints/1", "projects/q/locations/l/endpoints/1", False),
        ("projects/11/locations/l/endpoints/1", "projects/12/locations/l/endpoints/1", False),
        ("projects/p/locations/l/endpoints/1", "projects/12/locations/l/endpoints/2", False),
        ("projects/p/locations/l/endpoints/1", "projects/12/locations/m/endpoints/1", False),
        ("projects/p/locations/l/endpoints/1", "models/a", False),
    ],
)
def test_a_project_is_spelled_by_its_id_or_by_its_number(one, other, same):
    assert names.same_model(one, other) is names.same_model(other, one) is same


def test_an_object_with_a_name_stands_for_its_name():
    class Named:
        name = "tunedModels/abc"

    assert names.model_name(Named()) == "tunedModels/abc"
    assert names.tuned_model_name(Named()) == "tunedModels/abc"


@pytest.mark.parametrize("value", [None, 3, b"tunedModels/x", object()])
def test_something_without_a_name_is_refused(value):
    with pytest.raises(InvalidInput, match="must be a name"):
        names.tuned_model_name(value)


@pytest.mark.parametrize("value", ["a", "a-b", "a" * 40, "number-1"])
def test_an_id_of_the_documented_form_is_accepted(value):
    assert names.checked_id(value) == value


@pytest.mark.parametrize("value", ["", "A", "1a", "a-", "-a", "a_b", "a" * 41, "ü", "a b", None, 5, "a\n"])
def test_an_id_of_another_form_is_refused_with_the_rule(value):
    with pytest.raises(InvalidInput, match="1 to 40 characters"):
        names.checked_id(value)


@given(st.one_of(st.none(), st.text(max_size=80)), st.integers(min_value=0, max_value=2**64 - 1))
def test_every_made_up_id_is_one_that_the_service_accepts(display_name, dice):
    made = names.id_from_display_name(display_name, dice)
    assert names.checked_id(made) == made


def test_a_made_up_id_can_be_read_and_differs_with_the_dice():
    rng = random.Random(1)
    made = {names.id_from_display_name("number generator model", rng.getrandbits(64)) for _ in range(1000)}
    assert len(made) == 1000
    assert all(name.startswith("number-generator-model-") for name in made)


def test_adopting_needs_an_id_of_ones_own():
    with pytest.raises(InvalidInput, match="adopt"):
        names.chosen_id(None, "adopt", None, 1)
    with pytest.raises(InvalidInput, match="if_exists"):
        names.chosen_id(None, "replace", None, 1)
    assert names.chosen_id("mine", "adopt", None, 1) == "mine"
