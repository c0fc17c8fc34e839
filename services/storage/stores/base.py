"""What a store promises; the contract suite in tests/contract/store_suite.py holds every implementation to it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.kernel.model.ids import Cursor, LogId, RoomId, Seq
from services.kernel.wire.rows import Appended, Page, Received, Span


class Growth(msgspec.Struct, frozen=True):
    """Answer to `moved`: the mark of now; head and floor of every room that changed since the asked mark."""

    log_id: LogId
    mark: int
    rooms: Sequence[tuple[RoomId, Seq, Seq]]


class Store(Protocol):
    """One log of messages. Methods raise Fault(UNAVAILABLE) when the medium fails; then nothing was stored."""

    @property
    def log_id(self) -> LogId:
        """64 random bits, new whenever the log was made anew or restored."""
        ...

    async def append(self, batch: Sequence[Received]) -> Sequence[Appended]:
        """Stores the batch in one transaction, in order; on disk when it returns.

        `at` is the clock's time; see `received_at` for a clock that was set back.
        A (room, sender, id) that is known returns its first seq and time with fresh=False, or
        conflict=True when its digest differs. seq is contiguous per room from 1.
        """
        ...

    async def after(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """Rows with seq above the cursor, oldest first; None starts at the floor.

        A cursor of another log, above the head or below the floor gives a page with `reset`.
        """
        ...

    async def before(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """Rows with seq at or below the cursor, newest first; None starts at the head. Resets as `after`."""
        ...

    async def since(self, room: RoomId, second: int, limit: int) -> Span:
        """Which rows of kind text are strictly newer than this Unix second.

        At most `limit` of them and never cut inside a second: a single second with more is whole.
        """
        ...

    async def moved(self, mark: int | None) -> Growth:
        """Every room that grew or whose floor rose since the mark; None asks only for the mark of now."""
        ...

    async def forget(self, room: RoomId, upto: Seq) -> int:
        """Deletes rows with seq ≤ upto and raises the floor; returns how many went."""
        ...

    async def ready(self) -> None:
        """Returns when the store can write; raises Fault(UNAVAILABLE) otherwise."""
        ...

    async def aclose(self) -> None:
        """Ends it; idempotent."""
        ...


def received_at(wall_ms: int, last: int, passed_s: float) -> int:
    """When a message came into a room whose last one came at `last`, so many seconds ago: never earlier.

    Behind a clock that was set back, time goes on at half speed until the clock has caught up: by whole seconds
    (`since`) the messages of a stopped time could not be told apart.
    """
    return wall_ms if wall_ms >= last else last + int(passed_s * 500)


def reset_reason(log_id: LogId, floor: Seq, head: Seq, cursor: Cursor | None) -> str | None:
    """Why this cursor cannot be used in a room that stands at floor and head, or None."""
    if cursor is None:
        return None
    if cursor.log_id != log_id:
        return "log"
    if cursor.seq > head:
        return "above_head"
    if cursor.seq < floor:
        return "below_floor"
    return None
