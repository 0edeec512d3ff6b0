"""Batches that the service runs on its side, and the files that they are made of.

``service`` is the seam: what both services can do with a batch, for the collections that users hold, for handles
and for the engine of ``client.batch(..., engine="server")``. ``gemini`` and ``vertex`` are its two sides. Like all of
``resources`` they wait for replies and for threads that read and write files, and keep nothing.
"""
