"""Two engines that can carry a request: aiohttp on asyncio, httpx elsewhere and for transports of the user's own.

An engine says exactly whether a failed request can have reached the service, because never creating a job twice
depends on it. It imports httpx or aiohttp and nothing of the floors above ``errors``.
"""
