"""The items that a run knows of, by their keys: what the journal holds of each, and its place in the input.

A batch of a million rows must find out, for each row that it pulls, whether its key was used before and whether the
journal has its outcome already. A Python dict of a million keys takes some 150 MB. So the keys live in an unnamed
SQLite database (``sqlite3.connect("")``): pages in a cache of fixed size, and behind it a file without a name in the
system's temporary folder, which is gone when the process is, however it ends. It is not part of the journal and does
not lie beside it, so that a journal can be read in a folder that cannot be written.

A name is one integer, the row id of its table: the ordinal of an item without a key, or 63 bits of a key's digest,
made negative so that the two never meet. At ten million keys the chance that any two of them share a digest is 1 in
200,000.

Measured at 10^6 keys (Python 3.11, SQLite 3.40, one of two shared cores): 3.5 µs to meet a new key while the table
fits into the cache and 5.5 µs after that, of 220 µs that an item takes with its request; 2 MB whatever the number of
keys. The table of open addressing that stood here before took 2.5 µs, and 36 MB.

The event loop calls ``meet``: one statement on one page, from the cache or from the file that the system caches. A
trip to a thread would cost ten times as much. ``hold`` runs through a whole journal and belongs into a thread.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import attrs

from gemtune.errors import JournalError

Key: TypeAlias = str | int
"""A key as it was given, and as it comes back. Its text is what counts: 1 and "1" are one key."""

_CACHE_KIB: Final = 2048
_RECENT: Final = 65_536
_TABLE: Final = (
    "create table items (name integer primary key, place integer, digest integer, offset integer, length integer)"
)
# An item that the journal holds is asked again only if what it holds is not wanted.
_HOLD: Final = (
    "insert into items (name, digest, offset, length) values (?, ?, ?, ?) on conflict (name) do update "
    "set digest = excluded.digest, offset = excluded.offset, length = excluded.length"
)
_NOTE: Final = "insert or ignore into items (name, place) values (?, ?)"
_FIND: Final = "select place, digest, offset, length from items where name = ?"
_MET: Final = "select place, offset, length from items where place is not null and digest is not null order by place"


def unnamed_database() -> sqlite3.Connection:
    """Return an empty database for one process and any of its threads, which keeps nothing and promises nothing.

    Nothing is ever rolled back and nothing survives the connection, so there is no journal to write, no disk to wait
    for and one transaction for all its life: ``commit`` would write every changed page.
    """
    # Opened by the loop's thread and filled by a worker's: SQLite itself serializes the calls of all threads.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    for setting in (f"cache_size=-{_CACHE_KIB}", "journal_mode=off", "synchronous=off", "locking_mode=exclusive"):
        database.execute(f"pragma {setting}")
    database.execute("begin")
    return database


def no_room(path: str | os.PathLike[str], error: sqlite3.Error) -> JournalError:
    """Return what a failure of an unnamed database is to the user of the journal that it serves."""
    return JournalError(
        f"the journal {os.fspath(path)} cannot be compared with the input, as the index of its keys, an unnamed file "
        f"in the system's temporary folder, failed: {error}; make room there, or set TMPDIR, and run again",
        path=os.fspath(path),
    )


def name_of(n: int, key: Key | None) -> int:
    """Return the integer by which the n-th item is known: its own ordinal, or below zero a digest of its key's text."""
    if key is None:
        return n
    # A key may hold half of a surrogate pair, as JSON can say it. It cannot be sent, and must not break the count.
    digest = hashlib.blake2b(str(key).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


@attrs.frozen
class Span:
    """Where a line of the journal stands.

    Args:
        offset: Its first byte.
        length: Its bytes, with the line end.
    """

    offset: int
    length: int


@attrs.frozen
class Known:
    """What is known of an item before it is asked.

    Args:
        place: The place at which its key was met before in this input, or None.
        digest: 64 bits of what was asked when the journal got its outcome, or None if the journal has none.
        span: Where the journal has the outcome, or None if it has none.
    """

    place: int | None
    digest: int | None = None
    span: Span | None = None


@attrs.define(eq=False)
class Keys:
    """What a run with a journal knows of its items. Its methods may be called from any thread.

    The database is closed with the last reference: an export may follow long after the run.

    Args:
        path: The journal, for messages.
    """

    path: str | os.PathLike[str]
    _database: sqlite3.Connection = attrs.field(factory=unnamed_database, init=False, repr=False)
    _unmet: int = attrs.field(default=0, init=False)
    """How many items the journal holds that the input has not brought so far."""

    def __attrs_post_init__(self) -> None:
        self._database.execute(_TABLE)
        # Not in __del__, and not left to the connection: from Python 3.13 on that would warn of a resource.
        weakref.finalize(self, self._database.close)

    def hold(self, outcomes: Iterable[tuple[int, Key | None, int, Span]]) -> None:
        """Note what the journal holds: ordinal, key, digest and place of each outcome. The last one of an item counts.

        Raises:
            JournalError: There is no room for it.
        """
        rows = ((name_of(n, key), _signed(digest), span.offset, span.length) for n, key, digest, span in outcomes)
        try:
            self._database.executemany(_HOLD, rows)
            (self._unmet,) = self._database.execute("select count(*) from items").fetchone()
        except sqlite3.Error as error:
            raise no_room(self.path, error) from None

    def meet(self, n: int, key: Key | None) -> Known | None:
        """Note the n-th item at its place, and return what was known of it before, or None if nothing was.

        An item that the journal holds gets its place only with ``confirm``, once its content has been compared.

        Raises:
            JournalError: There is no room for it.
        """
        name = name_of(n, key)
        try:
            # While the journal holds what the input has not brought, most items are known: that is asked first. After
            # that most are new, and one statement both asks and notes.
            found = self._database.execute(_FIND, (name,)).fetchone() if self._unmet else None
            if found is None:
                if self._database.execute(_NOTE, (name, n)).rowcount:
                    return None
                found = self._database.execute(_FIND, (name,)).fetchone()
        except sqlite3.Error as error:
            raise no_room(self.path, error) from None
        return _known(*found)

    def confirm(self, n: int, key: Key | None) -> None:
        """Note that the n-th item is one that the journal holds.

        Raises:
            JournalError: There is no room for it.
        """
        try:
            self._database.execute("update items set place = ? where name = ?", (n, name_of(n, key)))
        except sqlite3.Error as error:
            raise no_room(self.path, error) from None
        self._unmet -= 1

    def met(self) -> Iterator[tuple[int, Span]]:
        """Yield the items that the journal held and the input has brought: their places, in order, and their lines.

        Raises:
            JournalError: The database cannot be read.
        """
        try:
            for place, offset, length in self._database.execute(_MET):
                yield place, Span(offset, length)
        except sqlite3.Error as error:
            raise no_room(self.path, error) from None

    def known(self, n: int, key: Key | None) -> Known | None:
        """Return an item's place in the input, and what the journal held of it when the run began.

        Args:
            n: The ordinal by which it is known if it has no key.
            key: Its key.

        Raises:
            JournalError: The database cannot be read.
        """
        try:
            found = self._database.execute(f"{_FIND} and place is not null", (name_of(n, key),)).fetchone()
        except sqlite3.Error as error:
            raise no_room(self.path, error) from None
        return None if found is None else _known(*found)


@attrs.define(eq=False)
class RecentKeys:
    """The last keys of a run without a journal, whose input may be endless and whose memory may not.

    Args:
        most: How many are remembered, at about 300 bytes each.
    """

    most: int = _RECENT
    _places: OrderedDict[int, int] = attrs.field(factory=OrderedDict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self._places)

    def meet(self, n: int, key: Key | None) -> Known | None:
        """Note the n-th item, and return the place at which its key was met before, if it is remembered."""
        if key is None:
            return None
        place = self._places.setdefault(name_of(n, key), n)
        if place != n:
            return Known(place)
        if len(self._places) > self.most:
            self._places.popitem(last=False)
        return None


def _signed(digest: int) -> int:
    """An SQLite integer has a sign; a digest has none."""
    return digest - 2**63


def _known(place: int | None, digest: int | None, offset: int | None, length: int | None) -> Known:
    if digest is None or offset is None or length is None:
        return Known(place)
    return Known(place, digest + 2**63, Span(offset, length))
