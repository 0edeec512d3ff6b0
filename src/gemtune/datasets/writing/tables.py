"""Examples as rows of a table: pairs, Alpaca's three columns, and preference pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemtune.datasets.chats import Manner
from gemtune.datasets.conversations import spelled, wrong
from gemtune.datasets.layouts import pair
from gemtune.datasets.writing.chats import answers, joined_system, openai, parts_of


def pairs(example: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """Return an example as ``text_input`` and ``output``, as the Gemini API learns them.

    Raises:
        InvalidInput: It is no single question with its answer.
    """
    given = _single(example, manner)
    if given.get("systeminstruction") is not None:
        manner.lose("system_joined", "systemInstruction", "is joined to the input, as a pair has no place for it")
    asked, answered = pair(example, "contents")
    return {"text_input": asked, "output": answered}


def alpaca(example: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """Return an example as ``instruction``, ``input`` (always empty) and ``output``, beside ``system`` if it has one.

    Raises:
        InvalidInput: It is no single question with its answer.
    """
    given = _single(example, manner)
    asked, answered = pair({"contents": given["contents"]}, "contents")
    row = {"instruction": asked, "input": "", "output": answered}
    system = joined_system(given)
    if system:
        # The one reader joins a column of this name to the input, as the Gemini API has no other place for it.
        manner.lose("system_column", "systemInstruction", "becomes the column 'system', which is joined to the input")
    return {**row, "system": system} if system else row


def preference(example: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    """Return a preference pair as ``prompt``, ``chosen`` and ``rejected``: texts, or messages if it is a chat.

    Raises:
        InvalidInput: It is no preference pair.
    """
    given = spelled(example)
    if not given.get("completions"):
        raise wrong("completions", "is missing: this row has one answer, and a preference pair has two", "no_place")
    turns = [*given["contents"], *answers(given)]
    plain = len(given["contents"]) == 1 and "systeminstruction" not in given
    if plain and all(len(turn.get("parts") or ()) == 1 for turn in turns):
        texts = [parts_of(turn, "contents", manner)[0][1] for turn in turns]
        return dict(zip(("prompt", "chosen", "rejected"), texts, strict=True))
    row = openai(example, manner)
    tools = {key: value for key, value in row["input"].items() if key == "tools"}
    chosen, rejected = row["preferred_output"], row["non_preferred_output"]
    return {"prompt": row["input"]["messages"], "chosen": chosen, "rejected": rejected, **tools}


def _single(example: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    given = spelled(example)
    if given.get("completions"):
        what = "has no place in this layout, which has one answer: use 'preference' or 'openai'"
        raise wrong("completions", what, "no_place")
    for place, turn in enumerate(given["contents"]):
        if len(parts_of(turn, f"contents[{place}]", manner)) > 1:
            manner.lose("parts_joined", f"contents[{place}]", "has several texts, which become one")
    if given.get("tools"):
        manner.lose("left_out", "tools", "have no place in this layout", "warning")
    return given
