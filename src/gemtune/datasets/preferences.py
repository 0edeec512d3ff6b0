"""Preference pairs as Vertex AI has them, from the layouts of others.

A pair is a question with a better and a worse answer: ``prompt``, ``chosen`` and ``rejected``, each a text or a list of
messages (as in the data sets of Hugging Face, whose ``chosen`` may hold the question as well), or ``input``,
``preferred_output`` and ``non_preferred_output`` (OpenAI). A context and an instruction come
before a question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from gemtune.datasets.chats import Manner, conversation, tools_of
from gemtune.datasets.conversations import wrong
from gemtune.datasets.headings import INSTRUCTION, Choice, plain
from gemtune.datasets.layouts import turns_of
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy

_PROMPTS: Final = ("prompt", "input", "question", "query", INSTRUCTION)
_PREFACES: Final = ("context", INSTRUCTION)
_BETTER: Final = ("chosen", "preferred", "preferredoutput")
_WORSE: Final = ("rejected", "nonpreferred", "nonpreferredoutput", "dispreferred")
_TOOLS: Final = ("tools", "functions")
_SYSTEM: Final = ("system", "systeminstruction", "systemprompt")


@attrs.frozen
class PairColumns:
    """Which columns of a preference pair are what.

    Args:
        prompt: The question; None if the answers hold it.
        better: The better answer.
        worse: The worse one.
        system: The system instruction, if there is one.
        prefaces: What comes before the question.
    """

    prompt: str | None
    better: str
    worse: str
    system: str | None = None
    prefaces: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that become the input."""
        system = () if self.system is None else (self.system,)
        return (*system, *self.prefaces, self.prompt or self.better)

    def unused(self, row: Mapping[str, Any]) -> list[str]:
        """Return the columns of a row that are none of these, and no tools either."""
        used = {*self.inputs, self.better, self.worse, *_TOOLS}
        return [name for name in row if name not in used]


def unlearned(left_out: Iterable[str]) -> list[str]:
    """Return a note for data that was read for its answers alone, if worse answers were left out."""
    worse = next((name for name in left_out if plain(name) in _WORSE), None)
    if worse is None:
        return []
    # A note and no refusal: answers alone are a fair use of such data. But tuning costs money, so it has to be said.
    return [f"{worse!r:.60} is left out, as the method is 'supervised'; to learn from both answers, use 'preference'"]


def columns(row: Mapping[str, Any], choice: Choice) -> PairColumns:
    """Return the names of the columns of a pair.

    Raises:
        InvalidInput: One that has to be there is not.
    """
    names = {plain(str(name)): str(name) for name in row}

    def find(known: tuple[str, ...], named: str | None = None) -> str | None:
        if named is not None:
            return names.get(plain(named))
        return next((names[word] for word in known if word in names), None)

    prompt, better, worse = find(_PROMPTS, choice.input), find(_BETTER, choice.output), find(_WORSE)
    if better is None or worse is None or (prompt is None and choice.input is not None):
        listed = ", ".join(f"{name!r:.60}" for name in list(row)[:12])
        raise InvalidInput(
            f"a preference pair has prompt, chosen and rejected, or contents and completions; the columns are {listed}",
            Remedy("tune on answers alone with ", Argument("method", "supervised")),
            field="training_data",
        )
    alone = prompt is None or choice.input is not None
    prefaces = () if alone else tuple(names[word] for word in _PREFACES if names.get(word, prompt) != prompt)
    return PairColumns(prompt, better, worse, find(_SYSTEM), prefaces)


def converted(row: Mapping[str, Any], named: PairColumns, manner: Manner) -> dict[str, Any]:
    """Return a pair as an example of Vertex AI's.

    Raises:
        InvalidInput: It holds what cannot be learned.
    """
    prompt, better, worse, system = named.prompt, named.better, named.worse, named.system
    before = _before(row, named)
    question = [] if prompt is None or (before and _is_empty(row[prompt])) else _messages(row[prompt], prompt, "user")
    answers = [_messages(row[name], name, "assistant") for name in (better, worse)]
    if prompt is None or any(len(each) > 1 for each in answers):
        # Both hold the whole conversation, of which the last turn is the answer.
        begun = [each[:-1] for each in answers]
        if begun[0] != begun[1] or (question and begun[0][: len(question)] != question):
            raise wrong(worse, f"answers another question than {better}")
        question, answers = begun[0], [each[-1:] for each in answers]
    if before and question:
        what = f"the columns {' + '.join(map(repr, [*before, prompt]))} are joined to one text"
        manner.lose("columns_joined", "", what)
    question = _preceded(question, [*before.values()])
    example = conversation(question, prompt or better, manner, [row.get(system)] if system else ())
    beside = row.get(prompt) if prompt else None  # OpenAI's input holds the tools as well
    tools = tools_of(beside if isinstance(beside, Mapping) else row, manner)
    turns = [conversation(each, name, manner)["contents"] for each, name in zip(answers, (better, worse), strict=True)]
    completions = [
        {"score": score, "completion": turn[0] if turn else {"role": "model", "parts": []}}
        for score, turn in zip((1, 0), turns, strict=True)
    ]
    return {**example, **tools, "completions": completions}


def _before(row: Mapping[str, Any], named: PairColumns) -> dict[str, str]:
    values = {name: row[name] for name in named.prefaces if not _is_empty(row[name])}
    for name, value in values.items():
        if not isinstance(value, str):
            raise wrong(name, "comes before the question, and must be text")
    return values


def _preceded(question: list[Mapping[str, Any]], before: list[str]) -> list[Mapping[str, Any]]:
    if not before:
        return question
    first = question[0] if question else {}
    if first.get("role") == "user" and isinstance(first.get("content"), str):
        return [{**first, "content": "\n\n".join([*before, first["content"]])}, *question[1:]]
    return [{"role": "user", "content": "\n\n".join(before)}, *question]


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _messages(value: object, name: str, role: str) -> list[Mapping[str, Any]]:
    if isinstance(value, Mapping) and "messages" in value:
        value = value["messages"]
    turns = turns_of(value)
    if turns is not None:
        return [*turns]
    if isinstance(value, str) and value.strip():
        return [{"role": role, "content": value}]
    if not value:
        raise wrong(name, "is empty; fill it in or drop the row", "missing_text")
    raise wrong(name, "must be text or a list of messages")
