"""JSON ⇄ values.

``decode`` and ``encode`` run one function per message class, which is written from the class's annotations on its
first use and kept. ``shape`` reads the annotations, ``generate`` writes the functions and explains the idea,
``scalars`` holds the forms of single values, ``text`` turns bytes into plain Python and back.
"""

from gemtune.protocol.codec.convert import decode, decode_lenient, encode
from gemtune.protocol.codec.text import dumps, loads

__all__ = ["decode", "decode_lenient", "dumps", "encode", "loads"]
