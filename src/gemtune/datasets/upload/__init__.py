"""Training data as a file that can be uploaded, and its checksum.

It may import everything else of ``datasets``; it reads and writes files, in a thread, and knows no network.
"""
