"""Who is asking: credentials of every kind, and how they become a header of one attempt.

``grant`` says what a credential yields, ``credentials`` and ``google`` are the kinds, ``choose`` picks one. Refreshing
blocks, so it runs in a thread, once for all who wait for it.
"""
