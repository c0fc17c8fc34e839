"""How far each session of a room is: watermarks, how they merge, and who has not been told of them yet (pure).

A watermark is a session's own word about its own page; it lives as long as the session (decision 010).
"""

from collections.abc import Iterable

import msgspec

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import LogId, PeerId, SessionId, parse_log_id
from services.kernel.wire.frames import ReceiptRow

Key = tuple[PeerId, SessionId]


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """This log up to `got` is in the session's page, up to `read` it was on its screen."""

    log_id: LogId
    got: int
    read: int


Word = tuple[PeerId, SessionId, Mark]


def parse(log_id: str, got: int, read: int) -> Mark:
    """The mark that a client's frame gives; raises Fault(BAD_REQUEST)."""
    if read > got:
        raise Fault(ErrorCode.BAD_REQUEST, "what was read is held: read is at most got")
    return Mark(parse_log_id(log_id), got, read)


def later(known: Mark | None, new: Mark, log_id: LogId | None = None) -> Mark | None:
    """What a session's word comes to beside an earlier one, None when it says nothing new.

    `log_id` is the log that the room has, as far as that is known: a word about another changes nothing then.
    """
    if known is None or known.log_id != new.log_id:
        return None if known is not None and known.log_id == log_id else new
    merged = Mark(new.log_id, max(known.got, new.got), max(known.read, new.read))
    return None if merged == known else merged


def rows_of(words: Iterable[Word], log_id: LogId, head: int) -> list[ReceiptRow]:
    """What clients are told: words about this log, none of them beyond its head."""
    return [
        ReceiptRow(peer, session, min(mark.got, head), min(mark.read, head))
        for peer, session, mark in words
        if mark.log_id == log_id
    ]


class Marks:
    """The words of one room's sessions as one process knows them."""

    def __init__(self) -> None:
        self._known: dict[Key, Mark] = {}
        self._told: dict[Key, ReceiptRow] = {}
        self._untold: set[Key] = set()
        self._own: set[Key] = set()

    @property
    def waiting(self) -> bool:
        """Whether clients, or the other processes, may have something to be told."""
        return bool(self._untold or self._own)

    def of(self, key: Key) -> Mark | None:
        """The newest word of a session."""
        return self._known.get(key)

    def take(self, key: Key, mark: Mark, log_id: LogId, *, own: bool = False) -> bool:
        """A word that came in, `own` from a session of this process; whether it says something new."""
        merged = later(self._known.get(key), mark, log_id)
        if merged is None:
            return False
        self._known[key] = merged
        self._untold.add(key)
        if own:
            self._own.add(key)
        return True

    def drop(self, key: Key) -> None:
        """The session has left."""
        for held in (self._known, self._told):
            held.pop(key, None)
        self._untold.discard(key)
        self._own.discard(key)

    def again(self) -> None:
        """The room has another log: what was said of that one before may count now."""
        self._told.clear()
        self._untold = set(self._known)

    def rows(self, log_id: LogId, head: int) -> list[ReceiptRow]:
        """What a newcomer is told."""
        return rows_of(((*key, mark) for key, mark in self._known.items()), log_id, head)

    def fresh(self, log_id: LogId, head: int) -> list[ReceiptRow]:
        """What has not been told yet; a word beyond the head waits until the log has come there."""
        found: list[ReceiptRow] = []
        for key in list(self._untold):
            mark = self._known[key]
            if mark.log_id != log_id or mark.got <= head:
                self._untold.discard(key)
            for row in rows_of([(*key, mark)], log_id, head):
                if self._told.get(key) != row:
                    self._told[key] = row
                    found.append(row)
        return found

    def said(self) -> list[Word]:
        """The own words that the other processes have not been told of."""
        found = [(*key, self._known[key]) for key in self._own]
        self._own.clear()
        return found
