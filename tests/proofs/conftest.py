"""Proofs about the client. Google's protos are no dependency of gemtune: what needs them runs in ``nox -s protos``."""

import importlib.util

try:
    _protos = importlib.util.find_spec("google.ai.generativelanguage_v1beta") is not None
except ModuleNotFoundError:
    _protos = False
collect_ignore = [] if _protos else ["test_protos.py"]
