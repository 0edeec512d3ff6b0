"""Parts of a set of training data: two sides of a split, a sample, what is left without its repeats.

Which row belongs where follows from the row alone and the rows before it, so that it is the same on every machine and
in every run, and rows that are added later change nothing. It may import everything else of ``datasets`` but ``review``
and ``writing``.
"""
