"""The parts of a run that the service answers: what each holds, what came back of it, and whose turn it is.

A part is what goes into one batch of the service. Its items are known here and not in memory, because a run may have
ten million of them at the service at a time: an unnamed database, like that of the keys, with one row for each item
that has been sent and whose part has not ended. The row knows where in the file of the results the item's line
stands, so that results are read in any order, and where its request was spooled, so that it can be asked again.

=============  =====================================================================================================
``sent``       an item of a part: what it asks (digest), its own key, its place in the input of now; the offset of
               its line, if there is one; the offset of its request; whether it has an outcome
``names``      of parts that an earlier run has left open: which item that the input brings is which of ``sent``
``turns``      with ``order="input"``: what stands at each place of the input, an item of a part or one (pickled)
               that needs no part
=============  =====================================================================================================

Everything here blocks on a file and belongs into a thread.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import anyio
import attrs

from gemtune.batch.inputs import Item
from gemtune.batch.journal.sent import SentItem
from gemtune.batch.keys import Key, name_of, unnamed_database
from gemtune.errors import GemtuneError, JournalMismatch
from gemtune.protocol.codec import dumps, loads
from gemtune.remedy import Argument, Remedy

_TURNS: Final = "create table turns (place integer primary key, part integer, n integer, item blob)"
_TABLES: Final = (
    """create table sent (part integer, n integer, digest integer, key blob, place integer, at integer, failed integer,
    asked integer, done integer not null default 0, primary key (part, n)) without rowid""",
    "create table names (name integer primary key, part integer, n integer, digest integer)",
)
_DONE: Final = "update sent set done = 1 where (part, n) in (select part, n from names where name = ?)"
_ROW: Final = "select n, digest, key, place, at, failed, asked from sent where part = ?"
_FOUND: Final = "update sent set at = ?, failed = ? where part = ? and n = ? and digest = ? and at is null and done = 0"


@attrs.define(eq=False)
class SentPart:
    """One part: the items of one batch of the service.

    Args:
        number: Its number among the parts that this run knows.
        mark: By which the service finds its batch.
        count: How many items it has.
        state: As the journal says it: ``intended``, ``placed``, ``created``, ``ended`` or ``void``.
        input: Where its requests lie.
        batch: The batch's name.
        left: How many of its items have no outcome.
        doubtful: Whether its batch may exist although no reply has said so.
    """

    number: int
    mark: str
    count: int = 0
    state: str = ""
    input: str = ""
    batch: str = ""
    left: int = 0
    doubtful: bool = False


@attrs.frozen
class SentRow:
    """An item of a part.

    Args:
        n: The number under which it was sent.
        digest: What it asks.
        key: Its own key.
        place: Its place in the input of now, or where it stood when it was sent.
        at: The offset of its line in the results; None if there is none.
        failed: Whether that line holds an error.
        asked: The offset of its request in the spool; None if it is not there.
    """

    n: int
    digest: int
    key: Key | None
    place: int
    at: int | None
    failed: bool
    asked: int | None


@attrs.frozen
class SentBefore:
    """An item that an earlier run has sent: the number of its part, its own there, and what it asked."""

    part: int
    n: int
    digest: int


@attrs.frozen
class Turn:
    """What stands at a place of the input: a row of a part, or an item that needs none."""

    place: int
    part: int | None
    n: int | None
    item: Item | None


@attrs.frozen
class Matched:
    """How the lines of a batch's results fit its items.

    Args:
        unknown: Lines that belong to none of its items.
        repeated: Lines of an item that had one already.
    """

    unknown: int = 0
    repeated: int = 0


@attrs.define(eq=False)
class SentParts:
    """What a run knows of its parts. Its methods block; the database serializes the threads that call them.

    Args:
        known: The parts that have not ended, by their numbers.
        written_at: When the journal was written last, before it was opened, in seconds since 1970.
    """

    known: dict[int, SentPart] = attrs.field(factory=dict, init=False)
    written_at: float = attrs.field(default=0.0, init=False)
    _marks: dict[str, SentPart] = attrs.field(factory=dict, init=False, repr=False)
    _opened: sqlite3.Connection | None = attrs.field(default=None, init=False, repr=False)
    _adopted: bool = attrs.field(default=False, init=False)

    # What a journal holds

    def sent(self, mark: str, n: int, key: Key | None, digest: int) -> None:
        """Take in that an item was sent, as the journal says."""
        self._adopted = True
        part = self.begin(mark)
        row = (part.number, n, _signed(digest), _json(key), n)
        self._execute("insert or replace into sent (part, n, digest, key, place) values (?, ?, ?, ?, ?)", row)
        self._execute("insert or replace into names values (?, ?, ?, ?)", (name_of(n, key), *row[:1], n, row[2]))

    def note(self, mark: str, count: int, state: str, where: str, batch: str) -> None:
        """Take in how far a part is, as the journal says."""
        part = self.begin(mark)
        part.count, part.state, part.input, part.batch = count, state, where, batch
        if state in {"ended", "void"}:
            self.end(part, void=True)

    def answered(self, n: int, key: Key | None) -> None:
        """Take in that an item has an outcome, as the journal says."""
        if self._adopted:
            name = name_of(n, key)
            if self._execute(_DONE, (name,)).rowcount:
                self._execute("delete from names where name = ?", (name,))

    def loaded(self, written_at: float) -> None:
        """Take in the end of the journal: parts without a state were never to be sent."""
        self.written_at = written_at
        for part in [*self.known.values()]:
            if not part.state:
                self.end(part, void=True)
            else:
                question = "select count(*) from sent where part = ? and done = 0"
                (part.left,) = self._execute(question, (part.number,)).fetchone()
        self._adopted = bool(self.known)

    # What the run sends

    def begin(self, mark: str) -> SentPart:
        """Return the part with a mark, which begins if there is none."""
        part = self._marks.get(mark)
        if part is None:
            part = self._marks[mark] = SentPart(len(self._marks), mark)
            self.known[part.number] = part
        return part

    def add(self, part: SentPart, rows: Iterable[tuple[Item, int | None]]) -> None:
        """Take in items that will be sent in a part, with the offsets of their requests."""
        found = [(part.number, i.index, _signed(i.digest), _json(i.key), i.index, asked) for i, asked in rows]
        _many(self._database, "insert into sent (part, n, digest, key, place, asked) values (?, ?, ?, ?, ?, ?)", found)
        part.count += len(found)
        part.left += len(found)

    def find(self, item: Item) -> SentBefore | None:
        """Return where an earlier run has sent an item that had no outcome when this one began; None if it has not."""
        if not self._adopted:
            return None
        question = "select part, n, digest from names where name = ?"
        found = self._execute(question, (name_of(item.index, item.key),)).fetchone()
        return None if found is None else SentBefore(found[0], found[1], found[2] + 2**63)

    def met(self, before: SentBefore, place: int, asked: int | None) -> None:
        """Take in that the input has brought an item of an earlier run's part, and at which place."""
        values = (place, asked, before.part, before.n)
        self._execute("update sent set place = ?, asked = ? where part = ? and n = ?", values)

    def end(self, part: SentPart, *, void: bool = False) -> None:
        """Forget a part and its items.

        Args:
            part: The part.
            void: Whether its items are new ones when the input brings them. Else they have had their outcome.
        """
        self._execute("delete from sent where part = ?", (part.number,))
        if void:
            self._execute("delete from names where part = ?", (part.number,))
        self.known.pop(part.number, None)

    # What comes back

    def match(self, part: SentPart, lines: Iterable[tuple[int, int, int, bool]]) -> Matched:
        """Take in lines of a part's results: number, digest, offset, and whether it is an error. The first counts."""
        unknown = repeated = 0
        for n, digest, at, failed in lines:
            if self._execute(_FOUND, (at, failed, part.number, n, _signed(digest))).rowcount:
                continue
            question = "select digest, done from sent where part = ? and n = ?"
            found = self._execute(question, (part.number, n)).fetchone()
            if found is None or found[0] != _signed(digest):
                unknown += 1
            else:
                repeated += not found[1]  # what an earlier run has delivered comes again, and is no news
        return Matched(unknown, repeated)

    def rows(self, part: SentPart, size: int) -> Iterator[list[SentRow]]:
        """Yield the items of a part that have no outcome, in lots: replies first, then errors, then those without."""
        order = "order by at is null, failed, at"
        cursor = self._execute(f"{_ROW} and done = 0 {order}", (part.number,))
        while found := cursor.fetchmany(size):
            yield [_row(each) for each in found]

    def take(self, part: SentPart, numbers: Iterable[int]) -> list[SentRow]:
        """Return items of a part that have no outcome, each only once."""
        found = []
        for n in numbers:
            row = self._execute(f"{_ROW} and n = ? and done = 0", (part.number, n)).fetchone()
            if row is not None:
                self._execute("update sent set done = 1 where part = ? and n = ?", (part.number, n))
                found.append(_row(row))
        return found

    def asked(self, part: SentPart, n: int) -> int | None:
        """Return the offset of an item's request in the spool, once the input has brought it."""
        found = self._execute("select asked from sent where part = ? and n = ?", (part.number, n)).fetchone()
        return None if found is None else found[0]

    @property
    def _database(self) -> sqlite3.Connection:
        # Not before it is needed, as few runs send anything; and then in a thread, one at first.
        if self._opened is None:
            self._opened = unnamed_database()
            for table in _TABLES:
                self._opened.execute(table)
            weakref.finalize(self, self._opened.close)  # as in Keys
        return self._opened

    def _execute(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        with _no_room():
            return self._database.execute(statement, values)


@attrs.define(eq=False)
class InputOrder:
    """What stands at each place of an input, for who hands results on in its order. All but ``tell`` block.

    Args:
        news: Set when more is known; another event then takes its place.
    """

    news: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _database: sqlite3.Connection = attrs.field(init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def open(self) -> InputOrder:
        """Open it, and return it; blocks."""
        self._database = unnamed_database()
        self._database.execute(_TURNS)
        weakref.finalize(self, self._database.close)
        return self

    def tell(self) -> None:
        """Wake whoever waits for more."""
        self.news.set()
        self.news = anyio.Event()

    def add(self, turns: Iterable[Turn]) -> None:
        """Take in what stands at some places."""
        rows = ((t.place, t.part, t.n, None if t.item is None else pickle.dumps(t.item)) for t in turns)
        # Whoever reads meanwhile in another thread must not see the second half of it and pass over the first.
        with self._lock:
            _many(self._database, "insert into turns values (?, ?, ?, ?)", rows)

    def move(self, part: SentPart, first: SentPart, second: SentPart, last: int) -> None:
        """Take in that the items of a part are in two others now: up to a number in the first."""
        with self._lock, _no_room():
            self._database.execute(
                "update turns set part = ? where part = ? and n <= ?", (first.number, part.number, last)
            )
            self._database.execute("update turns set part = ? where part = ?", (second.number, part.number))

    def next(self, after: int, most: int) -> list[Turn]:
        """Return what stands at the next places after one, and forget what stood before."""
        with self._lock, _no_room():
            self._database.execute("delete from turns where place <= ?", (after,))
            found = self._database.execute("select * from turns order by place limit ?", (most,)).fetchall()
        # It was pickled by this process, into a file that has no name.
        return [Turn(place, part, n, None if item is None else pickle.loads(item)) for place, part, n, item in found]  # noqa: S301


def move_rows(parts: SentParts, part: SentPart, first: SentPart, second: SentPart, count: int, cut: int) -> int:
    """Move the items of a part that was not sent into two others, and return the last number in the first.

    Args:
        parts: The index.
        part: The part, which is forgotten.
        first: Gets its first items.
        second: Gets the others.
        count: How many the first gets.
        cut: The offset of the second's first request in the spool.
    """
    nth = "select n from sent where part = ? order by n limit 1 offset ?"
    (last,) = parts._execute(nth, (part.number, count - 1)).fetchone()
    parts._execute("update sent set part = ? where part = ? and n <= ?", (first.number, part.number, last))
    parts._execute("update sent set part = ?, asked = asked - ? where part = ?", (second.number, cut, part.number))
    first.count = first.left = count
    second.count = second.left = part.count - count
    parts.end(part)
    return int(last)


def sent_lines(parts: SentParts, part: SentPart, size: int) -> Iterator[bytes]:
    """Yield the lines of a journal about the items of a part, some at a time."""
    cursor = parts._execute("select n, digest, key from sent where part = ? order by n", (part.number,))
    while found := cursor.fetchmany(size):
        yield b"".join(SentItem(n, digest + 2**63, key, part.mark).to_line() for n, digest, key in found)


def still_at_the_service(path: str | os.PathLike[str], parts: SentParts) -> JournalMismatch:
    """Return why a run that asks from here cannot continue: it would pay again for what the service works on."""
    count, items = len(parts.known), sum(part.left for part in parts.known.values())
    some = "a batch that the service" if count == 1 else f"{count} batches that the service"
    names = ", ".join(part.batch or part.mark for part in [*parts.known.values()][:3])
    return JournalMismatch(
        f"the journal {os.fspath(path)} has {some} may be working on ({names}), with {items:,} items",
        Remedy("to collect their results, pass ", Argument("engine", "server")),
        path=os.fspath(path),
    )


@contextmanager
def _no_room() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise GemtuneError(
            f"the index of what was sent, an unnamed file in the system's temporary folder, failed: {error}; "
            "make room there, or set TMPDIR, and run again"
        ) from None


def _many(database: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    with _no_room():
        database.executemany(statement, rows)


def _row(found: tuple[int, int, bytes | None, int, int | None, int | None, int | None]) -> SentRow:
    n, digest, key, place, at, failed, asked = found
    return SentRow(n, digest + 2**63, None if key is None else _key(key), place, at, bool(failed), asked)


def _signed(digest: int) -> int:
    return digest - 2**63  # an SQLite integer has a sign


def _json(key: Key | None) -> bytes | None:
    return None if key is None else dumps(key)


def _key(text: bytes) -> Key:
    return str(loads(text)) if text.startswith(b'"') else int(text)
