"""Vertex AI: tuning jobs, their metrics, the models and endpoints that come of them, and inference.

Beside the Gemini API on the same origin: what begins with ``/v1/projects`` or ``/v1beta1`` is for this face. Here too a
job is a function of time (``life``), training data is read from the emulator's own Cloud Storage (``data``), and what
nobody has published about the service is a guess with a knob in ``Settings`` or ``JobFate``. It imports ``world`` and
``messages`` only.
"""
