"""Talking with a service, without I/O: what a request says, what a reply means, what an error asks for.

Pure functions from values to requests and from bytes to values, in both directions. It may import types, config and
errors. Nobody in here may wait.
"""
