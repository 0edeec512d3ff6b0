"""Money as people write it, and lists of prices as they are given."""

import json

import pytest

from gemtune.batch import TokenPrices
from gemtune.datasets import PriceList
from gemtune.errors import InvalidInput
from gemtune.money import amount, estimated


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"), (7.0, "7"), (0.000002, "0.000002"), (1.23456e-7, "0.000000123"), (0.01, "0.01"), (0.015, "0.015"),
        (0.0151234, "0.0151"), (0.125, "0.125"), (0.26, "0.26"), (0.5, "0.50"), (0.9999, "1.00"), (1, "1"),
        (12.345, "12.35"), (1234567, "1,234,567"), (-0.5, "-0.50"),
    ],
)  # fmt: skip
def test_an_amount_has_no_exponent_and_two_decimals_or_none_if_it_is_whole(value, said):
    assert amount(value) == said


def test_an_estimate_is_not_said_to_a_part_of_a_cent():
    assert estimated(0.1, 0.154, 0.2449) == "0.15 (0.10 to 0.24)"
    assert estimated(5, 5, 5) == "5.00"
    assert estimated(0.0, 0.000001, 0.000002) == "under 0.01"


LISTS = pytest.mark.parametrize(("kind", "price"), [(PriceList, 5.0), (TokenPrices, (0.3, 2.5))])


@LISTS
def test_a_price_list_is_given_as_a_price_as_prices_by_model_as_its_fields_or_as_a_file(tmp_path, kind, price):
    fields = {"per_million": {"m": price}, "currency": "EUR", "date": "2026-11-28", "source": "the price page"}
    (tmp_path / "prices.json").write_text(json.dumps(fields))
    listed = kind(**fields)
    assert listed.dated == "2026-11-28, the price page"
    assert [kind.of(given) for given in (listed, fields, tmp_path / "prices.json")] == [listed] * 3
    assert kind.of(str(tmp_path / "prices.json")) == listed
    assert kind.of(price).of_model("models/anything") == price
    assert kind.of({"m": price}).of_model("models/m") == price
    assert kind.of({"tunedModels/t": price, "": price}).of_model("tunedModels/t") == price
    with pytest.raises(InvalidInput, match="there is no price for z, only for m") as caught:
        listed.of_model("models/z")
    assert caught.value.field == "prices"


@LISTS
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff", "is not JSON"),
        (b"[", "is not JSON"),
        (b"[1]", "must be an object with per_million, currency, date, source"),
        (b'{"per_million": 5}', "must be an object with"),
        (b'{"per_million": {}, "curency": "EUR"}', "must be an object with"),
        (b'{"per_million": {"m": "5"}}', "prices: that of m is"),
        (b'{"per_million": {"m": NaN}}', "prices: that of m is"),
        (b'{"per_million": {}, "date": 20261128}', "prices: date must be a string, not 20261128"),
        (b'{"per_million": {}, "currency": null}', "prices: currency must be a string, not None"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_price_list_is_refused_by_name(tmp_path, kind, price, content, said):
    (tmp_path / "prices.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=said) as caught:
        kind.of(tmp_path / "prices.json")
    assert caught.value.field == "prices"
    with pytest.raises(InvalidInput, match=r"nowhere\.json cannot be read"):
        kind.of(tmp_path / "nowhere.json")
