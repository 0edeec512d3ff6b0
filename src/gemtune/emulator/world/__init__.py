"""What the emulated service is made of, whichever API is in front of it.

Clock and settings, base models, the formulas of tuning, answers, the store and its file, who may call, which requests
came in; and the two shapes in which a service joins them, ``Route`` and ``Face``. It imports ``messages`` only. A job
is a function of time, so that nobody waits in here; only the state file touches a disk, in a thread of its own.
"""
