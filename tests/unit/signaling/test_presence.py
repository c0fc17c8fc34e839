"""Two replicas, one roster: who came, who left after the grace, who only moved; signals between them."""

import asyncio

import msgspec
import pytest

from services.kernel.bus import subjects
from services.kernel.model.errors import ErrorCode
from services.kernel.wire.frames import Offer
from services.kernel.wire.limits import LEASE_S
from services.kernel.wire.roster import POLL, Doubted, encode_entry, entry, field
from services.kernel.wire.session import signal
from tests.fakes.node import running_node
from tests.fakes.people import ANN, BEN, GUS, ROOM, Person
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.expect import refused
from tests.unit.signaling.replicas import replicas, started


@in_virtual_time
async def test_who_comes_is_told_at_every_replica_but_not_to_itself() -> None:
    async with replicas() as (here, there):
        ben, gus = await here.join(BEN), await there.join(GUS)
        await asyncio.sleep(0.1)
        assert (ben.heard(), gus.heard()) == (["Gus joined"], [])
        ann = await here.join(ANN)
        await asyncio.sleep(0.1)
        assert (ben.heard(), gus.heard(), ann.heard()) == (["Ann joined"], ["Ann joined"], [])
        for client in (ben, gus, ann):
            assert {each.peer for each in client.room.view.entries.values()} == {BEN.peer, GUS.peer, ANN.peer}


@in_virtual_time
async def test_who_goes_is_told_ten_seconds_later() -> None:
    async with replicas() as (here, there):
        ann, ben, gus = await here.join(ANN), await here.join(BEN), await there.join(GUS)
        await asyncio.sleep(6)
        for client in (ben, gus):
            client.heard()
        await ann.go()
        await asyncio.sleep(9.9)
        assert (ben.heard(), gus.heard()) == ([], [])
        await asyncio.sleep(0.2)
        assert (ben.heard(), gus.heard()) == (["Ann left"], ["Ann left"])
        await asyncio.sleep(60)
        assert (ben.heard(), gus.heard()) == ([], [])
        assert ANN.peer not in {each.peer for each in gus.room.view.entries.values()}


@in_virtual_time
async def test_a_session_that_comes_back_to_its_replica_never_left() -> None:
    async with replicas() as (here, there):
        ann, ben, gus = await here.join(ANN), await here.join(BEN), await there.join(GUS)
        await asyncio.sleep(1)
        for client in (ben, gus):
            client.heard()
        await ann.go()
        await asyncio.sleep(7)
        await here.join(ANN)
        await asyncio.sleep(60)
        assert (ben.heard(), gus.heard()) == ([], [])


@in_virtual_time
async def test_a_session_that_comes_back_to_another_replica_never_left() -> None:
    async with replicas() as (here, there):
        ann, ben, gus = await here.join(ANN), await here.join(BEN), await there.join(GUS)
        await asyncio.sleep(1)
        for client in (ben, gus):
            client.heard()
        await ann.go()
        await asyncio.sleep(2)
        back = await there.join(ANN)
        await asyncio.sleep(60)
        assert (ben.heard(), gus.heard(), back.socket.closed) == ([], [], None)


@pytest.mark.parametrize("elsewhere", [False, True])
@in_virtual_time
async def test_a_session_that_comes_back_under_an_earlier_time_is_here(elsewhere: bool) -> None:
    """The node's clock was set back while it was away; its entry of before must not stand for it."""
    async with replicas() as (here, there):
        ann, ben = await here.join(ANN), await here.join(BEN)
        await asyncio.sleep(1)
        await ann.go()
        ben.heard()
        await asyncio.sleep(1)
        here.node.clock.wall_ms = lambda: 5  # type: ignore[method-assign]
        back = await (there if elsewhere else here).join(ANN)
        await asyncio.sleep(60)
        for replica in (here, there):
            gus = await replica.join(GUS)
            entry = gus.room.view.entries[back.link.key]
            assert (entry.gone, back.socket.closed) == (False, None)
            await gus.go()
        assert "Ann left" not in ben.heard()


@in_virtual_time
async def test_a_reload_is_a_new_session_beside_the_old_one_until_that_is_gone() -> None:
    async with replicas() as (here, there):
        ann, gus = await here.join(ANN, "a" * 16), await there.join(GUS)
        await asyncio.sleep(1)
        await ann.go()
        await here.join(ANN, "b" * 16)
        await asyncio.sleep(30)
        frames = [(frame["type"], frame["session"][0]) for frame in gus.socket.frames()]
        assert frames == [("peer_joined", "b"), ("peer_left", "a")]


@in_virtual_time
async def test_two_tabs_live_side_by_side() -> None:
    async with replicas() as (here, there):
        one, two = await here.join(ANN, "a" * 16), await there.join(ANN, "b" * 16)
        await asyncio.sleep(60)
        assert (one.socket.closed, two.socket.closed) == (None, None)
        assert (one.heard(), two.heard()) == (["Ann joined"], [])


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same replica", "other replica"])
@in_virtual_time
async def test_a_second_socket_of_a_session_replaces_the_first(elsewhere: bool) -> None:
    async with replicas() as (here, there):
        gus = await there.join(GUS)
        first = await here.join(ANN)
        await asyncio.sleep(1)
        gus.heard()
        second = await (there if elsewhere else here).join(ANN)
        await asyncio.sleep(0.1)
        assert (first.socket.closed, second.socket.closed) == ((4001, "replaced"), None)
        await first.go()
        await asyncio.sleep(60)
        assert (gus.heard(), second.socket.closed) == ([], None)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same replica", "other replica"])
@in_virtual_time
async def test_a_live_session_is_not_taken_over_by_who_only_knows_its_id(elsewhere: bool) -> None:
    """Sessions stand in the roster, so a guest's is no secret."""
    async with replicas() as (here, there):
        gus = await here.join(GUS, owner=False)
        await asyncio.sleep(1)
        with refused(ErrorCode.FORBIDDEN, "this session is live"):
            await (there if elsewhere else here).join(GUS, owner=False)
        await asyncio.sleep(30)
        assert gus.socket.closed is None
        await (there if elsewhere else here).join(GUS, owner=True)
        await asyncio.sleep(0.1)
        assert gus.socket.closed == (4001, "replaced")


@in_virtual_time
async def test_a_session_whose_socket_has_closed_may_come_back_without_showing_anything() -> None:
    async with replicas() as (here, there):
        gus = await here.join(GUS, owner=False)
        await gus.go()
        await asyncio.sleep(1)
        back = await there.join(GUS, owner=False)
        await asyncio.sleep(60)
        assert back.socket.closed is None


@pytest.mark.parametrize("silent", [False, True], ids=["alive", "dead"])
@in_virtual_time
async def test_a_socket_whose_session_polls_is_asked_whether_it_lives(silent: bool) -> None:
    async with replicas() as (here, there):
        ann, ben = await here.join(ANN), await there.join(BEN)
        ann.socket.silent = silent
        for _ in range(3):
            ben.room.publish(Doubted(b"gateway", ANN.peer, ANN.session))
            ben.room.publish(Doubted(b"gateway", GUS.peer, GUS.session))
            await asyncio.sleep(0.5)
        assert (ann.socket.pings, ann.socket.transport.aborted) == (1 if silent else 3, False)
        await asyncio.sleep(0.6)
        assert ann.socket.transport.aborted == silent
        assert not ben.socket.transport.aborted


@in_virtual_time
async def test_the_sessions_of_a_killed_replica_are_gone_when_their_leases_and_the_grace_have_passed() -> (
    None
):
    async with running_node() as node, started(node, b"here") as here:
        gus = await here.join(GUS)
        async with started(node, b"there") as there:
            await there.join(ANN)
            await asyncio.sleep(6)
            assert gus.heard() == ["Ann joined"]
        await asyncio.sleep(LEASE_S + 3)
        assert gus.heard() == []
        await asyncio.sleep(15)
        assert gus.heard() == ["Ann left"]


@in_virtual_time
async def test_while_redis_is_away_nobody_leaves_and_people_may_come() -> None:
    async with replicas() as (here, there):
        ann, ben, gus = await here.join(ANN), await here.join(BEN), await there.join(GUS)
        await asyncio.sleep(6)
        for client in (ann, ben, gus):
            client.heard()
        here.node.leases.away = True
        here.node.hub.cut()
        await asyncio.sleep(60)
        new = await here.join(Person("New", guest=True))
        await asyncio.sleep(60)
        assert (ann.heard(), ben.heard(), gus.heard()) == (["New joined"], ["New joined"], [])
        here.node.leases.away = False
        here.node.hub.mend()
        await asyncio.sleep(12)
        assert (ann.heard(), ben.heard(), gus.heard(), new.heard()) == ([], [], ["New joined"], [])


@in_virtual_time
async def test_a_guest_does_not_take_the_name_of_a_verified_peer_anywhere_in_the_room() -> None:
    async with replicas() as (here, there):
        await here.join(ANN)
        for replica in (here, there):
            with refused(ErrorCode.FORBIDDEN, "has this name"):
                await replica.join(Person("ANN", guest=True))
        await there.join(Person("Anna", guest=True))


@in_virtual_time
async def test_a_full_room_is_full_at_every_replica() -> None:
    async with replicas(most_peers=2) as (here, there):
        ann = await here.join(ANN)
        await there.join(BEN)
        for replica in (here, there):
            with refused(ErrorCode.TOO_MANY, "full"):
                await replica.join(GUS)
            await replica.join(BEN, "f" * 16)
        await ann.go()
        await asyncio.sleep(0.1)
        await there.join(GUS)


@in_virtual_time
async def test_a_new_name_is_told_everywhere() -> None:
    async with replicas() as (here, there):
        ann, gus = await here.join(ANN), await there.join(GUS)
        await asyncio.sleep(1)
        gus.heard()
        await here.presence.renamed(ann.room, ann.link, "Annette")
        await asyncio.sleep(12)
        assert (gus.heard(), ann.heard()) == (["Annette named"], ["Gus joined"])


@in_virtual_time
async def test_a_process_that_drains_tells_nobody_that_its_sessions_left() -> None:
    async with replicas() as (here, there):
        ann, leaving, gus = await here.join(ANN), await here.join(BEN), await there.join(GUS)
        await asyncio.sleep(1)
        gus.heard()
        await leaving.go()
        here.presence.stop()
        await ann.go()
        await there.join(ANN)
        await there.join(BEN)
        await asyncio.sleep(60)
        assert gus.heard() == []


@in_virtual_time
async def test_signals_reach_their_targets_on_both_replicas_and_nobody_else() -> None:
    async with replicas() as (here, there):
        ann, ben, gus = await here.join(ANN), await here.join(BEN), await there.join(GUS)
        tab = await there.join(ANN, "f" * 16)
        await asyncio.sleep(6)
        offer = msgspec.Raw(b'{"sdp":"x"}')
        ann.room.relay(ann.link, signal(ann.link.member, Offer(offer), b"here"))
        await asyncio.sleep(0.1)
        assert [len(client.signals()) for client in (ann, ben, gus, tab)] == [0, 1, 1, 1]
        for target in (GUS.peer, "Gus"):
            ben.room.relay(ben.link, signal(ben.link.member, Offer(offer, target), b"here"))
        await asyncio.sleep(0.1)
        assert [len(client.signals()) for client in (ann, ben, gus, tab)] == [0, 1, 3, 1]
        assert gus.signals()[-1]["peer_id"] == BEN.peer
        with refused(ErrorCode.NOT_FOUND):
            ben.room.relay(ben.link, signal(ben.link.member, Offer(offer, "nobody"), b"here"))


@in_virtual_time
async def test_a_signal_for_a_session_that_polls_waits_in_its_box() -> None:
    async with replicas() as (here, _):
        ann = await here.join(ANN)
        polling = entry(BEN.member(), POLL, here.node.clock.wall_ms())
        await here.node.leases.hold(
            subjects.roster(ROOM), {field(polling.key): encode_entry(polling)}, LEASE_S
        )
        await asyncio.sleep(6)
        ann.room.relay(ann.link, signal(ann.link.member, Offer(msgspec.Raw(b"{}"), BEN.peer), b"here"))
        await asyncio.sleep(0.1)
        [letter] = await here.node.leases.collect(subjects.mailbox(ROOM, BEN.peer, BEN.session))
        assert msgspec.json.decode(letter) == {
            "type": "offer",
            "peer_id": ANN.peer,
            "session": ANN.session,
            "payload": {},
            "target_peer_id": BEN.peer,
        }


@in_virtual_time
async def test_a_forged_event_moves_nobody() -> None:
    async with replicas() as (here, there):
        ann, gus = await here.join(ANN), await there.join(GUS)
        await asyncio.sleep(1)
        gus.heard()
        for data in (b"", b"nonsense", bytes(64)):
            here.node.bus.publish(subjects.room_signals(ROOM), data)
        await asyncio.sleep(20)
        assert (gus.heard(), gus.socket.closed, ann.socket.closed) == ([], None, None)


@in_virtual_time
async def test_a_reference_client_is_told_in_its_own_form_who_joined_and_nothing_else() -> None:
    async with replicas() as (here, there):
        old = await here.join(Person("Old", guest=True), reference=True)
        ann, gus = await there.join(ANN), await here.join(GUS)
        await asyncio.sleep(1)
        await there.presence.renamed(ann.room, ann.link, "Annette")
        await ann.go()
        await asyncio.sleep(20)
        assert old.socket.frames() == [
            {"type": "peer_joined", "peer_id": ANN.peer, "room": ROOM},
            {"type": "peer_joined", "peer_id": "Gus", "room": ROOM},
        ]
        gus.room.relay(gus.link, signal(gus.link.member, Offer(msgspec.Raw(b'"x"'), "Old"), b"here"))
        await asyncio.sleep(0.1)
        assert old.socket.frames()[-1] == {
            "type": "offer",
            "peer_id": "Gus",
            "payload": "x",
            "target_peer_id": "Old",
        }


@in_virtual_time
async def test_a_session_is_known_everywhere_until_its_grace_has_passed() -> None:
    async with replicas() as (here, there):
        ann = await here.join(ANN)
        for replica in (here, there):
            assert await replica.presence.knows(ANN.member())
            assert not await replica.presence.knows(BEN.member())
            assert not await replica.presence.knows(msgspec.structs.replace(ANN.member(), session="f" * 16))
        await ann.go()
        await asyncio.sleep(8)
        assert await here.presence.knows(ANN.member()) and await there.presence.knows(ANN.member())
        await asyncio.sleep(30)
        assert not await here.presence.knows(ANN.member())
        await here.join(ANN)
        here.node.leases.away = True
        assert await here.presence.knows(ANN.member()), "its socket is here"
        assert not await there.presence.knows(ANN.member()), "nobody can be asked"
