"""Lists that come in pages: iterate over items or over pages; nothing is requested before the first is wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Generic, NoReturn, TypeVar

import attrs

from gemtune.errors import Failure, MalformedResponse, MisuseError
from gemtune.protocol.gemini import Page

T = TypeVar("T")
Fetch = Callable[[str | None], Awaitable[Page[T]]]

# A service that sends pages for ever must not keep us for ever, nor have us keep ever more of its tokens.
_MOST_PAGES: Final = 10_000
"""Pages of one list: of the smallest usual size, 10 entries, they hold 100,000, and of the largest ten million."""
_MOST_EMPTY_PAGES: Final = 10
_LONGEST_TOKEN: Final = 8192
"""Characters of a page token: it comes back in an address, and servers take no longer ones."""


class _AsyncOnly:
    """Says how it is read to whoever reads it in one of the other two ways."""

    def __iter__(self) -> NoReturn:
        raise MisuseError("a list of the service comes in pages: read it with `async for`, not with `for`")

    def __await__(self) -> NoReturn:
        raise MisuseError("a list of the service comes in pages: read it with `async for`, or await its method `all`")


@attrs.define(eq=False)
class Pages(_AsyncOnly, Generic[T]):
    """An async iterator over pages: a plain object, which you may leave at any time and read in another task."""

    _fetch: Fetch[T]
    _token: str | None = None
    _seen: set[int] = attrs.field(factory=set, init=False)
    """The tokens so far; their hashes do, as a repeated token is a fault of the service in any case."""
    _empty: int = attrs.field(default=0, init=False)
    _done: bool = attrs.field(default=False, init=False)

    def __aiter__(self) -> Pages[T]:
        return self

    def list(self) -> Pager[T]:
        """Return the same list as one of items."""
        return Pager(self._fetch)

    async def __anext__(self) -> Page[T]:
        """Return the next page; if it could not be fetched, the next call asks for it again."""
        if self._done:
            raise StopAsyncIteration
        # The token moves on only once its page is here, so that a failure or a cancellation loses nothing.
        page = await self._fetch(self._token)
        self._empty = 0 if page else self._empty + 1
        token = page.next_page_token
        if token is None:
            self._done = True
        else:
            self._go_on(token)
        return page

    def _go_on(self, token: str) -> None:
        """Take over the token of the next page, unless it leads nowhere."""
        if hash(token) in self._seen:
            why = "the service repeats a page token"
        elif self._empty >= _MOST_EMPTY_PAGES:
            why = "the service sends empty pages"
        elif len(token) > _LONGEST_TOKEN:
            why = f"a page token has {len(token):,} characters"
        elif len(self._seen) + 1 >= _MOST_PAGES:
            why = f"there are more than {_MOST_PAGES:,} pages; if that many are there, ask for larger ones (page_size)"
        else:
            self._seen.add(hash(token))
            self._token = token
            return
        self._done = True
        raise MalformedResponse(f"the list does not end: {why}", failure=Failure.FATAL)


@attrs.define(eq=False)
class Pager(_AsyncOnly, Generic[T]):
    """A list in pages: ``async for item in pager``, ``async for page in pager.pages()`` or ``await pager.all()``.

    Each iteration starts at the first page; nothing is requested before.
    """

    _fetch: Fetch[T]

    def __aiter__(self) -> AsyncIterator[T]:
        return _Items(self.pages())

    def pages(self, page_token: str | None = None) -> Pages[T]:
        """Return an iterator over the pages, from the first or from a token kept from an earlier page."""
        return Pages(self._fetch, page_token)

    async def all(self) -> list[T]:
        """Return all items as a list."""
        return [item async for item in self]


@attrs.define(eq=False)
class _Items(Generic[T]):
    _pages: Pages[T]
    _page: tuple[T, ...] = ()
    _next: int = 0

    def __aiter__(self) -> _Items[T]:
        return self

    async def __anext__(self) -> T:
        while self._next >= len(self._page):
            self._page, self._next = (await self._pages.__anext__()).items, 0
        item = self._page[self._next]
        self._next += 1
        return item
