"""The SDK's errors in the words of the command line: what to type instead of what to write in Python."""

from __future__ import annotations

import re
from typing import Final

from gemtune.errors import GemtuneError, InvalidInput

# What the SDK advises, as it is written in its messages; nothing that a user or the service says looks like it.
_ADVICE: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"look with client\.tuned_models\.get\('([^']*)'\)", r"look with: gemtune jobs get \1"),
        (r"client\.tuned_models\.delete\('([^']*)'\)", r"gemtune jobs delete \1"),
        (r"client\.job\('([^']*)'\)", r"gemtune jobs get \1"),
        (r"call tune again with the same tuned_model_id", "run gemtune tune again with the same --id"),
        (r"choose another tuned_model_id", "choose another --id"),
        (r"if_exists='adopt' needs a tuned_model_id", "--if-exists adopt needs an --id"),
        (r"(with|and) if_exists='adopt'", r"\1 --if-exists adopt"),
        (r"pass base_url='([^']*)'", r"pass --base-url \1"),
        (r",? or pass (api_key|ssl_context)=", ""),
        (r", or pass transport= with one that knows them", ""),
        (r"(?<=name one of these )as the (key|prompt) column(?=$|;)", r"with --\1-column"),
        (r"(?<=name one of these )in the template(?=$|;)", "in --template"),
        (r"(?<=; a table needs )its format, csv$", "--format csv"),
        (r"(?<=: )give its format, (csv|tsv)(?=$|, or the format)", r"add --format \1"),
        (r"(?<=: )give delimiter=('.')(?=$|, or the format)", r"add --delimiter \1"),
        (r"(?<=, or )the format text(?= to ask each line as it stands$)", "--format text"),
        (r"(?<=holds JSON: )give its format, jsonl, or text to", "add --format jsonl, or --format text to"),
        (
            r"(?<=was written with another )generationConfig",
            "--temperature, --max-output-tokens or --generation-config",
        ),
        (r"(was written with another (?:.* and )?)systemInstruction", r"\1--system"),
        (r"\bor another journal$", "or name another OUTPUT"),
        (
            r"the limiter's own (\d+) requests per day \(rpd\) are used up; the next may go in \d+ s",
            r"the \1 of --rpd are used up",
        ),
        # A command says itself what is left of it, and how to go on.
        (r"(\d+ answered, \d+ failed(?:, \d+ from before)?); (?:they are in|with journal=).* from there$", r"\1"),
        (r", and the same call goes on from what is in it$", ""),
        (r"; nothing is lost: mend that and export again$", ""),
        (r"(No space left on device|File too large|Disk quota exceeded)$", r"\1: make room"),
    )
)

_OPTIONS: Final = {
    "base_model": "--base",
    "base_url": "--base-url",
    "batch_size": "--batch-size",
    "concurrency": "--concurrency",
    "delimiter": "--delimiter",
    "description": "--description",
    "display_name": "--display-name",
    "epoch_count": "--epochs",
    "filter": "--filter",
    "item_timeout": "--item-timeout",
    "learning_rate": "--learning-rate",
    "learning_rate_multiplier": "--learning-rate-multiplier",
    "max_output_tokens": "--max-output-tokens",
    "model": "--model",
    "name": "NAME",
    "project": "--project",
    "rpd": "--rpd",
    "rpm": "--rpm",
    "temperature": "--temperature",
    "template": "--template",
    "tpm": "--tpm",
    "training_data": "DATA",
    "tuned_model_id": "--id",
}


def worded(error: GemtuneError) -> str:
    """Return an error's message with the arguments and calls of the SDK replaced by options and commands."""
    text = str(error)
    for pattern, words in _ADVICE:
        text = pattern.sub(words, text)
    # Messages about an argument begin with its name.
    if isinstance(error, InvalidInput) and error.field in _OPTIONS:
        text = re.sub(rf"^{error.field}\b", _OPTIONS[error.field], text)
    return text
