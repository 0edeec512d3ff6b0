"""The file from which a batch resumes, and everything that knows how it is written.

``lines`` says what a line is: bytes, a checksum, a value. ``reading`` reads a journal from front to back and is the
only place that decides what is refused. ``file`` holds the file for one process and appends to it. ``writer`` stands
between an outcome and its publication. ``export`` writes a journal out in the order of the input.

It may import what lies below ``batch``, and of ``batch`` itself ``result``, ``outbox`` and ``keys``. Only ``writer``
may await. The others block on the disk, and whoever calls them on an event loop does so in a thread.
"""
