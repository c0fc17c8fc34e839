"""Who holds a SQLite file: a lock that dies with its process, and a mark beside it of how far the log had come.

The mark lies outside the database, so a database that was put back to an earlier state is found out by it.
"""

import contextlib
import fcntl
import os
import re
from pathlib import Path

from services.kernel.model.ids import LogId

_MARK = re.compile(rb"([0-9a-f]{16}) ([0-9]{20})\n")


class StoreInUse(Exception):
    """Another process holds the database."""


class Holding:
    """The lock and the mark of one database, for as long as it is open."""

    def __init__(self, path: Path) -> None:
        """Raises StoreInUse naming the holder, OSError when the files beside the database cannot be written."""
        self._lock = open(path.with_name(path.name + ".lock"), "a+", encoding="ascii")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise StoreInUse(f"{path} is held by process {holder}") from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self._mark = os.open(
            path.with_name(path.name + ".mark"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )

    def marked(self, log_id: LogId) -> int:
        """How far this log had come when that was last noted; 0 when the mark is another log's."""
        found = _MARK.fullmatch(os.pread(self._mark, 64, 0))
        return int(found[2]) if found is not None and found[1] == log_id.encode() else 0

    def note(self, log_id: LogId, mark: int) -> None:
        """Notes what is durable. Not synced: a mark that lost its last steps claims less, never more."""
        with contextlib.suppress(OSError):  # a full disk: the mark stays behind
            os.pwrite(self._mark, b"%s %020d\n" % (log_id.encode(), mark), 0)

    def close(self) -> None:
        """Lets the database go."""
        os.close(self._mark)
        self._lock.close()
