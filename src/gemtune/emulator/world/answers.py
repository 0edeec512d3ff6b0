"""What a model answers: a scripted answer, a known one, else the output of the nearest training example.

No model is run. A known answer is that to a held-out prompt whose right answer the emulator was told (``recall``).

Likeness: an input equal to the prompt (after Unicode NFKC, case folding and joining of white space) is nearest.
Otherwise it is Dice's coefficient over the pairs of neighbouring characters of the two texts, white space around them
counted as characters; among equals the one closest in length wins, then the earliest.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import attrs

from gemtune.emulator.messages.codec import Value

# Least and greatest values that generationConfig takes.
_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "top_k": (1, 1 << 31), "max_output_tokens": (1, 1 << 31)}
_TOKEN = re.compile(r"[\x00-\x7f]{1,4}|[^\x00-\x7f]", re.DOTALL)


@attrs.frozen(kw_only=True)
class Prompt:
    """What a scripted answer may look at.

    Args:
        text: the text of the last user content.
        model: the resource name asked.
        request: the whole GenerateContentRequest under its proto names.
        email: who asks.
    """

    text: str
    model: str
    request: Mapping[str, object] = attrs.field(repr=False)
    email: str


@attrs.frozen
class Answer:
    """A scripted answer.

    Args:
        text: of the one part of the one candidate.
        finish_reason: such as ``"STOP"``, ``"MAX_TOKENS"``, ``"SAFETY"``.
        block_reason: set, the prompt is blocked: no candidate, only ``promptFeedback``.
    """

    text: str = ""
    finish_reason: str = attrs.field(default="STOP", kw_only=True)
    block_reason: str | None = attrs.field(default=None, kw_only=True)


Answers = Mapping[str, "str | Answer"] | Callable[[Prompt], "str | Answer | None"]


def scripted(answers: Answers | None, prompt: Prompt) -> Answer | None:
    """Return the answer that a test wrote for this prompt, if any."""
    if answers is None:
        return None
    found = answers(prompt) if callable(answers) else answers.get(prompt.text)
    return Answer(found) if isinstance(found, str) else found


def normal(text: str) -> str:
    """Return a string in the form in which prompts and answers are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _pairs(text: str) -> Counter[str]:
    padded = f" {text} "
    return Counter(first + second for first, second in itertools.pairwise(padded))


@attrs.define(repr=False)
class ExampleIndex:
    """The training examples of a tuned model, ready to be searched."""

    pairs: list[tuple[str, str]]
    _exact: dict[str, int]
    _sizes: list[int]
    _postings: Mapping[str, list[tuple[int, int]]]

    @classmethod
    def build(cls, examples: Iterable[tuple[str, str]]) -> ExampleIndex:
        """Return an index over (input, output) pairs."""
        pairs = list(examples)
        exact: dict[str, int] = {}
        sizes: list[int] = []
        postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, (text, _) in enumerate(pairs):
            plain = normal(text)
            exact.setdefault(plain, number)
            sizes.append(len(plain) + 1)
            for pair, count in _pairs(plain).items():
                postings[pair].append((number, count))
        return cls(pairs, exact, sizes, dict(postings))

    def __repr__(self) -> str:
        return f"ExampleIndex({len(self.pairs)} examples)"

    def __len__(self) -> int:
        return len(self.pairs)

    def learned(self, prompt: str) -> bool:
        """Return whether a prompt is the input of an example."""
        return normal(prompt) in self._exact

    def nearest(self, prompt: str) -> str | None:
        """Return the output of the example whose input is most like the prompt; None without examples."""
        if not self.pairs:
            return None
        plain = normal(prompt)
        # The usual case in a test: a prompt from the training data, found without comparing.
        if (number := self._exact.get(plain)) is not None:
            return self.pairs[number][1]
        size = len(plain) + 1
        shared: Counter[int] = Counter()
        for pair, count in _pairs(plain).items():
            for number, there in self._postings.get(pair, ()):
                shared[number] += min(count, there)
        # Only examples that share a pair of characters can be near; without any, all are equally far.
        candidates = shared or range(len(self.pairs))

        def rank(number: int) -> tuple[float, int, int]:
            return -2 * shared[number] / (size + self._sizes[number]), abs(size - self._sizes[number]), number

        return self.pairs[min(candidates, key=rank)][1]


def count_tokens(text: str) -> int:
    """Count tokens by a rule of thumb: one per started four ASCII characters, one per any other character."""
    return -(-len(text) // 4) if text.isascii() else len(_TOKEN.findall(text))


def truncate(text: str, max_tokens: int) -> str:
    """Return the beginning of a string that counts at most this many tokens."""
    if text.isascii():
        return text[: 4 * max_tokens]
    end = 0
    for number, match in enumerate(_TOKEN.finditer(text)):
        if number == max_tokens:
            break
        end = match.end()
    return text[:end]


def split_text(text: str, size: int) -> list[str]:
    """Return the pieces in which a string is streamed: whole words, each but the last at least ``size`` characters."""
    pieces = [""]
    for word in re.findall(r"\s*\S+|\s+$", text):
        if len(pieces[-1]) >= size:
            pieces.append("")
        pieces[-1] += word
    return pieces


# ── prompts and answers in messages, which all services have in the same form ─────────────────────────────────────


def part_texts(content: Value) -> Iterator[str]:
    """Return the texts of a Content message."""
    return (cast(str, part["text"]) for part in cast("list[Value]", content.get("parts") or []) if "text" in part)


def texts(body: Value) -> Iterator[str]:
    """Return all texts of a request, its system instruction included."""
    contents = cast("list[Value]", body.get("contents") or [])
    system = cast("Value | None", body.get("system_instruction"))
    for content in [*contents, *([system] if system else [])]:
        yield from part_texts(content)


def input_tokens(body: Value) -> int:
    """Count the tokens of a request."""
    return sum(count_tokens(text) for text in texts(body))


def asked_text(body: Value) -> str:
    """Return the text of the last turn that is not the model's own; older ones are what it said before."""
    contents = cast("list[Value]", body["contents"])
    asked = next((content for content in reversed(contents) if content.get("role", "") != "model"), contents[-1])
    return "".join(part_texts(asked))


def answer(
    answers: Answers | None,
    prompt: Prompt,
    examples: ExampleIndex | None,
    label: str,
    recall: Callable[[str], str | None] | None = None,
) -> Answer:
    """Return the answer to a prompt: a scripted one, a known one, or that of the nearest example; or else the prompt.

    Args:
        answers: that a test wrote.
        prompt: what is asked.
        examples: of a tuned model; None for a base model.
        label: follows every answer that no test wrote and that is not known.
        recall: what the model says to prompts whose right answer is known, but for those that it was trained on.
    """
    found = scripted(answers, prompt)
    if found is not None:
        return found
    if recall is not None and not (examples and examples.learned(prompt.text)):
        said = recall(prompt.text)
        if said is not None:
            return Answer(said)
    nearest = examples.nearest(prompt.text) if examples else None
    if nearest is None:
        nearest, label = prompt.text, label and "(emulator: a base model repeats its prompt)"
    return Answer(f"{nearest} {label}".rstrip())


def cut(answer: Answer, config: Value) -> tuple[str, str]:
    """Return the answer up to a stop sequence and the token limit of a generation config, and why it ends."""
    text, reason = answer.text, answer.finish_reason
    for stop in cast("list[str]", config.get("stop_sequences") or []):
        text = text.partition(stop)[0] if stop else text
    limit = cast("int | None", config.get("max_output_tokens"))
    if limit is not None and count_tokens(text) > limit:
        return truncate(text, limit), "MAX_TOKENS"
    return text, reason


def violations(body: Value, no_contents: str, no_parts: str) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a prompt on every service: the fields, and what is said of them.

    Args:
        body: the request.
        no_contents: what the service says of a request without contents.
        no_parts: what it says of contents without parts.
    """
    contents = cast("list[Value]", body.get("contents") or [])
    if not contents:
        yield "contents", no_contents
    for number, content in enumerate(contents):
        if not content.get("parts"):
            yield f"contents[{number}].parts", no_parts
        if content.get("role", "") not in ("", "user", "model", "function"):
            yield f"contents[{number}].role", "Please use a valid role: user, model."
    config = cast(Value, body.get("generation_config") or {})
    for key, (low, high) in _RANGES.items():
        value = cast("float | None", config.get(key))
        if value is not None and not low <= value <= high:
            yield f"generation_config.{key}", f"must be in the range [{low}, {high}], not {value:g}"
