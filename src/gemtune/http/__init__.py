"""The floor with the sockets: credentials, attempts, retry, and the reply.

One call goes through ``caller`` (what an attempt is), ``retry`` (when there is another), ``permits`` (who may send
now), ``wire`` (one exchange with the origin) and an engine; ``stream`` is a reply that is still being read. This wing
may import the limiter, the protocol and everything below. Everybody in here may wait; nobody outside it and ``loops``
touches a socket or a thread.
"""
