"""A Store in memory: the protocol of services/storage/stores/base.py in its plainest form."""

import secrets
from collections.abc import Sequence

from services.kernel.model.clock import Clock
from services.kernel.model.errors import unavailable
from services.kernel.model.ids import Cursor, LogId, MessageId, PeerId, RoomId, Seq
from services.kernel.wire.rows import Appended, Page, Received, Row, Span
from services.storage.stores.base import Growth, received_at, reset_reason


class _Log:
    """One room: its rows, where it stands, and which messages it knows."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.head, self.floor, self.at, self.moment = Seq(0), Seq(0), 0, 0.0
        self.known: dict[tuple[PeerId, MessageId], tuple[Row, bytes]] = {}

    def forget(self, upto: Seq) -> int:
        """Drops rows up to this seq."""
        self.floor = max(self.floor, min(upto, self.head))
        kept = [row for row in self.rows if row.seq > self.floor]
        gone = len(self.rows) - len(kept)
        self.rows = kept
        self.known = {(row.sender, row.id): self.known[row.sender, row.id] for row in kept}
        return gone


class MemoryStore:
    """Keeps everything until the object goes. While `failing` is set, every method raises as for a broken disk."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log_id = LogId(secrets.token_hex(8))
        self._rooms: dict[RoomId, _Log] = {}
        self._changed: list[RoomId] = []
        self._keys: dict[PeerId, str] = {}
        self.failing = False

    @property
    def log_id(self) -> LogId:
        """See Store.log_id."""
        return self._log_id

    def head(self, room: RoomId) -> Seq:
        """Where a room stands, without waiting."""
        return self._rooms[room].head if room in self._rooms else Seq(0)

    async def append(self, batch: Sequence[Received]) -> Sequence[Appended]:
        """See Store.append."""
        await self.ready()
        return [self._insert(message) for message in batch]

    async def after(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """See Store.after."""
        log = await self._read(room)
        reset = reset_reason(self._log_id, log.floor, log.head, cursor)
        rows = [row for row in log.rows if cursor is None or row.seq > cursor.seq]
        return Page(self._log_id, log.floor, log.head, [] if reset else rows[:limit], reset)

    async def before(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """See Store.before."""
        log = await self._read(room)
        reset = reset_reason(self._log_id, log.floor, log.head, cursor)
        rows = [row for row in reversed(log.rows) if cursor is None or row.seq <= cursor.seq]
        return Page(self._log_id, log.floor, log.head, [] if reset else rows[:limit], reset)

    async def since(self, room: RoomId, second: int, limit: int) -> Span:
        """See Store.since."""
        log = await self._read(room)
        texts = [row for row in log.rows if row.kind == "text" and row.at // 1000 > second]
        if not texts:
            return Span(self._log_id, log.head, log.head)
        after = Seq(texts[0].seq - 1)
        if len(texts) <= limit:
            return Span(self._log_id, after, log.head)
        end = max(texts[limit].at // 1000 - 1, texts[0].at // 1000)
        upto = max(row.seq for row in log.rows if row.at // 1000 <= end)
        more = any(row.at // 1000 > end for row in texts)
        return Span(self._log_id, after, upto, end if more else None)

    async def moved(self, mark: int | None) -> Growth:
        """See Store.moved; the mark counts appended rows and floors that rose."""
        await self.ready()
        last = len(self._changed)
        rooms = sorted(set(self._changed[mark:])) if mark is not None else []
        stands = [(room, self._rooms[room].head, self._rooms[room].floor) for room in rooms]
        return Growth(self._log_id, last, stands)

    async def forget(self, room: RoomId, upto: Seq) -> int:
        """See Store.forget."""
        gone = (await self._read(room)).forget(upto)
        if gone:
            self._changed.append(room)
        return gone

    async def ready(self) -> None:
        """See Store.ready."""
        if self.failing:
            raise unavailable("the memory store was told to fail")

    async def aclose(self) -> None:
        """See Store.aclose."""
        self.failing = True

    async def _read(self, room: RoomId) -> _Log:
        await self.ready()
        return self._rooms.get(room) or _Log()

    def _insert(self, message: Received) -> Appended:
        log = self._rooms.setdefault(message.room, _Log())
        if (known := log.known.get((message.sender, message.id))) is not None:
            row, digest = known
            return Appended(self._log_id, row.seq, row.at, fresh=False, conflict=digest != message.digest)
        now, log.head = self._clock.now(), Seq(log.head + 1)
        at = received_at(self._clock.wall_ms(), log.at, now - log.moment)
        if at > log.at:
            log.at, log.moment = at, now
        if message.pk is not None:
            self._keys.setdefault(message.sender, message.pk)
        pk = self._keys.get(message.sender)
        row = Row(log.head, log.at, message.sender, message.id, message.kind, message.env, message.sig, pk)
        log.rows.append(row)
        log.known[message.sender, message.id] = (row, message.digest)
        self._changed.append(message.room)
        return Appended(self._log_id, row.seq, row.at, fresh=True)
