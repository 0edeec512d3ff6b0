"""Replies that came with their batch are read one by one, wherever the pieces of the file end."""

import io
import json

import pytest

from gemtune.errors import MalformedResponse
from gemtune.protocol.batches import inline

REPLIES = [
    {"response": {"candidates": [{"content": {"parts": [{"text": text}]}}]}, "metadata": {"key": f"k{n}"}}
    for n, text in enumerate(["one", 'a "quotation", [brackets] and \\ more', "🜁" * 50, "x" * 500])
]
BATCH = {"name": "batches/a", "metadata": {"output": {"inlinedResponses": {"inlinedResponses": REPLIES}}}}


def read(batch, **form):
    into = io.BytesIO()
    inline.inline_lines(io.BytesIO(json.dumps(batch, **form).encode()), into)
    return [json.loads(line) for line in into.getvalue().splitlines()]


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("form", [{}, {"indent": 2, "ensure_ascii": False}], ids=["compact", "pretty"])
def test_each_reply_is_a_line_whatever_fits_into_a_piece(monkeypatch, piece, form):
    monkeypatch.setattr(inline, "_PIECE", piece)
    lines = read(BATCH, **form)
    assert [line["key"] for line in lines] == ["k0", "k1", "k2", "k3"]
    assert [line["response"] for line in lines] == [reply["response"] for reply in REPLIES]


def test_a_batch_without_replies_has_no_line_and_one_that_breaks_off_is_an_error():
    assert read({"name": "batches/a"}) == []
    whole = json.dumps(BATCH).encode()
    with pytest.raises(MalformedResponse, match="end too early"):
        inline.inline_lines(io.BytesIO(whole[:-40]), io.BytesIO())
