"""The relay, really run: what joins are given opens it, what is forged, expired, private or too much does not."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.transport.relay.check import attempt, check, ways
from services.transport.relay.client import Refused
from services.transport.relay.stun import Address, Attribute
from tests.integration.conftest import REDIS_IMAGE
from tests.support.clients import Author, Poller, Socket
from tests.support.node import RunningNode
from tests.support.redis import own_redis
from tests.support.turn import RunningCoturn

GUESTS = 3
PRIVATE = [
    "0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.0.0.53", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.1.2.3", "255.255.255.255",
]  # fmt: skip
EMBEDDED = [
    "::1",
    "::",
    "::ffff:10.1.2.3",
    "::10.1.2.3",
    "64:ff9b::a01:203",
    "2002:a01:203::1",
    "fd00::1",
    "fe80::1",
]


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCoturn]:
    """A coturn with the configuration of `egoat up`."""
    with RunningCoturn(tmp_path_factory.mktemp("coturn")).running() as running:
        yield running


@pytest.fixture(scope="module")
def relaying(relay: RunningCoturn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node that has this relay, on a Redis of its own: what transport services say there is about it alone."""
    extra = relay.env | {"LIMIT_GUEST_TURNS": str(GUESTS), "TURN_TTL_S": "900"}
    folder = tmp_path_factory.mktemp("node")
    with (
        own_redis(REDIS_IMAGE) as redis,
        RunningNode(folder, redis.url, replicas=1, extra=extra).running() as running,
    ):
        yield running


def good(turn: dict[str, Any], relay: RunningCoturn, user: str) -> None:
    """These credentials are for this user, for fifteen minutes, and the relay takes them on every way."""
    assert turn["stun"] == [f"stun:127.0.0.1:{relay.port}"]
    assert turn["turn"] == [f"turn:127.0.0.1:{relay.port}?transport={way}" for way in ("udp", "tcp")]
    expiry, _, name = turn["username"].partition(":")
    assert abs(int(expiry) - time.time() - 900) < 5
    assert (name, turn["ttl"]) == (user, 900)


async def relays(turn: dict[str, Any]) -> list[str]:
    """What went wrong on each way."""
    tried = [await attempt(way, turn["username"], turn["credential"]) for way in ways(turn["turn"])]
    assert len(tried) == 2
    return [each.problem for each in tried]


async def test_welcome_join_and_turn_open_the_relay(
    relaying: RunningNode, relay: RunningCoturn, room: str, http: httpx.AsyncClient
) -> None:
    author = Author("Ada", signed=True)
    async with Socket(relaying.socket_url(), room, author) as socket:
        good(socket.welcome["turn"], relay, author.peer)
        assert await relays(socket.welcome["turn"]) == ["", ""]
    joined = await Poller(http, relaying.base, room, author).join()
    good(joined["turn"], relay, author.peer)
    bearer = {"Authorization": f"Bearer {joined['token']}"}
    again = await http.post(f"{relaying.base}/turn", headers=bearer)
    good(again.json(), relay, author.peer)
    assert await relays(again.json()) == ["", ""]
    assert again.headers["cache-control"] == "no-store"


async def test_the_host_is_the_one_that_the_client_asked_for(
    relaying: RunningNode, relay: RunningCoturn, room: str, http: httpx.AsyncClient
) -> None:
    joined = await Poller(http, relaying.base, room, Author("Ada", signed=True)).join()
    headers = {"Authorization": f"Bearer {joined['token']}", "Host": "chat.example:8080"}
    turn = (await http.post(f"{relaying.base}/turn", headers=headers)).json()
    assert turn["stun"] == [f"stun:chat.example:{relay.port}"]
    config = (await http.get(f"{relaying.base}/config", headers={"Host": "[fd00::2]:8080"})).json()
    assert config["turn_urls"] == [f"turn:[fd00::2]:{relay.port}?transport={way}" for way in ("udp", "tcp")]


@pytest.mark.parametrize("bearer", [None, "Bearer", "Bearer x", "Basic YTpi"])
async def test_strangers_get_no_credentials(
    relaying: RunningNode, http: httpx.AsyncClient, bearer: str | None
) -> None:
    headers = {} if bearer is None else {"Authorization": bearer}
    answer = await http.post(f"{relaying.base}/turn", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert (await http.get(f"{relaying.base}/turn")).status_code == 405


async def test_a_guest_that_asks_too_often_is_told_when_to_come_back(
    relaying: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    guest = Author(f"Gus {secrets.token_hex(3)}")
    poller = Poller(http, relaying.base, room, guest)
    joined = await poller.join()
    assert await relays(joined["turn"]) == ["", ""]
    bearer = {"Authorization": f"Bearer {joined['token']}"}
    for _ in range(GUESTS - 1):
        assert (await http.post(f"{relaying.base}/turn", headers=bearer)).status_code == 200
    refused = await http.post(f"{relaying.base}/turn", headers=bearer)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
    assert 0 < int(refused.headers["retry-after"]) <= 3600 // GUESTS
    guest.tokens[room] = joined["token"]
    assert (await poller.join())["turn"] is None, "the join itself does not fail"


async def test_a_node_without_a_relay_says_null(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    joined = await Poller(http, node.base, room, Author("Ada", signed=True)).join()
    bearer = {"Authorization": f"Bearer {joined['token']}"}
    answer = await http.post(f"{node.base}/turn", headers=bearer)
    assert (answer.status_code, answer.json(), joined["turn"]) == (200, None, None)
    assert "turn" not in (await http.get(f"{node.base}/readyz")).json()["parts"]


@pytest.mark.parametrize(("ends_in", "password"), [(-1, None), (600, "forged"), (600, "")])
async def test_expired_and_forged_credentials_are_refused(
    relay: RunningCoturn, ends_in: int, password: str | None
) -> None:
    for way in ("udp", "tcp"):
        async with relay.user(way=way, ends_in=ends_in, password=password) as user:
            with pytest.raises(Refused) as refused:
                await user.allocate()
            assert refused.value.code == 401


@pytest.mark.parametrize("peer", PRIVATE)
async def test_no_private_address_is_reached(relay: RunningCoturn, peer: str) -> None:
    async with relay.user(secrets.token_hex(4)) as user:
        await user.allocate()
        with pytest.raises(Refused) as refused:
            await user.permit(Address(peer, 53))
        assert refused.value.code == 403


@pytest.mark.parametrize("peer", EMBEDDED)
async def test_no_ipv6_address_is_reached(relay: RunningCoturn, peer: str) -> None:
    async with relay.user(secrets.token_hex(4)) as user:
        await user.allocate()
        with pytest.raises(Refused) as refused:
            await user.permit(Address(peer, 53))
        assert refused.value.code in (403, 443)


async def test_there_are_no_ipv6_relays(relay: RunningCoturn) -> None:
    async with relay.user() as user:
        with pytest.raises(Refused) as refused:
            await user.allocate((Attribute.REQUESTED_ADDRESS_FAMILY, bytes([2, 0, 0, 0])))
        assert refused.value.code == 440


async def test_relays_meet_at_the_relay_and_reach_nothing_else(relay: RunningCoturn) -> None:
    async with relay.user() as user:
        await user.allocate()
        assert user.relayed.host == relay.relay
        await user.permit(user.relayed)
        with pytest.raises(Refused, match="403"):
            await user.permit(Address("9.9.9.9", 9))


async def test_a_relay_with_a_public_address_reaches_public_ones_and_itself(tmp_path: Path) -> None:
    own = next(
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if "." in each.address and not each.address.startswith("127.")
    )
    with RunningCoturn(tmp_path / "own", relay=own, external="203.0.113.9").running() as relay:
        urls = [url.format(host="127.0.0.1") for url in relay.urls.split(",")]
        found = await check(urls, relay.secret, _now_ms())
        assert found.ok, found.text
        async with relay.user() as user:
            await user.allocate()
            assert user.relayed.host == "203.0.113.9"
            await user.permit(Address("9.9.9.9", 9))
            await user.permit(Address("203.0.113.9", 9))
            for peer in PRIVATE:
                with pytest.raises(Refused, match="403"):
                    await user.permit(Address(peer, 53))
            for peer in EMBEDDED:
                with pytest.raises(Refused):
                    await user.permit(Address(peer, 53))


async def test_a_user_has_so_many_allocations_and_no_more(tmp_path: Path) -> None:
    with RunningCoturn(tmp_path / "few", changes={"user-quota=100": "user-quota=3"}).running() as relay:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await (await stack.enter_async_context(relay.user("ann"))).allocate()
            more = await stack.enter_async_context(relay.user("ann", ends_in=700))
            with pytest.raises(Refused) as refused:
                await more.allocate()
            assert refused.value.code == 486, "a newer name of the same user does not help"
            await (await stack.enter_async_context(relay.user("ben"))).allocate()


async def test_a_room_full_of_people_gets_its_allocations(relay: RunningCoturn) -> None:
    async with AsyncExitStack() as stack:
        for number in range(60):
            await (await stack.enter_async_context(relay.user(f"peer{number}"))).allocate()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def said(http: httpx.AsyncClient, node: RunningNode, fits: Callable[[str], bool]) -> dict[str, Any]:
    """`/readyz` once what it says of the relay fits."""
    end = time.monotonic() + 25
    while True:
        found = (await http.get(f"{node.base}/readyz")).json()
        if fits(found["details"]["turn"]):
            assert found["ready"], "the relay never decides whether a node is ready"
            return dict(found)
        assert time.monotonic() < end, found
        await asyncio.sleep(0.2)


async def test_the_node_tries_its_relay_and_says_what_is_wrong(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    relay = RunningCoturn(tmp_path / "coturn")
    place = f"TURN relay at 127.0.0.1:{relay.port}"
    with (
        relay.running(),
        own_redis(REDIS_IMAGE) as redis,
        RunningNode(tmp_path, redis.url, replicas=1, extra=relay.env).running() as node,
    ):
        works = await said(http, node, lambda text: "works over UDP" in text)
        assert works["parts"]["turn"] == "up"
        assert works["details"]["turn"].startswith(f"{place} works over UDP (")
        relay.stop()
        stopped = await said(http, node, lambda text: "works" not in text)
        assert stopped["parts"]["turn"] == "away"
        assert stopped["details"]["turn"] == (
            f"{place} does not answer on UDP {relay.port} and does not answer on TCP {relay.port}"
        )
        relay.start()
        assert (await said(http, node, lambda text: "works over UDP" in text))["parts"]["turn"] == "up"
        node.transport.tell(TURN_SECRET="another")
        node.transport.restart()
        wrong = await said(http, node, lambda text: "refuses" in text)
        assert f"{place} refuses the credentials on UDP {relay.port}" in wrong["details"]["turn"]
        logged = node.transport.log()
        assert logged.count("turn.works") == 2
        assert "refuses the credentials" in logged and "does not answer on UDP" in logged
        node.transport.stop()
        silent = await said(http, node, lambda text: "transport" in text)
        assert silent["parts"]["turn"] == "away"


async def test_udp_that_is_blocked_is_told_apart(tmp_path: Path) -> None:
    with RunningCoturn(tmp_path / "tcp", changes={"no-cli": "no-cli\nno-udp"}).running() as relay:
        urls = [url.format(host="127.0.0.1") for url in relay.urls.split(",")]
        found = await check(urls, relay.secret, _now_ms())
    assert not found.ok
    assert "works over TCP (" in found.text
    assert found.text.endswith(f", but does not answer on UDP {relay.port}")
