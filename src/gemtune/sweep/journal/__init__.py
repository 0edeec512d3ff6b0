"""The journal of a sweep: a folder with ``points.journal``, from which a sweep resumes, and those of its evaluation.

``lines`` says what stands in the file, ``folder`` reads and writes it. What must never happen twice, the creation of a
job and a cancellation, is on the disk before it is sent. Everything here may block, and is called in threads.
"""

from __future__ import annotations
