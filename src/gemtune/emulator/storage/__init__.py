"""Cloud Storage's JSON API: what tuning on Vertex AI needs of it, to put data there and to look at it.

Its bodies are data more often than messages, and its errors have a form of their own, so it has a ``Face`` of its own.
What it stores is in ``world/objects.py``, where the other services find it. Nothing in here may wait; a handler that
works on long data says so (``Route.blocks``), and is carried out by a thread.
"""
