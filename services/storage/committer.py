"""Group commit: everything that waits goes into one transaction, then acks, then one hint per room."""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from services.kernel.bus import subjects
from services.kernel.bus.base import Bus
from services.kernel.model.errors import ErrorCode, Fault, unavailable
from services.kernel.model.ids import RoomId, Seq
from services.kernel.wire.limits import HINT_ROWS_BYTES
from services.kernel.wire.rows import Appended, Hint, Received, Row, encode_hint
from services.storage.pacing import next_start
from services.storage.stores.base import Store

_MOST_ROWS = 1_000
_MOST_WAITING = 20_000

log = structlog.get_logger()

Group = tuple[Sequence[Received], "asyncio.Future[Sequence[Appended]]"]


class Committer:
    """Feeds one store. `gap` is the pacing in seconds; see `pacing`. `failing`: the last commit did not succeed."""

    def __init__(self, store: Store, bus: Bus, hint_key: bytes, gap: float = 0.002) -> None:
        self._store, self._bus, self._hint_key, self._gap = store, bus, hint_key, gap
        self._waiting: deque[Group] = deque()
        self._rows = 0
        self._busy = False
        self.failing = False
        self._wake = asyncio.Event()

    async def append(self, batch: Sequence[Received]) -> Sequence[Appended]:
        """Where each message stands, once all are on disk; raises Fault(UNAVAILABLE) when none are."""
        if self._rows + len(batch) > _MOST_WAITING:
            raise unavailable("too many messages wait for the disk")
        done: asyncio.Future[Sequence[Appended]] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, done))
        self._rows += len(batch)
        self._wake.set()
        return await done

    async def run(self) -> None:
        """Commits until cancelled; cancelling lets a transaction under way end."""
        loop = asyncio.get_running_loop()
        last_start = -self._gap
        while True:
            await self._wake.wait()
            await asyncio.sleep(next_start(loop.time(), last_start, self._gap) - loop.time())
            last_start = loop.time()
            self._busy = True
            await self._commit(self._take())
            self._busy = False

    async def drain(self) -> None:
        """Returns when nothing waits any more, or after two seconds."""
        for _ in range(100):
            if not self._waiting and not self._busy:
                return
            await asyncio.sleep(0.02)

    def _take(self) -> list[Group]:
        groups: list[Group] = []
        rows = 0
        while self._waiting and (not groups or rows + len(self._waiting[0][0]) <= _MOST_ROWS):
            group = self._waiting.popleft()
            rows += len(group[0])
            groups.append(group)
        self._rows -= rows
        if not self._waiting:
            self._wake.clear()
        return groups

    async def _commit(self, groups: list[Group]) -> None:
        batch = [message for messages, _ in groups for message in messages]
        try:
            results = await self._store.append(batch)
        except Fault as fault:
            self.failing = True
            for _, done in groups:
                if not done.done():
                    done.set_exception(Fault(ErrorCode(fault.code), fault.detail, fault.retry))
            return
        self.failing = False
        start = 0
        for messages, done in groups:
            if not done.done():
                done.set_result(results[start : start + len(messages)])
            start += len(messages)
        self._tell(batch, results)

    def _tell(self, batch: Sequence[Received], results: Sequence[Appended]) -> None:
        rooms: dict[RoomId, list[Row]] = {}
        for message, placed in zip(batch, results, strict=True):
            if placed.fresh:
                rooms.setdefault(message.room, []).append(_row(message, placed))
        for room, rows in rooms.items():
            size = sum(len(row.env.encode()) for row in rows)
            hint = Hint(
                log_id=self._store.log_id,
                prev=Seq(rows[0].seq - 1),
                seq=rows[-1].seq,
                rows=rows if size <= HINT_ROWS_BYTES else None,
            )
            self._bus.publish(subjects.room_log(room), encode_hint(self._hint_key, room, hint))


def _row(message: Received, placed: Appended) -> Row:
    return Row(
        seq=placed.seq,
        at=placed.at,
        sender=message.sender,
        id=message.id,
        kind=message.kind,
        env=message.env,
        sig=message.sig,
        pk=message.pk,
    )
