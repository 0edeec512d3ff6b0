"""The one wing that knows which request finds out how a job is.

A look is one request, or two, of one job; what it brings is an observation (``gemtune.story``). There is one file for
each service. It may import the resources and everything below them, and it may wait, because it sends requests.
"""
