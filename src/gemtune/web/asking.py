"""Answers of tuned models on a dashboard: those that were asked for on the page, and those that it is given."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import anyio
import attrs
from starlette.requests import ClientDisconnect, Request

from gemtune.client import Client
from gemtune.errors import GemtuneError, InvalidInput
from gemtune.show.picture import JobPicture, Tone
from gemtune.types import GenerateContentResponse

_log = logging.getLogger("gemtune.web")

LONGEST_PROMPT: Final = 20_000
"""The longest prompt that the page may ask, in characters."""
_LARGEST_BODY: Final = 200_000
_AT_ONCE: Final = 4
"""How many questions are under way at most; further ones wait."""
_KEPT: Final = 20
"""How many answers of a model are shown."""


@attrs.frozen
class Sample:
    """A prompt and what a model made of it.

    Args:
        prompt: The prompt.
        answer: The answer.
        note: What there is to say of it, such as that it was cut short; empty otherwise.
        at: When it was asked, in seconds since 1970.
    """

    prompt: str
    answer: str
    note: str = ""
    at: float = attrs.field(factory=time.time)


@attrs.frozen
class Question:
    """What the page asks.

    Args:
        name: The job whose model is asked.
        prompt: The prompt.
    """

    name: str
    prompt: str

    @classmethod
    async def read(cls, request: Request) -> Question:
        """Return what a request asks.

        Raises:
            InvalidInput: It is not a question.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise InvalidInput("a question is JSON, and says so in Content-Type", field="Content-Type")
        body = b""
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > _LARGEST_BODY:
                    raise InvalidInput(f"a question has at most {_LARGEST_BODY:,} bytes", field="prompt")
        except ClientDisconnect:
            raise InvalidInput("the question broke off", field="prompt") from None
        try:
            said = json.loads(body)
            name, prompt = said["name"], said["prompt"]
        except (ValueError, TypeError, LookupError, RecursionError):
            raise InvalidInput('a question is {"name": ..., "prompt": ...}', field="prompt") from None
        if not (isinstance(name, str) and isinstance(prompt, str) and prompt.strip()):
            raise InvalidInput("the prompt is empty", field="prompt")
        if len(prompt) > LONGEST_PROMPT:
            raise InvalidInput(f"the prompt is longer than {LONGEST_PROMPT:,} characters", field="prompt")
        return cls(name, prompt)


@attrs.define(eq=False)
class Samples:
    """The answers that are shown, the latest of each model.

    Args:
        given: Prompts and answers that the application shows, by the name of the job; it may change.
    """

    given: Mapping[str, Sequence[tuple[str, str]]] = attrs.field(factory=dict)
    by_job: dict[str, list[Sample]] = attrs.field(factory=dict, init=False)
    _taken: dict[str, Counter[str]] = attrs.field(factory=dict, init=False)
    """What was given of each job at the last look: a list of which the oldest are dropped has new ones at any place."""
    _places: anyio.CapacityLimiter | None = attrs.field(default=None, init=False)

    def add(self, name: str, sample: Sample) -> None:
        """Take in an answer."""
        kept = self.by_job.setdefault(name, [])
        kept.append(sample)
        del kept[:-_KEPT]

    def fresh(self) -> Iterator[tuple[str, Sample]]:
        """Take in what the application has added, and yield it."""
        for name, given in list(self.given.items()):
            pairs = list(given)
            known, self._taken[name] = self._taken.get(name, Counter()), Counter(map(repr, pairs))
            for pair in pairs:
                if known[repr(pair)] > 0:
                    known[repr(pair)] -= 1
                    continue
                match pair:
                    case [prompt, answer, *notes]:
                        sample = Sample(str(prompt), str(answer), " ".join(map(str, notes)))
                        self.add(name, sample)
                        yield name, sample
                    case _:
                        _log.warning("samples of %s: %.80r is no pair of a prompt and an answer", name, pair)

    async def ask(self, client: Client, job: JobPicture, prompt: str) -> Sample:
        """Ask the model of a job, and keep the answer.

        Raises:
            GemtuneError: There is no answer.
        """
        if job.counts is not None:
            raise InvalidInput(
                f"{job.title} is a batch: it has results, and no model that could be asked", field="name"
            )
        if job.tone is not Tone.GOOD:
            raise InvalidInput(f"{job.title} has no model yet that could be asked", field="name")
        if self._places is None:
            self._places = anyio.CapacityLimiter(_AT_ONCE)
        async with self._places:
            handle = client.job(job.name)
            if not handle.done:  # on Vertex AI only the job knows through which endpoint its model is asked
                await handle.refresh()
            reply = await client.generate_content(handle, prompt)
        sample = Sample(prompt, reply.text_or_none or "", _note(reply))
        self.add(job.name, sample)
        return sample


def _note(reply: GenerateContentResponse) -> str:
    try:
        reply.text  # noqa: B018 - raises the error that names the reason
    except GemtuneError as error:
        return str(error)
    reason = reply.finish_reason
    return "" if reason in {None, "STOP"} else f"the answer ended early: {reason}"


def status_of(error: GemtuneError) -> int:
    """Return the status with which the page is told of an error."""
    return 400 if isinstance(error, InvalidInput) else 502
