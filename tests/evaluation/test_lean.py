"""Who makes a client pays for no evaluation, sweep or metric before one is asked for."""

import json
import subprocess
import sys

import gemtune.evaluation
import gemtune.sweep

ARGUMENTS = {
    "gemtune.evaluation", "gemtune.evaluation.options", "gemtune.sweep", "gemtune.sweep.asked",
    "gemtune.sweep.asked.arguments",
}  # fmt: skip


def test_a_client_loads_only_the_arguments_of_what_it_offers():
    program = "import gemtune, json, sys; gemtune.Client; print(json.dumps([*sys.modules]))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    loaded = {name for name in json.loads(run.stdout) if name.startswith("gemtune.")}
    mine = {name for name in loaded if name.split(".")[1] in {"evaluation", "sweep", "metrics"}}
    assert mine == ARGUMENTS


def test_every_name_of_the_packages_is_there():
    for package in (gemtune.evaluation, gemtune.sweep):
        assert all(getattr(package, name).__name__ == name for name in package.__all__)
        assert dir(package) == sorted(package.__all__)
        assert not hasattr(package, "no_such_name")
