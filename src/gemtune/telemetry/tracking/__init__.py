"""Curves of tuning jobs for the tools in which people compare runs: TensorBoard, and whatever takes an event.

``measures`` is what all of them draw, ``tfevents`` the format of TensorBoard's files, ``board`` writes them, ``table``
writes CSV and JSONL, and ``forward`` hands the events of a job or a watcher on. Files are written by threads: nothing
here blocks an event loop, unless you call it there yourself.
"""
