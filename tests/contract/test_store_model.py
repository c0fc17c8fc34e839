"""SQLite and memory against a plain list: random appends, repeats, conflicts, pages, forgetting."""

import asyncio
import hashlib
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.kernel.model.ids import Cursor, LogId, MessageId, PeerId, RoomId, Seq
from services.kernel.wire.rows import Received
from services.storage.stores.base import Store
from services.storage.stores.sqlite import open_sqlite
from tests.fakes.manual_clock import ManualClock
from tests.fakes.memory_store import MemoryStore

ROOMS = [RoomId("a"), RoomId("A"), RoomId("%")]
LIMITS = st.integers(0, 5)
SAID = st.tuples(
    st.sampled_from(ROOMS),
    st.sampled_from(["guest:x", "guest:y"]),
    st.sampled_from("1234"),
    st.sampled_from("pq"),
)
Said = tuple[RoomId, str, str, str]
Kept = tuple[int, int, str, str, str]


def message(said: Said) -> Received:
    """A message that says its own content."""
    room, sender, id_, text = said
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return Received(room, PeerId(sender), MessageId(id_), "text", digest, text)


class StoreMachine(RuleBasedStateMachine):
    """Both stores get the same; what they answer must be what a list would."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.stores: list[Store] = [MemoryStore(self.clock)]
        self.open_file()
        self.rows: dict[RoomId, list[Kept]] = {room: [] for room in ROOMS}
        self.heads = dict.fromkeys(ROOMS, 0)
        self.floors = dict.fromkeys(ROOMS, 0)
        self.times = dict.fromkeys(ROOMS, 0)
        self.marks = [self.runner.run(store.moved(None)).mark for store in self.stores]
        self.grown: set[RoomId] = set()

    def open_file(self) -> None:
        path = Path(self.folder.name) / "chat.db"
        self.stores.append(self.runner.run(self._opened(path)))

    async def _opened(self, path: Path) -> Store:
        return open_sqlite(path, self.clock)

    @rule(batch=st.lists(SAID, max_size=6))
    def append(self, batch: list[Said]) -> None:
        expected = [self.expect(said) for said in batch]
        for store in self.stores:
            placed = self.runner.run(store.append([message(said) for said in batch]))
            assert [(each.seq, each.at, each.fresh, each.conflict) for each in placed] == expected
            assert {each.log_id for each in placed} <= {store.log_id}

    def expect(self, said: Said) -> tuple[int, int, bool, bool]:
        """What the model says of one append, which it then has made."""
        room, sender, id_, text = said
        for seq, at, *known, kept in self.rows[room]:
            if known == [sender, id_]:
                return seq, at, False, kept != text
        self.heads[room] += 1
        self.times[room] = max(self.times[room], self.clock.wall_ms())
        self.rows[room].append((self.heads[room], self.times[room], sender, id_, text))
        self.grown.add(room)
        return self.heads[room], self.times[room], True, False

    @rule(
        room=st.sampled_from(ROOMS), seq=st.none() | st.integers(0, 12), limit=LIMITS, foreign=st.booleans()
    )
    def after(self, room: RoomId, seq: int | None, limit: int, foreign: bool) -> None:
        wanted = [row for row in self.rows[room] if row[0] > (seq or 0)]
        self.page("after", room, None if seq is None else (seq, foreign), limit, wanted)

    @rule(
        room=st.sampled_from(ROOMS), seq=st.none() | st.integers(0, 12), limit=LIMITS, foreign=st.booleans()
    )
    def before(self, room: RoomId, seq: int | None, limit: int, foreign: bool) -> None:
        wanted = [row for row in reversed(self.rows[room]) if seq is None or row[0] <= seq]
        self.page("before", room, None if seq is None else (seq, foreign), limit, wanted)

    def page(
        self, way: str, room: RoomId, place: tuple[int, bool] | None, limit: int, wanted: list[Kept]
    ) -> None:
        """Asks both stores for a page and compares it with the model's."""
        head, floor = self.heads[room], self.floors[room]
        reset = None
        if place is not None:
            seq, foreign = place
            reset = (
                "log" if foreign else "above_head" if seq > head else "below_floor" if seq < floor else None
            )
        for store in self.stores:
            cursor = None
            if place is not None:
                cursor = Cursor(LogId("0" * 16) if place[1] else store.log_id, Seq(place[0]))
            page = self.runner.run(getattr(store, way)(room, cursor, limit))
            assert (page.log_id, page.head, page.floor, page.reset) == (store.log_id, head, floor, reset)
            got = [(row.seq, row.at, row.sender, row.id, row.env) for row in page.rows]
            assert got == ([] if reset else wanted[:limit])

    @rule(room=st.sampled_from(ROOMS), upto=st.integers(0, 12))
    def forget(self, room: RoomId, upto: int) -> None:
        floor = max(self.floors[room], min(upto, self.heads[room]))
        kept = [row for row in self.rows[room] if row[0] > floor]
        for store in self.stores:
            assert self.runner.run(store.forget(room, Seq(upto))) == len(self.rows[room]) - len(kept)
        if floor > self.floors[room]:
            self.grown.add(room)
        self.rows[room], self.floors[room] = kept, floor

    @rule(again=st.booleans())
    def moved(self, again: bool) -> None:
        expected = sorted((room, self.heads[room], self.floors[room]) for room in self.grown)
        for store, mark in zip(self.stores, self.marks, strict=True):
            assert sorted(self.runner.run(store.moved(mark)).rooms) == expected
        if again:
            self.marks = [
                self.runner.run(store.moved(mark)).mark
                for store, mark in zip(self.stores, self.marks, strict=True)
            ]
            self.grown.clear()

    @rule(ms=st.integers(-5_000, 5_000))
    def clock_leaps(self, ms: int) -> None:
        self.clock.leap_to(self.clock.wall_ms() + ms)

    @rule()
    def reopen(self) -> None:
        log_id = self.stores[1].log_id
        self.runner.run(self.stores.pop().aclose())
        self.open_file()
        assert self.stores[1].log_id == log_id

    @precondition(lambda self: any(self.rows.values()))
    @invariant()
    def contiguous(self) -> None:
        for room in ROOMS:
            assert [row[0] for row in self.rows[room]] == list(
                range(self.floors[room] + 1, self.heads[room] + 1)
            )

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            for store in self.stores:
                self.runner.run(store.aclose())
            self.runner.close()
            self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=50, stateful_step_count=20, deadline=None, database=None)
