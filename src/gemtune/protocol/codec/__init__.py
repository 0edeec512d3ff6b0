"""JSON ⇄ values.

``decode`` and ``encode`` run one function per message class, written out from the class's annotations on
first use (``generate``) and kept.
"""

from gemtune.protocol.codec.convert import decode, encode
from gemtune.protocol.codec.text import dumps, loads

__all__ = ["decode", "dumps", "encode", "loads"]
