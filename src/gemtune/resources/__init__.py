"""One file for each part of the remote API, as users see it: checked arguments in, values of ``gemtune.types`` out.

The Gemini API's own names are kept. Everything here is a thin mirror, except ``creation.py``, which creates a tuned
model exactly once. It may import ``http``, ``pager``, ``protocol`` and ``types``; what it calls may wait.
"""
