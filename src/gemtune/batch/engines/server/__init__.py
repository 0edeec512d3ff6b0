"""The server engine: batches that the service runs answer the items of a run.

``engine`` leads an input through parts. ``filling`` makes items into the input of a batch, ``post`` talks to the
service, ``waiting`` says when, ``results`` checks what came back, ``delivery`` hands it on, and ``finishing`` asks from
here for what the service has left. Only ``engine``, ``post``, ``delivery`` and ``finishing`` may await. ``filling`` and
``results`` block on files, as the index of the parts does (``journal/parts``), and are called in threads.
"""

from gemtune.batch.engines.server.engine import ServerEngine

__all__ = ["ServerEngine"]
