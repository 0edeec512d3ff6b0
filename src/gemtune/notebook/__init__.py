"""Live displays in a notebook, and loss curves drawn by the library that is there.

Knows pictures (``show``) and where they are displayed; of jobs, watchers and batches it knows that they have pictures
and can be waited for. ``live`` waits, and nothing else here does. IPython, marimo, matplotlib and altair are never
imported before somebody asks for what they do, and none of them is needed.
"""
