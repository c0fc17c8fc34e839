"""Receipts through a real node: socket and poll, two replicas, few frames, nobody speaks for somebody else."""

import asyncio
import sqlite3
from collections.abc import Iterator

import httpx
import pytest

from tests.support.clients import Author, Frame, Poller, Socket
from tests.support.node import RunningNode


def receipt(log_id: str, got: int, read: int = 0, **more: object) -> Frame:
    """The frame that says how far one is."""
    return {"type": "receipt", "log_id": log_id, "got": got, "read": read} | more


def row(who: Author, got: int, read: int = 0) -> Frame:
    """What the others are told of it."""
    return {"peer_id": who.peer, "session": who.session, "got": got, "read": read}


async def written(socket: Socket, count: int) -> int:
    """So many new messages; the seq of the last."""
    for number in range(count):
        await socket.send(socket.author.write(socket.room, f"text {number}"))
    acks = [await socket.of_type("ack") for _ in range(count)]
    return int(acks[-1]["seq"])


async def test_a_word_reaches_the_author_at_the_other_replica(node: RunningNode, room: str) -> None:
    ann, ben = Author("Ann", signed=True), Author("Ben", signed=True)
    async with Socket(node.socket_url(0), room, ann) as here, Socket(node.socket_url(1), room, ben) as there:
        head = await written(here, 3)
        await there.messages(3)
        await there.send(receipt(here.welcome["log_id"], head, 1))
        told = await here.of_type("receipts", within=3)
        assert told == {"type": "receipts", "log_id": here.welcome["log_id"], "rows": [row(ben, head, 1)]}
        async with Socket(node.socket_url(0), room, Author("Late")) as late:
            assert late.welcome["receipts"] == [row(ben, head, 1)]


async def test_fifty_messages_to_ten_readers_make_few_frames(node: RunningNode, room: str) -> None:
    ann = Author("Ann", signed=True)
    readers = [Author(f"Reader {number}", signed=True) for number in range(10)]

    async def reads(author: Author, replica: int) -> None:
        async with Socket(node.socket_url(replica), room, author) as socket:
            for message in await socket.messages(50, within=20):
                await socket.send(receipt(socket.welcome["log_id"], message["seq"]))
            await asyncio.sleep(3)

    async with Socket(node.socket_url(0), room, ann) as here, asyncio.TaskGroup() as group:
        for number, each in enumerate(readers):
            group.create_task(reads(each, number % 2))
        for _ in readers:
            await here.of_type("peer_joined")
        for number in range(50):
            await here.send(ann.write(room, f"text {number}"))
            await asyncio.sleep(0.03)
        await here.during(2.5)
        frames = [each for each in here.seen if each["type"] == "receipts"]
    last = {each["peer_id"]: each["got"] for frame in frames for each in frame["rows"]}
    assert last == {each.peer: 50 for each in readers}
    assert len(frames) <= 6, "500 receipts in some four seconds"


async def test_polls_give_and_take_receipts_at_any_gateway(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    ann, ben, cleo = (Author(name, signed=True) for name in ("Ann", "Ben", "Cleo"))
    polling, other = Poller(http, node.base, room, ben), Poller(http, node.base2, room, cleo)
    async with Socket(node.socket_url(1), room, ann) as here:
        log_id, head = here.welcome["log_id"], await written(here, 4)
        await polling.join()
        await other.join()
        await polling.poll(frames=[receipt(log_id, 2), receipt(log_id, head, 3), receipt(log_id, 1)])
        assert (await here.of_type("receipts", within=3))["rows"] == [row(ben, head, 3)]
        known = (await other.poll(receipts=""))["receipts"]
        assert (known["log_id"], known["rows"]) == (log_id, [row(ben, head, 3)])
        assert "receipts" not in await other.poll(receipts=known["tag"])
        waiting = asyncio.create_task(other.poll(wait=10, receipts=known["tag"]))
        await asyncio.sleep(0.2)
        await here.send(receipt(log_id, head, head))
        async with asyncio.timeout(4):
            found = (await waiting)["receipts"]
        assert {each["peer_id"]: each["read"] for each in found["rows"]} == {ben.peer: 3, ann.peer: head}
        late = Poller(http, node.base2, room, Author("Late"))
        assert len((await late.join())["receipts"]) == 2


async def test_receipts_do_not_end_polls_faster_than_once_a_second(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    ann, ben = Author("Ann", signed=True), Author("Ben", signed=True)
    poller, tag, polls = Poller(http, node.base, room, ben), "", 0
    async with Socket(node.socket_url(0), room, ann) as here:
        log_id = here.welcome["log_id"]
        await written(here, 50)
        await poller.join()

        async def steps() -> None:
            for got in range(1, 41):
                await here.send(receipt(log_id, got))
                await asyncio.sleep(0.1)

        walking = asyncio.create_task(steps())
        while not walking.done():
            found = await poller.poll(wait=4, receipts=tag)
            tag, polls = found.get("receipts", {}).get("tag", tag), polls + 1
    assert polls <= 7


async def test_nobody_speaks_for_somebody_else(node: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    ann, eve, ben = (Author(name, signed=True) for name in ("Ann", "Eve", "Ben"))
    poller = Poller(http, node.base, room, ben)
    async with Socket(node.socket_url(0), room, ann) as here, Socket(node.socket_url(1), room, eve) as there:
        log_id, head = here.welcome["log_id"], await written(here, 5)
        await poller.join()
        forged = {"peer_id": ann.peer, "session": ann.session, "rows": [row(ann, head, head)]}
        await there.send(receipt(log_id, 2, 1, **forged))
        await poller.poll(frames=[receipt(log_id, 3, 2, **forged)])
        await there.send(
            {"type": "receipts", "log_id": log_id, "rows": [row(ann, head, head)]}
        )  # a frame of the node's
        assert (await there.of_type("fault"))["code"] == "bad_request"
        await here.during(3)
        rows = [each for frame in here.seen if frame["type"] == "receipts" for each in frame["rows"]]
        assert sorted(rows, key=lambda each: each["got"]) == [row(eve, 2, 1), row(ben, 3, 2)]


async def test_words_go_up_only_never_beyond_the_head_and_only_in_this_log(
    node: RunningNode, room: str
) -> None:
    ann, ben = Author("Ann", signed=True), Author("Ben", signed=True)
    async with Socket(node.socket_url(0), room, ann) as here, Socket(node.socket_url(1), room, ben) as there:
        log_id, head = here.welcome["log_id"], await written(here, 3)
        await there.send(receipt("f" * 16, 3, 3))
        assert [each for each in await here.during(2.5) if each["type"] == "receipts"] == []
        await there.send(receipt(log_id, 2**53, 2))
        assert (await here.of_type("receipts"))["rows"] == [row(ben, head, 2)]
        await there.send(receipt(log_id, 1, 1))
        await there.send(receipt("f" * 16, 9, 9))
        assert [each for each in await here.during(2.5) if each["type"] == "receipts"] == []
        head = await written(here, 1)
        assert (await here.of_type("receipts", within=3))["rows"] == [row(ben, head, 2)]


@pytest.mark.usefixtures("survives")
async def test_hostile_receipts_are_refused(node: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    eve = Author("Eve", signed=True)
    poller = Poller(http, node.base, room, Author("Ben", signed=True))
    await poller.join()
    async with Socket(node.socket_url(0), room, eve) as there:
        log_id = there.welcome["log_id"]
        bad = [
            receipt(log_id, -1, -1),
            receipt(log_id, 2, 3),
            receipt(log_id, 2**53 + 1),
            receipt(log_id.upper().replace("0", "A"), 1),
            receipt("../../etc/passwd", 1),
            receipt(log_id + "\n", 1),
            {"type": "receipt", "log_id": log_id},
            {"type": "receipt", "log_id": log_id, "got": [1], "read": {}},
            {"type": "receipt", "log_id": log_id, "got": 1.5, "read": 1},
            {"type": "receipt", "log_id": None, "got": 1, "read": 1},
        ]
        for frame in bad:
            await there.send(frame)
            assert (await there.of_type("fault"))["code"] == "bad_request", frame
            answer = await http.post(
                f"{node.base}/poll",
                json={"after": None, "frames": [frame]},
                headers={"Authorization": f"Bearer {poller.token}"},
            )
            refused = answer.status_code == 400 or answer.json()["frames"][0]["code"] == "bad_request"
            assert refused, (frame, answer.text)
        for wanted in (7, [""], {}):
            answer = await http.post(
                f"{node.base}/poll",
                json={"after": None, "receipts": wanted},
                headers={"Authorization": f"Bearer {poller.token}"},
            )
            assert answer.status_code == 400, wanted
        assert await there.during(1.5) == []


async def test_nothing_of_it_is_stored(node: RunningNode, room: str) -> None:
    """Not a row more, whoever reads how much."""
    ann = Author("Ann", signed=True)

    def rows() -> int:
        with sqlite3.connect(f"file:{node.db}?mode=ro", uri=True) as store:
            names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return sum(store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names)

    async with Socket(node.socket_url(0), room, ann) as here:
        head = await written(here, 5)
        before = rows()
        for got in range(1, head + 1):
            await here.send(receipt(here.welcome["log_id"], got, got))
            await asyncio.sleep(0.3)
        assert rows() == before


@pytest.fixture(scope="module")
def silent(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node whose operator has switched receipts off."""
    extra = {"NODE_RECEIPTS": "off", "LIMIT_FRAMES": "20"}
    with RunningNode(tmp_path_factory.mktemp("silent"), redis_url, extra=extra).running() as running:
        yield running


async def test_switched_off_at_the_node(
    silent: RunningNode, node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    assert (await http.get(f"{node.base}/config")).json()["receipts"] is True
    assert (await http.get(f"{silent.base}/config")).json()["receipts"] is False
    ann, ben = Author("Ann", signed=True), Author("Ben", signed=True)
    poller = Poller(http, silent.base, room, ben)
    async with Socket(silent.socket_url(0), room, ann) as here:
        log_id, head = here.welcome["log_id"], await written(here, 2)
        await here.send(receipt(log_id, head, head))
        assert (await here.of_type("fault"))["code"] == "forbidden"
        assert "receipts" not in here.welcome | await poller.join()
        found = await poller.poll(frames=[receipt(log_id, head)], receipts="")
        assert [each["code"] for each in found["frames"] if each["type"] == "fault"] == ["forbidden"]
        assert "receipts" not in found
        assert [each for each in await here.during(2) if each["type"] == "receipts"] == []


async def test_a_receipt_costs_a_frame(silent: RunningNode, room: str) -> None:
    async with Socket(silent.socket_url(0), room, Author("Eve", signed=True)) as here:
        for number in range(300):
            await here.send(receipt(here.welcome["log_id"], number))
        codes = [(await here.of_type("fault"))["code"] for _ in range(300)]
    assert codes.count("too_many") >= 50
