"""What once went wrong at the edges of kernel, storage and signaling, each with the smallest case that shows it."""

import asyncio
from pathlib import Path

import msgspec
import pytest
import redis.asyncio

from services.kernel.bus import subjects
from services.kernel.bus.redis_bus import open_bus
from services.kernel.bus.redis_leases import open_leases
from services.kernel.log.reader import Place, on_page
from services.kernel.model import envelope, ids
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import LogId, Seq, SessionId
from services.kernel.run.origin import Door
from services.kernel.run.settings import Public
from services.kernel.wire import intake, roster
from services.kernel.wire.limits import HINT_ROWS_BYTES, SWEEP_S
from services.kernel.wire.roster import Came, Entry
from services.kernel.wire.rows import Page
from services.signaling.rooms import View
from tests.contract.bus_suite import ROOM as SUBJECT
from tests.contract.bus_suite import Ear
from tests.contract.redis_server import RedisServer
from tests.contract.store_time_suite import SECOND, say
from tests.contract.store_world import opened, put, put_one, texts
from tests.contract.test_store import SqliteWorld
from tests.fakes.node import running_node
from tests.fakes.people import ANN, GUS, NOW_MS, ROOM, received
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.expect import refused
from tests.unit.kernel.test_feed import Reader
from tests.unit.kernel.test_feed import say as store_text
from tests.unit.signaling.test_fanout import hub
from tests.unit.storage.test_committer import desk


@pytest.fixture
def server(tmp_path: Path):
    with RedisServer(tmp_path).running() as server:
        yield server


async def test_nothing_to_release_or_post_is_no_outage(server: RedisServer) -> None:
    async with open_leases(server.url) as leases:
        await leases.hold("g", {"a": b"1"}, 10)
        await leases.release("g", {})
        await leases.post("box", [], 64, 10)
        assert await leases.collect("box") == []


async def test_a_short_fact_does_not_shorten_the_others_of_its_group(server: RedisServer) -> None:
    async with open_leases(server.url) as leases:
        await leases.hold("g", {"long": b"1"}, 10)
        await leases.hold("g", {"short": b"2"}, 0.02)
        await asyncio.sleep(0.15)
        [held] = await leases.holders(["g"])
        assert held["long"].live


async def test_a_wrong_password_is_not_connected(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--requirepass", "right")
    with server.running():
        url = server.url.replace("unix://", "unix://:wrong@")
        async with asyncio.TaskGroup() as group, open_bus(url, group) as bus:
            subscription = bus.subscribe(SUBJECT, Ear())
            await asyncio.sleep(0.5)
            assert not await subscription.standing(0.01)
            connected = []
            for _ in range(20):
                await asyncio.sleep(0.01)
                connected.append(bus.connected)
            assert not all(connected), "says connected although Redis refuses every command"


@in_virtual_time
async def test_a_gap_noticed_while_a_read_is_under_way_is_read_at_once() -> None:
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        reader = Reader(feed)
        await asyncio.sleep(2.2 * SWEEP_S)
        node.storage.before_page = asyncio.Event()
        node.bus.publish(subjects.room_log(ROOM), b"a reason to read")
        await asyncio.sleep(0.01)
        node.hub.cut()
        await store_text(node, "lost")
        node.hub.mend()
        await asyncio.sleep(0.01)
        node.storage.before_page.set()
        node.storage.before_page = None
        await asyncio.sleep(0.01)
        assert reader.seqs == [1]


@pytest.mark.parametrize(
    "data", [msgspec.msgpack.encode(["p", "s", "n", True, "socket", 1]).replace(b"\xa1n", b"\xa1\xff")]
)
def test_an_entry_that_is_not_utf_8_is_none(data: bytes) -> None:
    assert roster.decode_entry(data) is None


async def test_foreign_values_in_a_group_are_no_facts(server: RedisServer) -> None:
    async with open_leases(server.url) as leases, redis.asyncio.Redis.from_url(server.url) as other:
        await leases.hold("g", {"a": b"1"}, 10)
        await other.hset("g", mapping={"x": b"garbage", "y": b""})
        [held] = await leases.holders(["g"])
        assert set(held) == {"a"}


@in_virtual_time
async def test_hint_rows_are_measured_in_bytes() -> None:
    async with desk() as here:
        text = "\u90e8" * (HINT_ROWS_BYTES // 2)
        assert (
            len(received("a", text=text).env) < HINT_ROWS_BYTES < len(received("a", text=text).env.encode())
        )
        await here.send(received("a", text=text))
        assert here.hints()[0].rows is None


@pytest.mark.parametrize("to", ["x", {"a": 1}, 1, [], False])
def test_to_is_reserved_and_said_so(to: object) -> None:
    with refused(ErrorCode.BAD_REQUEST, "to is reserved"):
        envelope.parse(ANN.envelope(to=to))


async def test_a_cut_answer_is_never_empty(tmp_path: Path) -> None:
    world = SqliteWorld(tmp_path)
    async with opened(world) as store:
        world.clock.leap_to((SECOND + 1) * 1000)
        await put_one(store, received("r", kind="reaction"))
        await say(store, world, (2, "a"), (2, "b"), (2, "c"), (3, "d"))
        span = await store.since(ROOM, SECOND, 2)
        assert ("".join(await texts(store, span)), span.next_since) == ("abc", SECOND + 2)


async def test_a_closed_store_refuses(tmp_path: Path) -> None:
    store = SqliteWorld(tmp_path).open()
    await store.aclose()
    for work in (put(store, "a"), store.after(ROOM, None, 1), store.ready()):
        with pytest.raises(Fault):
            await work


@pytest.mark.parametrize("name", ["Ann", "admin", "Someone Else"])
def test_a_guest_speaks_under_its_label(name: str) -> None:
    env = GUS.envelope(body={"text": "x", "name": name})
    with refused(ErrorCode.FORBIDDEN):
        intake.take(GUS.member(), env, None, None, NOW_MS)


def test_a_port_that_is_none_is_not_this_node_s() -> None:
    assert not Door.of(Public("127.0.0.1:7000")).allows("http://ok:x", "ok:x")


@in_virtual_time
async def test_a_stopped_socket_is_not_taken_up_again() -> None:
    async with hub() as here:
        await here.say(3)
        await asyncio.sleep(0.1)
        socket, outlet = here.join(0)
        here.channel.stop(outlet)
        await asyncio.sleep(1)
        seen = len(socket.seqs)
        await here.say()
        await asyncio.sleep(0.1)
        assert len(socket.seqs) == seen


def test_a_late_reset_does_not_send_the_reader_back() -> None:
    log = LogId("0" * 16)
    step = on_page(Place(log, Seq(10)), Page(log, Seq(8), Seq(9), [], "below_floor"))
    assert (step.place.last, step.reset) == (10, None)


@pytest.mark.parametrize("char", ["\u3164", "\u115f", "\uffa0", "\u034f", "\ufe0f", "\U000e0100", "\u180b"])
def test_invisible_letters_and_marks_make_no_name(char: str) -> None:
    for text in (char, "Ann" + char):
        with refused(ErrorCode.BAD_REQUEST):
            ids.parse_name(text)


def test_an_event_begins_the_grace_anew() -> None:
    view = View("room")
    ann = Entry(ANN.peer, SessionId("a"), "Ann", True, "socket", 1)
    view.snapshot({ann.key: ann}, set(), 0)
    view.snapshot({}, set(), 1)
    view.event(Came(b"r", msgspec.structs.replace(ann, since=2)))
    assert view.snapshot({}, set(), 11) == []
