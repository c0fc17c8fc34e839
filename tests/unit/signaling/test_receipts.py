"""Receipts at the hub: told at both replicas, once a second, under the session's own name, never stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kernel.bus.tasks import owned
from services.kernel.model.errors import ErrorCode
from services.kernel.model.ids import LogId
from services.kernel.wire.receipts import Mark
from services.kernel.wire.roster import words
from services.signaling.presence import _live
from services.signaling.receipts import Receipts
from tests.fakes.people import ANN, BEN, GUS, ROOM, received
from tests.fakes.socket import Found
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.expect import refused
from tests.unit.signaling.replicas import Client, Replica, replicas


@asynccontextmanager
async def telling(*, told: bool = True) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas that tell receipts, in a room of 50 messages."""
    async with replicas() as (here, there):
        for number in range(50):
            await here.node.storage.append(received(f"m{number}"))
        here.rooms.receipts = there.rooms.receipts = told
        async with (
            owned(here.node.group, Receipts(here.presence, here.rooms).run()),
            owned(here.node.group, Receipts(there.presence, there.rooms).run()),
        ):
            yield here, there


def mark(client: Client, got: int, read: int = 0) -> None:
    """The client says how far it is."""
    word = Mark(client.room.channel.feed.place.log_id, got, read)
    client.room.mark([(*client.link.key, word)], own=True)


def told(client: Client) -> list[Found]:
    """The rows of each receipts frame that came since it was last asked."""
    found = [frame["rows"] for frame in client.socket.of_type("receipts")]
    client.socket.got.clear()
    return found


def row(client: Client, got: int, read: int = 0) -> Found:
    """One of these rows."""
    peer, session = client.link.key
    return {"peer_id": peer, "session": session, "got": got, "read": read}


@in_virtual_time
async def test_a_word_reaches_both_replicas_within_two_seconds() -> None:
    async with telling() as (here, there):
        ann, ben = await here.join(ANN), await there.join(BEN)
        mark(ann, 9, 4)
        await asyncio.sleep(2)
        assert told(ann) == told(ben) == [[row(ann, 9, 4)]]


@in_virtual_time
async def test_many_words_make_one_frame_a_second() -> None:
    async with telling() as (here, there):
        readers = [await (here, there)[number % 2].join(BEN, f"{number:016x}") for number in range(20)]
        ann = await here.join(ANN)
        for number in range(1, 51):
            for reader in readers:
                mark(reader, number)
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        frames = told(ann)
        assert len(frames) <= 8
        last = {each["session"]: each["got"] for rows in frames for each in rows}
        assert last == {f"{number:016x}": 50 for number in range(20)}


@in_virtual_time
async def test_nothing_is_told_when_nothing_is_new() -> None:
    async with telling() as (here, there):
        ann, ben = await here.join(ANN), await there.join(BEN)
        mark(ben, 9)
        await asyncio.sleep(2)
        told(ann)
        for _ in range(20):
            mark(ben, 9)
            mark(ben, 3)
            await asyncio.sleep(1)
        assert (told(ann), here.rooms.stirred, there.rooms.stirred) == ([], set(), set())


@in_virtual_time
async def test_a_newcomer_and_a_new_replica_find_what_was_said() -> None:
    async with telling() as (here, there):
        ann = await here.join(ANN)
        mark(ann, 9, 4)
        await asyncio.sleep(2)
        ben = await there.join(BEN)
        feed = ben.room.channel.feed.place
        assert [each.got for each in ben.room.marks.rows(feed.log_id, feed.last)] == [9]


@in_virtual_time
async def test_words_ride_on_the_leases_so_that_lost_events_do_no_harm() -> None:
    async with telling() as (here, there):
        ann, ben = await here.join(ANN), await there.join(BEN)
        here.node.hub.cut()
        mark(ann, 9, 4)
        await asyncio.sleep(2)
        assert told(ben) == []
        here.node.hub.mend()
        await asyncio.sleep(12)
        assert told(ben) == [[row(ann, 9, 4)]]
        (found,) = await here.node.leases.holders([f"roster:{ROOM}"])
        assert [(word[0], word[2].got) for word in words(_live(found).values())] == [(ANN.peer, 9)]


@in_virtual_time
async def test_who_is_not_in_the_room_says_nothing_in_it() -> None:
    async with telling() as (here, _):
        ann = await here.join(ANN)
        log_id = ann.room.channel.feed.place.log_id
        ann.room.mark([(BEN.peer, BEN.session, Mark(log_id, 9, 9))])
        await asyncio.sleep(2)
        assert told(ann) == []


@in_virtual_time
async def test_a_session_that_left_is_forgotten() -> None:
    async with telling() as (here, _):
        ann, ben = await here.join(ANN), await here.join(BEN)
        mark(ben, 9)
        await ben.go()
        await asyncio.sleep(15)
        place = ann.room.channel.feed.place
        assert ann.room.marks.rows(place.log_id, place.last) == []


@in_virtual_time
async def test_a_reference_client_is_told_nothing_and_a_slow_one_everything_later() -> None:
    async with telling() as (here, _):
        ann, gus, ben = await here.join(ANN), await here.join(GUS, reference=True), await here.join(BEN)
        ben.socket.transport.rate = 0
        ben.socket.transport.write(bytes(2**21))
        for got in (5, 6, 7):
            mark(ann, got)
            await asyncio.sleep(2)
        assert told(gus) == []
        assert not ben.socket.transport.aborted
        ben.socket.transport._waiting.clear()
        ben.socket.transport.rate = None
        await asyncio.sleep(2)
        assert told(ben) == [[row(ann, 7)]]
        assert here.rooms.stirred == set()


@in_virtual_time
async def test_a_word_about_another_log_waits_for_that_log() -> None:
    async with telling() as (here, _):
        ann = await here.join(ANN)
        ann.room.mark([(*ann.link.key, Mark(LogId("f" * 16), 9, 9))], own=True)
        await asyncio.sleep(2)
        assert told(ann) == []


@in_virtual_time
async def test_switched_off_nothing_is_kept_or_told() -> None:
    async with telling(told=False) as (here, there):
        ann, ben = await here.join(ANN), await there.join(BEN)
        with refused(ErrorCode.FORBIDDEN, "switched off"):
            mark(ann, 9)
        ann.room.mark([(*ben.link.key, Mark(ann.room.channel.feed.place.log_id, 9, 9))])
        await asyncio.sleep(12)
        assert told(ann) + told(ben) == []
        assert ann.room.marks.of(ann.link.key) is None
