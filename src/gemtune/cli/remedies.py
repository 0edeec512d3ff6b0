"""The arguments and calls of the SDK as the command line has them: what an error's remedies are worded with."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Container, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from gemtune.cli.options import place_options
from gemtune.errors import GemtuneError
from gemtune.remedy import Argument, ClientCall

OPTIONS: Final = {
    "accept": "--accept",
    "adapter_size": "--adapter-size",
    "base_model": "--base",
    "base_url": "--base-url",
    "baseline": "--baseline",
    "batch_size": "--batch-size",
    "beta": "--beta",
    "bucket": "--bucket",
    "budget": "--budget",
    "changed": "--changed",
    "checkpoints": "--checkpoints",
    "concurrency": "--concurrency",
    "data": "DATA",
    "deadline": "--deadline",
    "delimiter": "--delimiter",
    "description": "--description",
    "display_name": "--display-name",
    "engine": "--engine",
    "epoch_count": "--epochs",
    "filter": "--filter",
    "finish": "--finish",
    "format": "--format",
    "generation_config": "--generation-config",
    "heading": "--heading",
    "if_exists": "--if-exists",
    "input": "--input-column",
    "item_timeout": "--item-timeout",
    "journal": "OUTPUT",
    "key": "--key-column",
    "kms_key": "--kms-key",
    "labels": "--label",
    "learning_rate": "--learning-rate",
    "learning_rate_multiplier": "--learning-rate-multiplier",
    "limit": "--limit",
    "location": "--location",
    "max_failures": "--max-failures",
    "max_jobs": "--max-jobs",
    "max_output_tokens": "--max-output-tokens",
    "method": "--method",
    "metrics": "--metric",
    "model": "--model",
    "models": "--model",
    "name": "NAME",
    "objective": "--objective",
    "output": "--output-column",
    "prices": "--prices",
    "project": "--project",
    "prompt": "--prompt-column",
    "queue": "--queue",
    "resume": "--since",
    "rpd": "--rpd",
    "rpm": "--rpm",
    "seed": "--seed",
    "service_account": "--service-account",
    "space": "--space",
    "stop": "--stop",
    "study": "--study",
    "temperature": "--temperature",
    "template": "--template",
    "title": "--title",
    "token_budget": "--token-budget",
    "tpm": "--tpm",
    "training_data": "DATA",
    "trusted_hosts": "--trust-host",
    "tuned_model_id": "--id",
    "validation": "--validation",
    "validation_data": "--validation",
    "vertexai": "--vertex",
}

COMMANDS: Final = {
    "batches.cancel": "gemtune batches cancel",
    "batches.delete": "gemtune batches delete",
    "batches.get": "gemtune batches get",
    "batches.list": "gemtune batches list",
    "batches.results": "gemtune batches results",
    "job": "gemtune jobs get",
    "tuned_models.delete": "gemtune jobs delete",
    "tuned_models.get": "gemtune jobs get",
    "tuned_models.list": "gemtune jobs list",
    "tuning_jobs.cancel": "gemtune jobs cancel",
    "tuning_jobs.get": "gemtune jobs get",
    "tuning_jobs.list": "gemtune jobs list",
}


def worded(error: GemtuneError, options: argparse.Namespace | None = None) -> str:
    """Return what happened and what to type about it.

    Args:
        error: What happened.
        options: Those of the command; another command that helps is given those that say which service, and where.
    """
    place = () if options is None else place_options(options)
    parser = getattr(options, "parser", None)
    flags = None if parser is None else frozenset(parser._option_string_actions)
    return error.worded(partial(in_shell, place=place, own=getattr(options, "wording", {}), flags=flags))


def in_shell(
    word: Argument | ClientCall,
    place: Sequence[str] = (),
    own: Mapping[str, str] = MappingProxyType({}),
    flags: Container[str] | None = None,
) -> str | None:
    """Return the option or command that stands for an argument or a call; None if there is none.

    Args:
        word: The argument or the call.
        place: Options that say which service, and where, for another command.
        own: Options that a command calls otherwise than most.
        flags: The options that the command has; None if that is not known.
    """
    if isinstance(word, ClientCall):
        command = COMMANDS.get(word.method)
        resource = () if word.resource is None else (word.resource,)
        return None if command is None else shlex.join([*command.split(), *resource, *place])
    option = own.get(word.name) or OPTIONS.get(word.name)
    if option is not None and flags is not None and option.startswith("--") and option.split()[0] not in flags:
        return None  # what helps elsewhere, and this command lacks
    if option is None or word.value is None or isinstance(word.value, bool):
        return f"--no-{option[2:]}" if option is not None and word.value is False else option
    # What stands by its place, such as OUTPUT, has no way to be given a certain value.
    return f"{option} {shlex.quote(word.value)}" if option.startswith("--") else None
