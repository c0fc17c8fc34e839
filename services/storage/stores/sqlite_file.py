"""A SQLite file as a store opens it: connection, migrations, epoch, and the few facts that are read everywhere."""

import os
import secrets
import sqlite3
from importlib import resources
from pathlib import Path

import structlog

from services.kernel.model.ids import LogId, Seq
from services.storage.stores.holding import Holding

_BUSY_MS = 2_000
_PIECE = 1024 * 1024

log = structlog.get_logger()


def head_of(db: sqlite3.Connection, room: str) -> tuple[int, int]:
    """Highest seq and receive time of a room, kept or forgotten; zeros when it has none."""
    row = db.execute("SELECT seq, at FROM message WHERE room=? ORDER BY seq DESC LIMIT 1", (room,)).fetchone()
    row = row or db.execute("SELECT seq, at FROM floor WHERE room=?", (room,)).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def floor_of(db: sqlite3.Connection, room: str) -> Seq:
    """Highest seq that was forgotten."""
    row = db.execute("SELECT seq FROM floor WHERE room=?", (room,)).fetchone()
    return Seq(row[0] if row else 0)


def version_of(db: sqlite3.Connection) -> int:
    """Number of the last migration."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def last_mark(db: sqlite3.Connection) -> int:
    """Counts every row that this file has ever taken, and every floor that rose; never sinks."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name='message'").fetchone()
    return int(row[0]) if row else 0


def next_mark(db: sqlite3.Connection) -> int:
    """Counts one more; no row will have this number."""
    db.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name='message'")
    return last_mark(db)


def epoch_of(db: sqlite3.Connection) -> int:
    """Whose turn it is to write."""
    return int(db.execute("SELECT number FROM epoch").fetchone()[0])


def take_over(db: sqlite3.Connection, holding: Holding) -> int:
    """Begins an epoch, which ends every earlier writer's. A file that is behind its mark was put back to an
    earlier state: its next rows would reuse numbers that readers hold, so it becomes another log."""
    db.execute("BEGIN IMMEDIATE")
    log_id, stands = LogId(db.execute("SELECT log_id FROM log").fetchone()[0]), last_mark(db)
    marked = holding.marked(log_id)
    if stands < marked:
        db.execute("UPDATE log SET log_id=?", (secrets.token_hex(8),))
        log.warning("store.restored", mark=stands, mark_before=marked)
    db.execute("UPDATE epoch SET number = number + 1")
    epoch = epoch_of(db)
    db.execute("COMMIT")
    return epoch


def connect(path: Path) -> sqlite3.Connection:
    """A connection that syncs every commit."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA trusted_schema=OFF")
    return db


def write_again(db: sqlite3.Connection, path: Path) -> None:
    """Writes the bytes of the -wal file once more and syncs them, with every writer kept out.

    After a sync that failed the kernel shows bytes that the disk does not have, and no later sync brings them there
    (decision 006). Nothing may be built on them before they are written anew. Raises OSError when they cannot be.
    """
    db.execute("BEGIN IMMEDIATE")
    with open(path.with_name(path.name + "-wal"), "r+b", buffering=0) as wal:
        at = 0
        while piece := os.pread(wal.fileno(), _PIECE, at):
            at += os.pwrite(wal.fileno(), piece, at)
        os.fdatasync(wal.fileno())
    db.execute("ROLLBACK")


def migrate(db: sqlite3.Connection) -> None:
    """Brings the schema forward, one numbered file after the other, each with its version in one transaction."""
    folder = resources.files("services.storage.stores") / "sql" / "sqlite"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number = int(file.name[:4])
        if number > version_of(db):
            script = file.read_text("utf-8")
            db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")
    if db.execute("SELECT count(*) FROM log").fetchone()[0] == 0:
        db.execute("INSERT INTO log VALUES (?)", (secrets.token_hex(8),))
