"""Pure: who is seen in a room, and what changes of it the others are told."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from services.kernel.model.ids import reference_name
from services.kernel.wire.frames import PeerJoined, PeerLeft, PeerNamed
from services.kernel.wire.limits import LEAVE_GRACE_S
from services.kernel.wire.roster import Came, Entry, Key, Left, Signalled

Change = PeerJoined | PeerLeft | PeerNamed
C = TypeVar("C", PeerJoined, PeerLeft, PeerNamed)


class View:
    """The sessions of one room as one replica sees them.

    Events make it quick, snapshots of the shared roster make it right: a session that no snapshot
    of the last ten seconds had is gone. Snapshots that could not be read change nothing.
    """

    def __init__(self, room: str) -> None:
        self.entries: dict[Key, Entry] = {}
        self._room = room
        self._missing: dict[Key, float] = {}

    def event(self, event: Came | Left) -> list[Change]:
        """What an event of another replica, or an own one, changes."""
        if isinstance(event, Came):
            self._missing.pop(event.entry.key, None)
            return self._came(event.entry)
        key = (event.peer, event.session)
        known = self.entries.get(key)
        return [] if known is not None and known.since > event.since else self._left(key)

    def snapshot(self, found: Mapping[Key, Entry], mine: set[Key], now: float) -> list[Change]:
        """What a snapshot of live entries changes; `mine` are sessions with a socket here, never missed."""
        changes: list[Change] = []
        for each in found.values():
            if not each.gone:
                self._missing.pop(each.key, None)
                changes += self._came(each)
        for key in list(self.entries):
            here = found.get(key)
            if key in mine or (here is not None and not here.gone):
                continue
            if here is not None and here.since >= self.entries[key].since:
                self.entries[key] = here
            if now - self._missing.setdefault(key, now) >= LEAVE_GRACE_S:
                changes += self._left(key)
        return changes

    def _came(self, each: Entry) -> list[Change]:
        old = self.entries.get(each.key)
        if old is not None and old.since > each.since:
            return []
        self.entries[each.key] = each
        if old is None:
            return [self._told(PeerJoined, each)]
        if old.name != each.name:
            return [self._told(PeerNamed, each)]
        return []

    def _left(self, key: Key) -> list[Change]:
        self._missing.pop(key, None)
        each = self.entries.pop(key, None)
        return [self._told(PeerLeft, each)] if each is not None else []

    def _told(self, kind: type[C], each: Entry) -> C:
        return kind(each.peer, self._room, each.session, each.name, each.verified)


def reachable(entries: Sequence[Entry], peer: str, session: str | None) -> bool:
    """Whether a signal's target is in the room."""
    return any(each.peer == peer and session in (None, each.session) for each in entries)


class _ReferenceSignal(msgspec.Struct, omit_defaults=True):
    type: str
    peer_id: str
    payload: msgspec.Raw
    target_peer_id: str | None = None


class _ReferenceJoined(msgspec.Struct):
    type: str
    peer_id: str
    room: str


_json = msgspec.json.Encoder().encode


def reference_signal(event: Signalled) -> bytes:
    """A signal as a reference client gets it."""
    target = reference_name(event.target_peer) if event.target_peer else None
    return _json(_ReferenceSignal(event.kind, reference_name(event.peer), msgspec.Raw(event.payload), target))


def reference_joined(peer: str, room: str) -> bytes:
    """That somebody came, as a reference client gets it."""
    return _json(_ReferenceJoined("peer_joined", reference_name(peer), room))
