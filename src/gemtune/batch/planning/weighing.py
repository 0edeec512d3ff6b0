"""How much an input is: its rows, tokens and bytes, in one pass that asks nobody and keeps nothing.

Tokens are guessed from characters as ``datasets.review.tokens`` does it, with wide limits. If the user wants it, the
service counts a sample, chosen at random and the same for the same rows, and the ratio holds for the rest.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final

import anyio.lowlevel
import attrs

from gemtune.batch.inputs import END, Inputs, Item, ModelName, make_item
from gemtune.datasets.review.tokens import Characters, Interval
from gemtune.protocol.codec import dumps, encode
from gemtune.resources.inference import request_of
from gemtune.types import Content, GenerateContentRequest, GenerationConfig, Part

_FILE: Final = Interval(258.0, 258.0, 258.0)
"""Of a picture, the least that the services say (2026-11); a longer video or recording takes more."""
_ANSWER: Final = Interval(1.0, 250.0, 2000.0)
"""Of an answer, where nobody has said how long they are."""
_NONE: Final = Interval(0.0, 0.0, 0.0)
_KEY_BYTES: Final = 60
_TURNS: Final = 256


@attrs.frozen(kw_only=True)
class Weighed:
    """What an input weighs.

    Args:
        requests: Rows that can be asked.
        unaskable: Rows that cannot.
        characters: Those of all prompts, what frames them included.
        files: Pictures and files in them.
        bytes: About how many bytes the requests have, written as lines of a file.
        tokens: About how many tokens the prompts have.
        counted: How many of them the service has counted.
        held: Rows that a journal holds, of which nothing is to be asked.
        whole: Whether all rows were seen.
    """

    requests: int
    unaskable: int = 0
    characters: Characters = attrs.field(factory=Characters)
    files: int = 0
    bytes: int = 0
    tokens: Interval = _NONE
    counted: int = 0
    held: int = 0
    whole: bool = True


@attrs.define(eq=False)
class Scale:
    """Weighs one item after the other.

    Args:
        shared: What frames all prompts: arguments of ``generate_content``.
        sample: How many items are kept, to be counted by the service.
    """

    shared: Mapping[str, Any]
    sample: int = 0
    chosen: list[Item] = attrs.field(factory=list, init=False)
    requests: int = attrs.field(default=0, init=False)
    unaskable: int = attrs.field(default=0, init=False)
    _ascii: int = attrs.field(default=0, init=False)
    _other: int = attrs.field(default=0, init=False)
    _files: int = attrs.field(default=0, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _frame: Characters = attrs.field(init=False)
    _frame_bytes: int = attrs.field(init=False)
    _dice: random.Random = attrs.field(factory=lambda: random.Random(0), init=False, repr=False)  # noqa: S311 - no secret

    def __attrs_post_init__(self) -> None:
        whole = request_of("-", **self.shared)
        self._frame = _framing(whole)
        body = encode(whole)
        del body["contents"]
        self._frame_bytes = len(dumps(body)) + _KEY_BYTES

    def add(self, item: Item) -> None:
        """Weigh an item."""
        if item.error is not None:
            self.unaskable += 1
            return
        self.requests += 1
        found = self._frame if item.own is None else _filled(item.own, self._frame)
        found += characters_of(item.contents)
        self._ascii, self._other = self._ascii + found.ascii, self._other + found.other
        if not isinstance(item.contents, str):
            media = [part for each in item.contents for part in each.parts if part.inline_data or part.file_data]
            self._files += len(media)
            self._bytes += sum(len(part.inline_data.data) * 4 // 3 for part in media if part.inline_data is not None)
        self._bytes += item.size + self._frame_bytes
        self._choose(item)

    def weighed(self, *, whole: bool = True) -> Weighed:
        """Return what was weighed.

        Args:
            whole: Whether that was everything.
        """
        characters = Characters(self._ascii, self._other)
        tokens, files = characters.tokens(), _FILE.times(self._files)
        return Weighed(
            requests=self.requests,
            unaskable=self.unaskable,
            characters=characters,
            files=self._files,
            bytes=self._bytes,
            tokens=tokens + files,
            whole=whole,
        )

    def size(self, item: Item) -> int:
        """Return the characters of an item, what frames it included."""
        return (
            characters_of(item.contents) + (self._frame if item.own is None else _filled(item.own, self._frame))
        ).count

    def _choose(self, item: Item) -> None:
        if len(self.chosen) < self.sample:
            self.chosen.append(item)
        elif self.sample and (place := self._dice.randrange(self.requests)) < self.sample:
            self.chosen[place] = item


def answers_of(requests: int, config: object, tokens: float | None) -> tuple[Interval, str]:
    """Return the output tokens of all answers, and what was assumed for it.

    Args:
        requests: How many answers there are.
        config: The generation config, or None.
        tokens: How many tokens an answer has, if the user knows.
    """
    if tokens is not None:
        return Interval(tokens, tokens, tokens).times(requests), f"an answer has {tokens:g} tokens, as you say"
    most = config.max_output_tokens if isinstance(config, GenerationConfig) else None
    each = _ANSWER if not most else Interval(min(_ANSWER.low, most), min(_ANSWER.value, most), most)
    said = f"an answer has about {each.value:g} tokens ({each.low:,.0f} to {each.high:,.0f}), thoughts included"
    return each.times(requests), said


def readable_again(inputs: object) -> bool:
    """Return whether rows can be read more than once; may look for a file, and then blocks."""
    again = getattr(inputs, "again", None)
    return again if isinstance(again, bool) else not isinstance(inputs, Iterator | AsyncIterator)


async def weigh_all(
    inputs: Inputs,
    scale: Scale,
    model: str,
    model_name: ModelName,
    *,
    most: int | None = None,
    is_held: Callable[[Item], bool] = lambda _: False,
) -> Weighed:
    """Weigh all rows that are still to be asked, or the first ones.

    Args:
        inputs: The rows; they are read from the beginning.
        scale: What they are put on.
        model: The model that is asked.
        model_name: Returns the name under which the service knows a model that a row names.
        most: How many rows at most, or None for all.
        is_held: Called with each item; returns whether it is answered already.
    """
    rows, count, held = Inputs(inputs.iterable), 0, 0
    try:
        while (row := await rows.next()) is not END:
            item = make_item(row, count, model, model_name)
            if is_held(item):
                held += 1
            else:
                scale.add(item)
            count += 1
            if count == most:
                return attrs.evolve(scale.weighed(whole=False), held=held)
            if count % _TURNS == 0:
                await anyio.lowlevel.checkpoint()
    finally:
        await rows.aclose()
    return attrs.evolve(scale.weighed(), held=held)


def characters_of(contents: str | tuple[Content, ...]) -> Characters:
    """Return the characters of a prompt."""
    if isinstance(contents, str):
        return Characters.of(contents)
    found = Characters()
    for content in contents:
        found += _of_parts(content.parts)
    return found


def _framing(request: GenerateContentRequest) -> Characters:
    """Return the characters of what frames a prompt."""
    found = Characters() if request.system_instruction is None else _of_parts(request.system_instruction.parts)
    for tool in request.tools:
        found += Characters.of(dumps(encode(tool)).decode())
    return found


def _of_parts(parts: tuple[Part, ...]) -> Characters:
    found = Characters()
    for part in parts:
        if part.text is not None:
            found += Characters.of(part.text)
        elif part.inline_data is None and part.file_data is None:  # a call or its answer, text to the model
            found += Characters.of(json.dumps(encode(part), default=str))
    return found


def _filled(own: GenerateContentRequest, frame: Characters) -> Characters:
    """Return the characters of what frames a whole request, which takes from the batch what it lacks."""
    return _framing(own) if own.system_instruction is not None or own.tools else frame
