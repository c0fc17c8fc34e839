"""What the store suite needs to know about one kind of store: how to open it, its clock, how to break it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Protocol

from services.kernel.model.ids import Cursor, RoomId, Seq
from services.kernel.wire.rows import Appended, Received, Row, Span
from services.storage.stores.base import Store
from tests.fakes.manual_clock import ManualClock
from tests.fakes.people import ROOM, received, text_of


class StoreWorld(Protocol):
    """One medium and the clock its store reads."""

    clock: ManualClock

    def open(self) -> Store:
        """A store on the medium, new or as it was left."""
        ...

    def failing(self, store: Store) -> AbstractContextManager[None]:
        """Inside the block the medium takes nothing."""
        ...


@asynccontextmanager
async def opened(world: StoreWorld) -> AsyncIterator[Store]:
    """The world's store, closed at the end."""
    store = world.open()
    try:
        yield store
    finally:
        await store.aclose()


async def put(store: Store, *ids: str, room: str = ROOM) -> Sequence[Appended]:
    """Appends one guest text per id in one batch."""
    return await store.append([received(each, room=room, text=each) for each in ids])


async def put_one(store: Store, message: Received) -> Appended:
    """Appends a batch of one."""
    [placed] = await store.append([message])
    return placed


def at(store: Store, seq: int) -> Cursor:
    """A cursor of this store."""
    return Cursor(store.log_id, Seq(seq))


def seqs(rows: Sequence[Row]) -> list[int]:
    """Their numbers."""
    return [row.seq for row in rows]


async def texts(store: Store, span: Span, room: RoomId = ROOM) -> list[str]:
    """What the text rows of a span say."""
    page = await store.after(room, Cursor(span.log_id, span.after), 1_000)
    return [text_of(row.env) for row in page.rows if row.seq <= span.upto and row.kind == "text"]
