"""Files on their way to a service, which has each of them once however often it is tried.

``sending`` sends one in pieces, whichever service takes it; ``cloud`` knows what is particular to Cloud Storage.
"""
