"""Where requests come in and replies leave: reading, the exchange, ``/_emulator``, bytes on a connection.

The front takes everything that is the same for all services and asks a face (``world/face.py``) for the rest; it
imports ``service`` and what lies below, and no service by name. Everything that waits for a caller waits in here.
"""
