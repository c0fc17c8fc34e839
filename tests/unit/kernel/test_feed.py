"""The one log reader of a process: hints make it quick, reads make it whole, the sweep finds what was lost."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.kernel.bus import subjects
from services.kernel.log.feed import Feed, Feeds, Listener
from services.kernel.model.errors import ErrorCode
from services.kernel.model.ids import RoomId, Seq
from services.kernel.wire.limits import SWEEP_S
from services.kernel.wire.rows import Hint, Row, encode_hint
from tests.fakes.memory_store import MemoryStore
from tests.fakes.node import KEY, Node, running_node
from tests.fakes.people import ROOM, received, text_of
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.expect import refused


class Reader:
    """A listener that keeps what it was given."""

    def __init__(self, feed: Feed) -> None:
        self.rows: list[Row] = []
        self.resets: list[str] = []
        self.signals: list[bytes] = []
        feed.listeners.add(Listener(self.rows.extend, self.resets.append, self.signals.append))

    @property
    def seqs(self) -> list[int]:
        """The numbers of what it was given."""
        return [row.seq for row in self.rows]


async def say(node: Node, *texts: str, room: str = ROOM) -> None:
    """Stores each text in a commit of its own."""
    for text in texts:
        await node.storage.append(received(text, room=room, text=text))


@in_virtual_time
async def test_what_is_said_while_one_listens_comes_by_hints_alone() -> None:
    async with running_node() as node, node.process() as (_, feeds):
        await say(node, "old")
        async with feeds.use(ROOM) as feed:
            assert (feed.place.log_id, feed.place.last, feed.floor) == (node.store.log_id, 1, 0)
            reader = Reader(feed)
            await asyncio.sleep(2 * SWEEP_S)
            reads = len(node.storage.reads)
            await say(node, "a", "b", "c")
            await asyncio.sleep(0)
            assert [text_of(row.env) for row in reader.rows] == ["a", "b", "c"]
            assert len(node.storage.reads) == reads


@in_virtual_time
async def test_a_lost_hint_is_noticed_by_the_next_one() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        await asyncio.sleep(2 * SWEEP_S)
        await say(node, "a")
        node.hub.cut()
        await say(node, "lost")
        for listener in node.hub.listeners:
            listener.stands.set()
        node.hub.up = True
        await say(node, "c")
        await asyncio.sleep(0.01)
        assert reader.seqs == [1, 2, 3]


@in_virtual_time
async def test_the_last_lost_hint_is_found_by_the_sweep() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        await asyncio.sleep(2 * SWEEP_S)
        node.hub.cut()
        await say(node, "lost", "lost too")
        await asyncio.sleep(0.01)
        assert reader.seqs == []
        await asyncio.sleep(SWEEP_S + 0.01)
        assert reader.seqs == [1, 2]


@pytest.mark.parametrize("rooms", [10, 10_000])
@in_virtual_time
async def test_any_number_of_rooms_is_swept_with_one_call(rooms: int) -> None:
    names = [RoomId(f"room-{number}") for number in range(rooms)]
    async with running_node() as node, node.process() as (_, feeds), AsyncExitStack() as stack:
        for name in names:
            await stack.enter_async_context(feeds.use(name))
        await asyncio.sleep(2 * SWEEP_S)
        reads, sweeps = len(node.storage.reads), node.storage.sweeps
        await asyncio.sleep(10 * SWEEP_S)
        assert (node.storage.sweeps - sweeps, len(node.storage.reads) - reads) == (10, 0)
        node.hub.cut()
        await say(node, "lost", room=names[-1])
        await asyncio.sleep(SWEEP_S + 0.01)
        assert len(node.storage.reads) - reads == 1


@in_virtual_time
async def test_the_end_of_a_gap_makes_it_read() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        await asyncio.sleep(2 * SWEEP_S)
        node.hub.cut()
        await say(node, "lost")
        node.hub.mend()
        await asyncio.sleep(0.01)
        assert reader.seqs == [1]


@in_virtual_time
async def test_a_forged_hint_only_makes_it_read() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        await asyncio.sleep(2 * SWEEP_S)
        await say(node, "a")
        reads = len(node.storage.reads)
        lie = [Row(Seq(2), 0, received().sender, received().id, "text", '{"body":{"text":"lie"}}')]
        for key in (b"x" * 32, b""):
            hint = Hint(node.store.log_id, Seq(1), Seq(2), lie)
            sent = encode_hint(key, ROOM, hint) if key else b"nonsense"
            node.bus.publish(subjects.room_log(ROOM), sent)
        await asyncio.sleep(0.01)
        assert reader.seqs == [1]
        assert len(node.storage.reads) > reads


@in_virtual_time
async def test_a_true_hint_replayed_into_another_room_gives_nothing_out() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        hint = Hint(
            node.store.log_id,
            Seq(0),
            Seq(1),
            [Row(Seq(1), 0, received().sender, received().id, "text", "{}")],
        )
        node.bus.publish(subjects.room_log(ROOM), encode_hint(KEY, RoomId("other"), hint))
        await asyncio.sleep(0.01)
        assert reader.seqs == []


@in_virtual_time
async def test_many_rows_behind_are_read_page_by_page() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        node.hub.cut()
        await node.store.append([received(f"m{number}") for number in range(501)])
        await asyncio.sleep(2 * SWEEP_S)
        assert reader.seqs == list(range(1, 502))
        assert node.storage.reads[-3:] == [0, 200, 400]


@in_virtual_time
async def test_while_storage_is_away_it_waits_and_then_catches_up() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        node.hub.cut()
        await say(node, "a")
        node.storage.away = True
        feed.read()
        await asyncio.sleep(5)
        assert reader.seqs == []
        with refused(ErrorCode.UNAVAILABLE):
            async with feeds.use(RoomId("another")):
                pass
        node.storage.away = False
        await asyncio.sleep(2 * SWEEP_S)
        assert reader.seqs == [1]


@in_virtual_time
async def test_another_log_is_a_reset_to_its_head() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        await say(node, "a", "b")
        await asyncio.sleep(2 * SWEEP_S)
        reader = Reader(feed)
        node.storage.store = fresh = MemoryStore(node.clock)
        await fresh.append([received("x")])
        await asyncio.sleep(2 * SWEEP_S)
        assert (reader.resets, reader.seqs) == (["log"], [])
        assert feed.place.cursor == (fresh.log_id, 1)
        assert feed.recent(Seq(0)) is None


@in_virtual_time
async def test_recent_rows_are_kept_in_memory_within_bounds() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        for number in range(300):
            await say(node, f"m{number}")
        await asyncio.sleep(SWEEP_S)
        assert feed.recent(Seq(43)) is None
        kept = feed.recent(Seq(44))
        assert kept is not None
        assert [row.seq for row in kept] == list(range(45, 301))
        assert feed.recent(Seq(300)) == []
        assert feed.recent(Seq(400)) == []
        await node.storage.append(received("big", text="x" * 300_000))
        await asyncio.sleep(SWEEP_S + 0.1)
        assert feed.recent(Seq(299)) is None
        assert [row.seq for row in feed.recent(Seq(300)) or []] == [301]


@in_virtual_time
async def test_signals_of_the_room_reach_its_listeners() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        node.bus.publish(subjects.room_signals(ROOM), b"ring")
        node.bus.publish(subjects.room_signals(RoomId("other")), b"not here")
        await asyncio.sleep(0.01)
        assert reader.signals == [b"ring"]


@in_virtual_time
async def test_users_of_a_room_share_a_feed_that_stays_open_a_while() -> None:
    async with running_node() as node, node.process() as (_, feeds):
        opened = await asyncio.gather(*(first(feeds) for _ in range(5)))
        assert len(set(map(id, opened))) == 1
        assert len(node.hub.listeners) == 2
        await asyncio.sleep(20)
        assert await first(feeds) is opened[0]
        await asyncio.sleep(29)
        assert len(node.hub.listeners) == 2
        await asyncio.sleep(2)
        assert node.hub.listeners == []
        assert await first(feeds) is not opened[0]


async def first(feeds: Feeds) -> Feed:
    """Opens the room's feed and lets it go."""
    async with feeds.use(ROOM) as feed:
        await asyncio.sleep(0.01)
        return feed


@in_virtual_time
async def test_a_room_whose_log_cannot_be_read_leaves_no_subscription() -> None:
    async with running_node() as node, node.process() as (_, feeds):
        node.storage.away = True
        with refused(ErrorCode.UNAVAILABLE):
            await first(feeds)
        assert node.hub.listeners == []


@in_virtual_time
async def test_without_redis_a_room_opens_after_two_seconds_and_is_fed_by_the_sweep() -> None:
    async with running_node() as node, node.process() as (_, feeds):
        node.hub.cut()
        started = node.clock.now()
        async with feeds.use(ROOM) as feed:
            assert node.clock.now() - started == pytest.approx(2, abs=0.1)
            reader = Reader(feed)
            await say(node, "a")
            await asyncio.sleep(2 * SWEEP_S)
            assert reader.seqs == [1]


@in_virtual_time
async def test_hints_that_come_while_the_feed_opens_are_not_lost() -> None:
    async with running_node() as node, node.process() as (_, feeds):

        async def chatter() -> None:
            for number in range(20):
                await say(node, f"m{number}")

        async with asyncio.TaskGroup() as group:
            group.create_task(chatter())
            await asyncio.sleep(0.01)
            async with feeds.use(ROOM) as feed:
                start, reader = feed.place.last, Reader(feed)
                await asyncio.sleep(2 * SWEEP_S)
        assert reader.seqs == list(range(start + 1, 21))


@in_virtual_time
async def test_what_was_forgotten_is_not_given_from_memory_after_a_sweep() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        await say(node, "a", "b", "c")
        await asyncio.sleep(2 * SWEEP_S)
        reads = len(node.storage.reads)
        assert [row.seq for row in feed.recent(Seq(0)) or []] == [1, 2, 3]
        await node.store.forget(ROOM, Seq(2))
        await asyncio.sleep(SWEEP_S + 0.01)
        assert feed.floor == 2
        assert [feed.recent(Seq(0)), feed.recent(Seq(1))] == [None, None]
        assert [row.seq for row in feed.recent(Seq(2)) or []] == [3]
        await node.store.forget(ROOM, Seq(3))
        await asyncio.sleep(SWEEP_S + 0.01)
        assert (feed.floor, feed.recent(Seq(2)), feed.recent(Seq(3))) == (3, None, [])
        assert len(node.storage.reads) == reads


@in_virtual_time
async def test_a_reader_below_what_grew_and_was_forgotten_unheard_is_reset() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        await say(node, "a")
        await asyncio.sleep(2 * SWEEP_S)
        reader = Reader(feed)
        node.hub.cut()
        await say(node, "lost", "lost too")
        await node.store.forget(ROOM, Seq(3))
        await asyncio.sleep(SWEEP_S + 0.01)
        assert (reader.resets, reader.seqs, feed.place.last, feed.floor) == (["below_floor"], [], 3, 3)
