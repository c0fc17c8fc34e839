"""One SQLite file: WAL, synchronous=FULL, one writer; seq lives in memory and is restored from the table."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from services.kernel.model.clock import Clock
from services.kernel.model.errors import unavailable
from services.kernel.model.ids import Cursor, LogId, RoomId, Seq
from services.kernel.wire.rows import Appended, Page, Received, Row, Span
from services.storage.stores.base import Growth, received_at, reset_reason
from services.storage.stores.holding import Holding
from services.storage.stores.sqlite_file import (
    connect,
    epoch_of,
    floor_of,
    head_of,
    last_mark,
    migrate,
    next_mark,
    take_over,
    version_of,
    write_again,
)

T = TypeVar("T")

_SLOW_COMMIT_S = 0.005
_KNOWN_ROOMS = 50_000
_COLUMNS = "m.seq, m.at, m.sender, m.id, m.kind, m.env, m.sig, s.pk"
_FROM = "FROM message m LEFT JOIN sender s ON s.peer = m.sender"
_MOVED = """
    SELECT moved.room, max(moved.seq, ifnull(f.seq, 0)), ifnull(f.seq, 0)
    FROM (SELECT room, max(seq) AS seq FROM
            (SELECT room, seq FROM message WHERE rowid>? AND rowid<=?
             UNION ALL
             SELECT room, (SELECT ifnull(max(seq), 0) FROM message m WHERE m.room=risen.room)
             FROM floor risen WHERE mark>? AND mark<=?)
          GROUP BY room) moved
    LEFT JOIN floor f ON f.room=moved.room
"""

log = structlog.get_logger()


class _Stand(msgspec.Struct):
    """Where a room stands: head seq, receive time of the head, own origin counter; `moment` is when `at` was reached,
    by the monotonic clock."""

    head: int
    at: int
    oseq: int
    moment: float


class Replaced(Exception):
    """Another process has opened the database since: this one's rows are not its any more."""


class SqliteStore:
    """A Store in one file. Open it with `open_sqlite`."""

    def __init__(self, path: Path, holding: Holding, clock: Clock) -> None:
        self._clock = clock
        self._holding = holding
        self._writer = connect(path)
        write_again(self._writer, path)
        migrate(self._writer)
        self._epoch = take_over(self._writer, holding)
        self._reader = connect(path)
        self._reader.execute("PRAGMA query_only=ON")
        self._log_id = LogId(self._writer.execute("SELECT log_id FROM log").fetchone()[0])
        self._stands: dict[str, _Stand] = {}
        self._thread = ThreadPoolExecutor(1, "commit")
        self._writing = asyncio.Lock()
        self._commit_s = 0.0
        self._closed = False

    @property
    def log_id(self) -> LogId:
        """This file's log."""
        return self._log_id

    async def append(self, batch: Sequence[Received]) -> Sequence[Appended]:
        """See Store.append. Runs inline while commits are fast, in a thread while they are not."""
        return await self._write(lambda: self._append(batch))

    async def forget(self, room: RoomId, upto: Seq) -> int:
        """See Store.forget."""
        return await self._write(lambda: self._forget(room, upto))

    async def ready(self) -> None:
        """See Store.ready: takes and gives back the write lock, and writes a page."""
        await self._write(lambda: self._writer.execute(f"PRAGMA user_version={version_of(self._writer)}"))

    async def _write(self, work: Callable[[], T]) -> T:
        async with self._writing:
            if self._closed:
                raise unavailable("the database is closed")
            started = time.perf_counter()
            try:
                if self._commit_s > _SLOW_COMMIT_S:
                    return await self._in_thread(work)
                return self._commit(work)
            finally:
                self._commit_s = 0.9 * self._commit_s + 0.1 * (time.perf_counter() - started)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._commit, work)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    def _commit(self, work: Callable[[], T]) -> T:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            if epoch_of(self._writer) != self._epoch:
                raise Replaced("another process has taken the database over")
            result = work()
            self._writer.execute("COMMIT")
        except BaseException as problem:
            self._stands.clear()
            if self._writer.in_transaction:
                self._writer.rollback()
            if isinstance(problem, sqlite3.Error):
                log.error("store.refused", problem=str(problem))
                raise unavailable(f"the database refuses to write: {problem}") from problem
            raise
        self._holding.note(self._log_id, last_mark(self._writer))
        return result

    def _append(self, batch: Sequence[Received]) -> Sequence[Appended]:
        return [self._insert(message) for message in batch]

    def _insert(self, message: Received) -> Appended:
        stand = self._stands.get(message.room) or self._restore(message.room)
        now = self._clock.now()
        at = received_at(self._clock.wall_ms(), stand.at, now - stand.moment)
        seq, oseq = stand.head + 1, stand.oseq + 1
        done = self._writer.execute(
            "INSERT INTO message (room, seq, at, sender, id, kind, digest, env, sig)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (room, sender, id) DO NOTHING",
            (message.room, seq, at, message.sender, message.id, message.kind, message.digest,
             message.env, message.sig),
        )  # fmt: skip
        if done.rowcount == 0:
            return self._known(message)
        self._writer.execute(
            "INSERT INTO origin VALUES (?, ?, ?, ?)", (message.room, self._log_id, oseq, seq)
        )
        if message.pk is not None:
            self._writer.execute("INSERT OR IGNORE INTO sender VALUES (?, ?)", (message.sender, message.pk))
        if at > stand.at:
            stand.at, stand.moment = at, now
        stand.head, stand.oseq = seq, oseq
        return Appended(self._log_id, Seq(seq), at, fresh=True)

    def _known(self, message: Received) -> Appended:
        seq, at, digest = self._writer.execute(
            "SELECT seq, at, digest FROM message WHERE room=? AND sender=? AND id=?",
            (message.room, message.sender, message.id),
        ).fetchone()
        return Appended(self._log_id, Seq(seq), at, fresh=False, conflict=digest != message.digest)

    def _restore(self, room: str) -> _Stand:
        if len(self._stands) >= _KNOWN_ROOMS:
            self._stands.clear()
        head, at = head_of(self._writer, room)
        (oseq,) = self._writer.execute(
            "SELECT ifnull(max(oseq), 0) FROM origin WHERE room=? AND log_id=?", (room, self._log_id)
        ).fetchone()
        stand = self._stands[room] = _Stand(head, at, oseq, self._clock.now())
        return stand

    def _forget(self, room: RoomId, upto: Seq) -> int:
        head, at = head_of(self._writer, room)
        upto = Seq(min(upto, head))
        if upto <= floor_of(self._writer, room):
            return 0
        gone = self._writer.execute("DELETE FROM message WHERE room=? AND seq<=?", (room, upto)).rowcount
        self._writer.execute(
            "INSERT OR REPLACE INTO floor (room, seq, at, mark) VALUES (?, ?, ?, ?)",
            (room, upto, at, next_mark(self._writer)),
        )
        return gone

    def _read(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as problem:
            log.error("store.unreadable", problem=str(problem))
            raise unavailable(f"the database cannot be read: {problem}") from problem

    async def after(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """See Store.after."""
        return self._read(lambda: self._page(room, cursor, limit, newest_first=False))

    async def before(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """See Store.before."""
        return self._read(lambda: self._page(room, cursor, limit, newest_first=True))

    def _page(self, room: RoomId, cursor: Cursor | None, limit: int, *, newest_first: bool) -> Page:
        head, floor = Seq(head_of(self._reader, room)[0]), floor_of(self._reader, room)
        reset = reset_reason(self._log_id, floor, head, cursor)
        if reset is not None:
            return Page(self._log_id, floor, head, [], reset)
        if newest_first:
            where, bound = "m.seq<=? ORDER BY m.seq DESC", cursor.seq if cursor else head
        else:
            where, bound = "m.seq>? ORDER BY m.seq", cursor.seq if cursor else floor
        found = self._reader.execute(f"SELECT {_COLUMNS} {_FROM} WHERE m.room=? AND {where} LIMIT ?",
                                     (room, bound, limit))  # fmt: skip
        rows = [Row(*row) for row in found]
        if not newest_first and rows:
            head = max(head, rows[-1].seq)
        return Page(self._log_id, floor, head, rows)

    async def since(self, room: RoomId, second: int, limit: int) -> Span:
        """See Store.since."""
        return self._read(lambda: self._since(room, second, limit))

    def _since(self, room: RoomId, second: int, limit: int) -> Span:
        begin_ms = (second + 1) * 1000
        head = head_of(self._reader, room)[0]
        first = self._reader.execute(
            "SELECT seq FROM message WHERE room=? AND at>=? AND kind='text' ORDER BY at, seq LIMIT 1",
            (room, begin_ms),
        ).fetchone()
        if first is None:
            return Span(self._log_id, Seq(head), Seq(head))
        over = self._reader.execute(
            "SELECT at FROM message WHERE room=? AND seq>=? AND kind='text' ORDER BY seq LIMIT 1 OFFSET ?",
            (room, first[0], limit),
        ).fetchone()
        after = Seq(first[0] - 1)
        if over is None:
            return Span(self._log_id, after, Seq(head))
        return self._cut(room, after, head, over[0] // 1000)

    def _cut(self, room: str, after: Seq, head: int, second: int) -> Span:
        """Ends before the second in which the limit fell, or after it when it is the only one."""
        for end in (second, second + 1):
            row = self._reader.execute(
                "SELECT seq FROM message WHERE room=? AND at>=? ORDER BY at, seq LIMIT 1", (room, end * 1000)
            ).fetchone()
            if row is None:
                return Span(self._log_id, after, Seq(head))
            if row[0] - 1 > after:
                return Span(self._log_id, after, Seq(row[0] - 1), next_since=end - 1)
        raise AssertionError("a second in which rows stand has an end")

    async def moved(self, mark: int | None) -> Growth:
        """See Store.moved; the mark is `last_mark`."""
        return self._read(lambda: self._moved(mark))

    def _moved(self, mark: int | None) -> Growth:
        last = last_mark(self._reader)
        if mark is None:
            return Growth(self._log_id, last, [])
        found = self._reader.execute(_MOVED, (mark, last, mark, last))
        rooms = [(RoomId(room), Seq(head), Seq(floor)) for room, head, floor in found]
        return Growth(self._log_id, max(mark, last), rooms)

    async def aclose(self) -> None:
        """See Store.aclose."""
        if not self._closed:
            self._closed = True
            self._thread.shutdown()
            self._reader.close()
            self._writer.close()
            self._holding.close()


def open_sqlite(path: Path, clock: Clock) -> SqliteStore:
    """The store in this file, made when missing.

    Raises StoreInUse when another process holds it (the holder's pid is in the text), OSError or
    sqlite3.Error when the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    holding = Holding(path)
    try:
        return SqliteStore(path, holding, clock)
    except BaseException:
        holding.close()
        raise
