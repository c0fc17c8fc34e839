"""The HTTP surface as promised: config, page, headers, CORS, health, history in its three forms, the splice."""

import asyncio
import json
import re
import sqlite3
import time

import httpx
import pytest

from services.kernel.run.settings import STRATEGIES
from tests.integration.conftest import FRIEND
from tests.support.clients import Author, Poller, Socket
from tests.support.node import RunningNode
from tests.support.raw import exchange, request
from tests.support.refusals import refused, send

pytestmark = pytest.mark.usefixtures("survives")

PLACES = [
    "/",
    "/config",
    "/history?room=a",
    "/healthz",
    "/transport/status",
    "/static/js/main.js",
    "/nothing",
]


def policy(name: str, port: int) -> str:
    """The content security policy for a host of this name."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"connect-src 'self' ws://{name}:{port} wss://{name}:{port}; "
        "img-src 'self' blob:; media-src 'self' blob:; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types egoat"
    )


async def test_config_says_what_a_client_must_know(node: RunningNode, http: httpx.AsyncClient) -> None:
    config = (await http.get(f"{node.base}/config")).json()
    assert abs(config.pop("now") - time.time() * 1000) < 2000
    limits = {"text": 16_384, "frame": 65_536, "label": 64, "room": 64, "history": 200, "poll_wait": 20}
    assert config == {"versions": [1], "ws_port": node.ws[0], "public_base": "", "limits": limits,
                      "strategies": list(STRATEGIES), "turn_urls": [], "receipts": True}  # fmt: skip


async def test_the_document_of_the_api_names_every_path(node: RunningNode, http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{node.base}/openapi.json")
    assert answer.headers["content-type"].startswith("application/json")
    assert {"/history", "/send", "/join", "/join/challenge", "/poll", "/config", "/transport/status"} <= set(
        answer.json()["paths"]
    )


@pytest.mark.parametrize("place", PLACES)
async def test_every_answer_has_the_security_headers(
    node: RunningNode, http: httpx.AsyncClient, place: str
) -> None:
    answer = await http.get(node.base + place)
    wanted = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": policy("127.0.0.1", node.ws[0]),
    }
    assert {name: answer.headers.get(name) for name in wanted} == wanted
    assert not {"server", "date", "access-control-allow-origin", "set-cookie"} & set(answer.headers)
    assert answer.headers["cache-control"] == (
        "no-cache" if place in ("/", "/static/js/main.js") else "no-store"
    )


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("chat.example", "chat.example"),
        ("chat.example:8080", "chat.example"),
        ("[::1]:8080", "[::1]"),
        ("[::1]", "[::1]"),
    ],
)
async def test_the_policy_names_sockets_of_the_host_that_was_asked(
    node: RunningNode, host: str, name: str
) -> None:
    answer = await exchange(node.http, request("GET", "/config", host=host))
    assert answer.headers["content-security-policy"] == policy(name, node.ws[0])


@pytest.mark.parametrize(
    "host", ["x; script-src *", "x 'unsafe-inline'", "a,b", "x\\", "é", "a:b", "a:123456"]
)
async def test_a_host_cannot_write_the_policy(node: RunningNode, host: str) -> None:
    answer = await exchange(node.http, request("GET", "/", host=host))
    refused(answer, 400, "bad_request")
    said = answer.headers["content-security-policy"]
    assert "connect-src 'self'; img-src" in said
    assert said.count("script-src") == 1 and "*" not in said and "unsafe" not in said


async def test_request_ids_differ_and_stand_in_the_log(node: RunningNode, http: httpx.AsyncClient) -> None:
    ids = [(await http.get(f"{node.base}/config")).headers["x-request-id"] for _ in range(5)]
    assert len(set(ids)) == 5
    logged = {}
    for line in node.gateway.log().splitlines():
        entry = json.loads(line)
        if entry.get("event") == "request.finished":
            logged[entry["request"]] = entry
    for each in ids:
        assert (logged[each]["method"], logged[each]["path"], logged[each]["status"]) == (
            "GET",
            "/config",
            200,
        )


async def test_logs_say_nothing_that_was_said(node: RunningNode, http: httpx.AsyncClient, room: str) -> None:
    author = Author("Secret name", signed=True)
    poller = Poller(http, node.base, room, author)
    await poller.join()
    async with Socket(node.socket_url(0), room, author.elsewhere()) as socket:
        await socket.send(author.write(room, "canary-text"))
        await socket.of_type("ack")
    await poller.poll(frames=[author.write(room, "canary-poll")])
    await send(http, node, room, "canary-send")
    await http.get(f"{node.base}/history", params={"room": room, "since": "0", "x": "canary-query"})
    everything = "".join(process.log() for process in node.processes)
    for secret in ("canary", "Secret name", poller.token, author.peer, author.session, node.secret.hex()):
        assert secret not in everything, secret


async def test_what_is_not_there(node: RunningNode, http: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/nothing"), ("POST", "/transport/connect"),
                         ("POST", "/transport/send"), ("GET", "/transport/connect"), ("GET", "/static/"),
                         ("GET", "/static/none.js"), ("GET", "/docs"),
                         ("GET", "/metrics"), ("GET", "/signal/x")):  # fmt: skip
        refused(await http.request(method, node.base + path, json={}), 404, "not_found")
    for method, path in (("GET", "/send"), ("PUT", "/send"), ("GET", "/poll"), ("DELETE", "/history"),
                         ("POST", "/config"), ("PATCH", "/join"), ("POST", "/")):  # fmt: skip
        answer = await http.request(method, node.base + path, json={})
        refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"]


async def test_signal_without_an_upgrade_is_an_answer_not_a_hang(node: RunningNode) -> None:
    for port in (node.http, node.ws[0]):
        answer = await exchange(port, request("GET", "/signal?room=a&peer_id=b"), within=3)
        assert answer.status in (400, 404, 426)


async def test_the_page_and_its_files(node: RunningNode, http: httpx.AsyncClient) -> None:
    page = await http.get(f"{node.base}/?room=a&peer_id=b")
    assert page.headers["content-type"].startswith("text/html")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert linked
    for link in linked:
        assert not link.startswith(("http", "//")), "a third party"
        if link.startswith("/"):
            assert (await http.get(node.base + link)).status_code == 200, link
    script = await http.get(f"{node.base}/static/js/main.js")
    assert "javascript" in script.headers["content-type"]
    again = await http.get(
        f"{node.base}/static/js/main.js", headers={"If-None-Match": script.headers["etag"]}
    )
    assert again.status_code == 304
    assert "<script>" not in page.text and "style=" not in page.text


async def test_cors_is_for_the_list_and_the_own_ports(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    own = [f"http://127.0.0.1:{node.ws[0]}", f"http://127.0.0.1:{node.http}"]
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    body = {"room": room, "peer_id": "Ada", "text": "x"}
    for origin in (FRIEND, *own):
        asked = await http.options(f"{node.base}/send", headers={"Origin": origin} | preflight)
        assert asked.status_code == 204
        posted = await http.post(f"{node.base}/send", json=body, headers={"Origin": origin})
        assert posted.status_code == 200
        failed = await http.get(f"{node.base}/history", headers={"Origin": origin})
        assert failed.status_code == 400
        for answer in (asked, posted, failed):
            assert answer.headers["access-control-allow-origin"] == origin
            assert "origin" in answer.headers["vary"].lower()
            assert "access-control-allow-credentials" not in answer.headers
        assert {"content-type", "authorization"} <= set(
            asked.headers["access-control-allow-headers"].lower().split(", ")
        )
        assert {"GET", "POST"} <= set(asked.headers["access-control-allow-methods"].split(", "))
    for origin in ("http://evil.example", "null", "https://ok.example.evil.example", "http://127.0.0.1:1"):
        asked = await http.options(f"{node.base}/send", headers={"Origin": origin} | preflight)
        read = await http.get(f"{node.base}/history", params={"room": room}, headers={"Origin": origin})
        assert (asked.status_code, read.status_code) == (403, 200)
        for answer in (asked, read):
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_transport_status_tells_strangers_little(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    url = f"{node.base}/transport/status"
    public = (await http.get(url)).json()
    assert set(public) == {"peer_id", "connections", "available_transports"}
    assert re.fullmatch(r"[a-z2-7]{26}", public["peer_id"])
    assert public["connections"] == 0
    assert public["available_transports"] == ["websocket-direct", "http-polling"]
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    mine = (await http.get(url, headers={"Authorization": f"Bearer {poller.token}"})).json()
    assert mine["room"] == room
    assert {name: mine[name] for name in public} == public
    assert "127.0.0.1" not in json.dumps(mine)
    for header in ("Bearer x", "Basic x", "Bearer"):
        refused(await http.get(url, headers={"Authorization": header}), 401, "unauthorized")


async def test_health(node: RunningNode, http: httpx.AsyncClient) -> None:
    alive, ready = [await http.get(node.base + path) for path in ("/healthz", "/readyz")]
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert ready.status_code == 200
    assert ready.json()["ready"] is True and ready.json()["draining"] is False
    assert ready.json()["parts"]["storage"] == "up"


# history


async def test_an_empty_history_is_an_empty_array(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    for query in ({}, {"since": "0"}, {"since": str(2**53)}):
        answer = await http.get(f"{node.base}/history", params={"room": room} | query)
        assert (answer.status_code, answer.text) == (200, "[]")
        assert answer.headers["content-type"] == "application/json"
    for form in ("after", "before"):
        page = (await http.get(f"{node.base}/history", params={"room": room, form: ""})).json()
        assert page == {"log_id": page["log_id"], "items": [], "next": f"{page['log_id']}.0", "head": 0,
                        "more": False, "floor": 0}  # fmt: skip


async def test_since_is_strictly_newer_and_in_seconds_of_the_node(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    times = [1_000, 5_000, 5_000, 5_999, 6_000, 7_001]
    with sqlite3.connect(node.db, timeout=5) as db:
        for seq, at in enumerate(times, 1):
            env = {"id": f"m{seq}", "room": room, "sender": "guest:Ada", "kind": "text", "hlc": "0" * 12 + "-0000",
                   "body": {"text": f"text {seq}", "name": "Ada"}}  # fmt: skip
            db.execute(
                "INSERT INTO message (room, seq, at, sender, id, kind, digest, env)"
                " VALUES (?, ?, ?, 'guest:Ada', ?, 'text', x'', ?)",
                (room, seq, at, f"m{seq}", json.dumps(env)),
            )
    for since, first in ((None, 1), (0, 1), (1, 2), (4, 2), (5, 5), (6, 6), (7, 7)):
        query = {"room": room} | ({} if since is None else {"since": str(since)})
        found = (await http.get(f"{node.base}/history", params=query)).json()
        assert [item["seq"] for item in found] == list(range(first, 7)), since
    whole = (await http.get(f"{node.base}/history", params={"room": room})).json()
    assert [item["timestamp"] for item in whole] == [1, 5, 5, 5, 6, 7]
    assert [item["at"] for item in whole] == times
    assert set(whole[0]) == {"peer_id", "text", "timestamp", "id", "seq", "at"}
    assert whole[0]["peer_id"] == "Ada"


async def test_messages_of_one_millisecond_polled_between_each_are_all_seen_once(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    """Defect 6 of the reference, on the cursor forms."""
    seen: list[str] = []
    cursor = ""
    for number in range(60):
        assert (await send(http, node, room, f"text {number}")).status_code == 200
        if number % 3 != 1:
            page = (await http.get(f"{node.base}/history", params={"room": room, "after": cursor})).json()
            seen += [item["text"] for item in page["items"]]
            cursor = page["next"]
    assert seen == [f"text {number}" for number in range(60)]
    whole = (await http.get(f"{node.base}/history", params={"room": room, "after": ""})).json()["items"]
    assert len({item["timestamp"] for item in whole}) < 10, "many of them are of one second"
    assert [item["at"] for item in whole] == sorted(item["at"] for item in whole)
    with sqlite3.connect(node.db, timeout=5) as db:
        db.execute("UPDATE message SET at=? WHERE room=?", (whole[0]["at"], room))
    for step in (1, 7):
        cursor, again = "", []
        while True:
            query = {"room": room, "after": cursor, "limit": str(step)}
            page = (await http.get(f"{node.base}/history", params=query)).json()
            again += [item["text"] for item in page["items"]]
            assert page["more"] is (len(again) < 60)
            cursor = page["next"]
            if not page["more"]:
                break
        assert again == seen


async def test_before_walks_back_to_the_floor(node: RunningNode, http: httpx.AsyncClient, room: str) -> None:
    for number in range(1, 26):
        await send(http, node, room, f"text {number}")
    cursor, seen = "", []
    while True:
        query = {"room": room, "before": cursor, "limit": "10"}
        page = (await http.get(f"{node.base}/history", params=query)).json()
        seen += [item["seq"] for item in page["items"]]
        cursor = page["next"]
        if not page["more"]:
            break
        await send(http, node, room, "meanwhile")
    assert seen == list(range(25, 0, -1))
    assert cursor.endswith(".0")
    last = (await http.get(f"{node.base}/history", params={"room": room, "before": cursor})).json()
    assert (last["items"], last["more"]) == ([], False)


async def test_items_of_the_cursor_form(node: RunningNode, http: httpx.AsyncClient, room: str) -> None:
    author = Author("Ada", signed=True)
    frame = author.write(room, "signed")
    async with Socket(node.socket_url(0), room, author) as socket:
        await socket.send(frame)
        ack = await socket.of_type("ack")
    await send(http, node, room, "unsigned", peer_id="Bob", id="my-id")
    url = f"{node.base}/history"
    signed, unsigned = (await http.get(url, params={"room": room, "after": ""})).json()["items"]
    assert signed == {"id": ack["id"], "seq": 1, "peer_id": author.peer, "name": "Ada", "text": "signed",
                      "kind": "text", "timestamp": ack["at"] // 1000, "at": ack["at"], "verified": True}  # fmt: skip
    assert (unsigned["id"], unsigned["peer_id"], unsigned["verified"]) == ("my-id", "guest:Bob", False)
    full = (await http.get(url, params={"room": room, "after": "", "full": "1"})).json()["items"]
    assert (full[0]["env"], full[0]["sig"], full[0]["pk"]) == (frame["env"], frame["sig"], author.pk)
    assert "sig" not in full[1] or full[1]["sig"] is None
    array = (await http.get(url, params={"room": room})).json()
    assert [item["peer_id"] for item in array] == [author.peer, "Bob"]


async def test_the_splice_carries_large_and_many_frames_both_ways(node: RunningNode, room: str) -> None:
    """`/signal` on the page's port: joins, 60 KB frames, and a burst larger than its buffers."""
    author = Author("Ada", signed=True)
    url = f"ws://127.0.0.1:{node.http}/signal"
    async with Socket(url, room, author) as here, Socket(node.socket_url(1), room, Author("Bob")) as there:
        assert here.ws.subprotocol == "egoat.1"
        await there.send({"type": "offer", "payload": "x" * 60_000, "target_peer_id": author.peer})
        assert len((await here.of_type("offer"))["payload"]) == 60_000
        texts = [f"{number} " + "y" * 15_000 for number in range(150)]

        async def write() -> None:
            for text in texts:
                await here.send(author.write(room, text))

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(write())
            got = await there.messages(150)
        own = [frame for frame in await here.during(1) if frame["type"] == "message"]
    assert [json.loads(frame["env"])["body"]["text"] for frame in got] == texts
    assert [frame["seq"] for frame in own] == list(range(1, 151))


async def test_the_splice_tells_signaling_whose_request_it_is(node: RunningNode, room: str) -> None:
    """A page's Origin and Host pass unchanged, so that its join holds through the splice."""
    page = f"http://127.0.0.1:{node.http}"
    author = Author("Ada", signed=True)
    url = f"ws://127.0.0.1:{node.http}/signal"
    async with Socket(url, room, author, headers={"Origin": page}) as socket:
        assert socket.welcome["peer_id"] == author.peer
