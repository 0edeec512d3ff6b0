"""Batches on the wire: what each service is asked, and how its operations and lines of results read.

One module for each service, and ``inline`` for replies that came with a batch and are larger than memory. All of it is
computing; nothing here waits.
"""
