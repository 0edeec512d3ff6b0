"""A list that does not end is bounded, and the error says why."""

import pytest

from gemtune import errors
from gemtune.pager import Pager
from gemtune.protocol.gemini import Page


def endless(token_of, items=("a",)):
    asked = []

    async def fetch(token):
        asked.append(token)
        return Page(items, token_of(len(asked)))

    return Pager(fetch), asked


@pytest.mark.parametrize(
    ("token_of", "items", "why", "most"),
    [
        (str, ("a",), "more than 10,000 pages", 10_000),
        (str, (), "sends empty pages", 10),
        (lambda number: "same", ("a",), "repeats a page token", 2),
        (lambda number: "x" * 1_000_000, ("a",), "a page token has 1,000,000 characters", 1),
    ],
    ids=["fresh tokens", "empty pages", "one token", "a huge token"],
)
async def test_a_list_that_does_not_end_is_given_up_with_the_reason(token_of, items, why, most):
    pager, asked = endless(token_of, items)
    with pytest.raises(errors.MalformedResponse, match=f"the list does not end: .*{why}"):
        await pager.all()
    assert len(asked) == most


async def test_a_long_list_is_read_to_its_end():
    async def fetch(token):
        number = int(token or 0)
        return Page((number,), str(number + 1) if number < 9_999 else None)

    assert await Pager(fetch).all() == list(range(10_000))
