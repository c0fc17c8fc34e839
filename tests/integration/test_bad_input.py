"""Hostile requests over HTTP: each is refused with its status in JSON, nothing is stored, the services live on."""

import asyncio
import json
import re
import secrets
import sqlite3

import httpx
import pytest

from tests.support.clients import Author, Poller
from tests.support.node import RunningNode
from tests.support.raw import exchange, request, wire
from tests.support.refusals import head_of, hostile_json, refused, send

pytestmark = pytest.mark.usefixtures("survives")

BIG = 256 * 1024 * 1024


# 1–4, 6–7: GET /history


@pytest.mark.parametrize(
    "query",
    [
        "",
        "room=",
        "room=" + "a" * 65,
        "room=../",
        "room=..",
        "room=a/b",
        "room=a%00b",
        "room=a%E2%80%AEb",
        "room=a%20b",
        "room=%C3%28",
        "room=%ED%A0%80",
        "room=e%CC%81",
        "room=a&room=b",
        "room=' OR 1=1--",
        "room=%25",
        "room=a;DROP TABLE message",
    ],
)
async def test_rooms_that_are_no_names(node: RunningNode, query: str) -> None:
    target = "/history?" + query.replace(" ", "%20")
    refused(await exchange(node.http, request("GET", target)), 400, "bad_request")


async def test_the_form_of_encrypted_rooms_is_reserved(node: RunningNode, http: httpx.AsyncClient) -> None:
    for name in ("a" * 32, "abcdefghijklmnopqrstuvwxyz234567"):
        refused(await http.get(f"{node.base}/history", params={"room": name}), 403, "forbidden")
        refused(await send(http, node, name, "x"), 403, "forbidden")
        body = {"room": name, "session": "0" * 16, "name": "Ada"}
        refused(await http.post(f"{node.base}/join", json=body), 403, "forbidden")


COUNTS = ["abc", "-1", "1.5", "1e3", "١٢", "1_0", "", " ", "+1", "0x1", " 1", "1\n", "²",
          str(2**53 + 1), str(2**63), str(2**64), "9" * 3000]  # fmt: skip


@pytest.mark.parametrize("text", COUNTS)
async def test_numbers_that_are_none(node: RunningNode, http: httpx.AsyncClient, text: str) -> None:
    for name in ("since", "limit"):
        query = {"room": "numbers", name: text} | ({"after": ""} if name == "limit" else {})
        refused(await http.get(f"{node.base}/history", params=query), 400, "bad_request")


async def test_queries_that_say_things_twice_or_too_long(node: RunningNode, http: httpx.AsyncClient) -> None:
    log = secrets.token_hex(8)
    for query in ("since=1&since=1", "since=0&after=", "after=&before=", f"after={log}.1&after={log}.1",
                  "after=&limit=0", "after=&limit=1&limit=2", "after=&full=1&full=1"):  # fmt: skip
        refused(await http.get(f"{node.base}/history?room=twice&{query}"), 400, "bad_request")
    long = await exchange(node.http, request("GET", "/history?room=twice&since=" + "9" * 5000))
    refused(long, 414, "bad_request")
    for top in (2**53, 0):
        found = await http.get(f"{node.base}/history", params={"room": "twice", "since": str(top)})
        assert (found.status_code, found.json()) == (200, [])


@pytest.mark.parametrize(
    "cursor",
    ["1", ".1", "0123456789abcdef", "0123456789abcdef.", "0123456789ABCDEF.1", "0123456789abcdef.-1",
     "0123456789abcdef.١", "0123456789abcdef.1.1", "0123456789abcdef." + "9" * 16, "x" * 3000,
     "0123456789abcdef.99999999999999999999", "0123456789abcdef.1\n"],
)  # fmt: skip
async def test_cursors_that_are_none(node: RunningNode, http: httpx.AsyncClient, cursor: str) -> None:
    for name in ("after", "before"):
        answer = await http.get(f"{node.base}/history", params={"room": "cursors", name: cursor})
        refused(answer, 400, "bad_request")


async def test_cursors_that_lead_nowhere_get_a_reset(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    for number in range(5):
        assert (await send(http, node, room, f"text {number}")).status_code == 200
    with sqlite3.connect(node.db, timeout=5) as db:
        db.execute("DELETE FROM message WHERE room=? AND seq<=2", (room,))
        db.execute("INSERT INTO floor (room, seq, at) VALUES (?, 2, 0)", (room,))
    whole = (await http.get(f"{node.base}/history", params={"room": room, "after": ""})).json()
    log = whole["log_id"]
    assert (whole["floor"], whole["head"]) == (2, 5)
    assert [item["seq"] for item in whole["items"]] == [3, 4, 5]
    for form in ("after", "before"):
        for place, reason in (
            (f"{log}.6", "above_head"),
            (f"{log}.1", "below_floor"),
            (f"{'0' * 16}.3", "log"),
        ):
            answer = await http.get(f"{node.base}/history", params={"room": room, form: place})
            found = answer.json()
            assert answer.status_code == 200
            assert found["reset"] == {"reason": reason, "floor": 2, "head": 5, "log_id": log}, (form, place)
            assert found["items"] == []
    at_head = (await http.get(f"{node.base}/history", params={"room": room, "after": f"{log}.5"})).json()
    assert (at_head["items"], at_head["next"], at_head["more"]) == ([], f"{log}.5", False)
    at_floor = (await http.get(f"{node.base}/history", params={"room": room, "after": f"{log}.2"})).json()
    assert [item["seq"] for item in at_floor["items"]] == [3, 4, 5]


async def test_wildcards_and_twins_of_a_room_see_nothing_of_it(
    node: RunningNode, http: httpx.AsyncClient
) -> None:
    assert (await send(http, node, "Ünï_x", "secret")).status_code == 200
    for other in ("ünï_x", "Ünï-x", "Uni_x", "Ünïax", "Ünï", "Ünï_", "_nï_x"):
        found = await http.get(f"{node.base}/history", params={"room": other})
        assert (found.status_code, found.text) == (200, "[]"), other
    twin = "U\u0308n\u0069\u0308_x"
    refused(await http.get(f"{node.base}/history", params={"room": twin}), 400, "bad_request")


async def test_a_long_room_comes_in_bounded_pieces(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    """The reference array ends at 10,000 with a Link to the rest, a cursor page at 200; memory stays flat."""
    body = json.dumps({"text": "x" * 1000, "name": "Ada"})
    rows = [
        (room, seq, 10_000 + seq // 3 * 10, f"m{seq}", b"", f'{{"id":"m{seq}","room":"{room}",'
         f'"sender":"guest:Ada","kind":"text","hlc":"000000000000-0000","body":{body}}}')
        for seq in range(1, 12_001)
    ]  # fmt: skip
    with sqlite3.connect(node.db, timeout=5) as db:
        db.executemany(
            "INSERT INTO message (room, seq, at, sender, id, kind, digest, env)"
            " VALUES (?, ?, ?, 'guest:Ada', ?, 'text', ?, ?)", rows)  # fmt: skip
    before = node.gateway.forget_peak()
    answer = await http.get(f"{node.base}/history", params={"room": room, "since": "0"})
    first = answer.json()
    assert 9_000 < len(first) <= 10_000
    more = re.fullmatch(r'<(/history\?[^>]+)>; rel="next"', answer.headers["Link"])
    assert more
    rest = await http.get(node.base + more[1])
    assert "Link" not in rest.headers
    assert [item["seq"] for item in first + rest.json()] == list(range(1, 12_001))
    assert first[-1]["timestamp"] < rest.json()[0]["timestamp"], "cut inside a second"
    page = await http.get(f"{node.base}/history", params={"room": room, "after": "", "limit": str(10**9)})
    assert len(page.json()["items"]) == 200
    assert page.json()["more"] is True
    assert node.gateway.memory("VmHWM") < before + 40


# 8: the request itself


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (request("PUT", "/history?room=a"), {405}),
        (request("DELETE", "/send"), {405}),
        (request("TRACE", "/"), {405}),
        (request("GET", "/send"), {405}),
        (request("POST", "/history?room=a", b"{}", Content_Type="application/json"), {405}),
        (request("POST", "/config", b"{}", Content_Type="application/json"), {405}),
        (request("OPTIONS", "/send"), {405}),
        (request("GET", "/nothing"), {404}),
        (request("GET", "/static/%00"), {404, 400}),
        (request("GET", "/static/../../../etc/passwd"), {404, 400}),
        (request("GET", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), {404, 400}),
        (request("GET", "/static/..%2f..%2fpyproject.toml"), {404, 400}),
        (request("GET", "/static/" + "a" * 3000), {404, 400}),
        (request("GET", "/static/%ff%fe"), {404, 400}),
        (request("GET", "/static/js"), {404}),
        (request("GET", "/history?room=a", host="evil example"), {400}),
        (request("GET", "/history?room=a", host="["), {400}),
        (request("GET", "/history?room=a", host=""), {400}),
        (b"GET /history?room=a HTTP/1.1\r\n\r\n", {400}),
        (request("GET", "/history?room=" + "a" * 5000), {414}),
        (request("GET", "/history?room=a", X="a" * 9000), {431}),
        (request("GET", "/history?room=a", **{f"X{n}": "a" * 50 for n in range(200)}), {431}),
        (request("POST", "/send", b"{}", Content_Length="2, 2"), {400}),
        (request("POST", "/send", b"{}", Content_Length="-1"), {400}),
        (request("POST", "/send", b"{}", Content_Length="9" * 30), {400}),
        (request("POST", "/send", b"0\r\n\r\n", Transfer_Encoding="chunked"), {400}),
        (b"POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", {400}),
        (b"POST /send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
         b"Content-Type: application/json\r\n\r\nzz\r\n", {400}),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", {400}),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", {400}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, {400}),
        (b"GET\r\n\r\n", {400}),
        (b"nonsense\r\n\r\n", {400}),
    ],
)  # fmt: skip
async def test_requests_that_are_wrong_in_themselves(
    node: RunningNode, data: bytes, statuses: set[int]
) -> None:
    answer = await exchange(node.http, data)
    codes = {404: "not_found", 405: "method_not_allowed"}
    assert answer.status in statuses, answer
    refused(answer, answer.status, codes.get(answer.status, "bad_request"))
    assert b"root:" not in answer.body


async def test_a_query_and_headers_that_never_end(node: RunningNode) -> None:
    before = node.gateway.forget_peak()
    for start, chunk, status in (
        (b"GET /history?room=", b"a" * 65536, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"a" * 65536, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: a\r\n" * 4096, 431),
        (b"G", b"G" * 65536, 400),
    ):
        async with wire(node.http) as line:
            await line.send(start)
            answer = asyncio.ensure_future(line.answer())
            for _ in range(64):
                if answer.done():
                    break
                await line.send(chunk)
                await asyncio.sleep(0)
            refused(await answer, status, "bad_request")
    assert node.gateway.memory("VmHWM") < before + 10


async def test_head_is_get_without_its_body(node: RunningNode) -> None:
    for target in ("/", "/config", "/history?room=a", "/transport/status"):
        async with wire(node.http) as line:
            await line.send(request("HEAD", target, Connection="close"))
            raw = await line.ended()
        head, _, body = raw.partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 405")), (target, head)
        assert body == b"" or head.startswith(b"HTTP/1.1 405")


# 9–11: POST bodies

POSTS = ["/send", "/join", "/join/challenge", "/poll"]


@pytest.mark.parametrize("path", POSTS)
async def test_bodies_too_large_are_refused_before_they_are_taken(
    node: RunningNode, path: str, http: httpx.AsyncClient, room: str
) -> None:
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    extra = {"Content_Type": "application/json", "Authorization": f"Bearer {poller.token}"}
    before = node.gateway.forget_peak()
    async with wire(node.http) as line:
        await line.send(request("POST", path, b"", **extra | {"Content_Length": str(BIG)}))
        refused(await line.answer(), 413, "too_large")
        await line.send(b"x" * 4_000_000)
    async with wire(node.http) as line:
        await line.send(request("POST", path, **extra, Transfer_Encoding="chunked"))
        answer = asyncio.ensure_future(line.answer())
        sent = 0
        while not answer.done() and sent < 8_000_000:
            await line.send(b"4000\r\n" + b" " * 16384 + b"\r\n")
            sent += 16384
            await asyncio.sleep(0)
        refused(await answer, 413, "too_large")
        assert sent < 8_000_000
    assert node.gateway.memory("VmHWM") < before + 10


async def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_not(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    body = json.dumps({"room": room, "peer_id": "Ada", "text": "x"}).encode()
    kind = {"Content-Type": "application/json"}
    exact = await http.post(f"{node.base}/send", content=body.ljust(65_536), headers=kind)
    assert exact.status_code == 200, exact.text
    over = await http.post(f"{node.base}/send", content=body.ljust(65_537), headers=kind)
    refused(over, 413, "too_large")
    assert await head_of(http, node, room) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "application/jsonp"}, 415),
        ({"Content-Type": "text/plain, application/json"}, 415),
        ({}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "identity"}, 415),
        ({"Content-Type": "text/plain", "Origin": "http://evil.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "http://evil.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "null"}, 403),
        ({"Content-Type": "application/json", "Origin": "http://["}, 403),
        ({"Content-Type": "application/json", "Origin": "http://\u00ad.example"}, 403),
        ({"Content-Type": "application/json", "Origin": ""}, 403),
        ({"Content-Type": "application/json", "Origin": "https://evil.example.ok.example"}, 403),
    ],
)
async def test_forms_and_foreign_pages_cannot_post(
    node: RunningNode, http: httpx.AsyncClient, room: str, headers: dict[str, str], status: int
) -> None:
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    body = json.dumps({"room": room, "peer_id": "Ada", "text": "x"}).encode()
    for path in POSTS:
        answer = await http.post(node.base + path, content=body, headers=raw)
        if path != "/poll" or status == 403:
            refused(answer, status, {403: "forbidden", 415: "unsupported_media_type"}[status])
        assert "access-control-allow-origin" not in answer.headers
    assert await head_of(http, node, room) == 0


@pytest.mark.parametrize("what", sorted(hostile_json({})))
async def test_json_that_is_none_is_refused_at_once(
    node: RunningNode, http: httpx.AsyncClient, room: str, what: str
) -> None:
    author = Author("Ada")
    poller = Poller(http, node.base, room, author)
    await poller.join()
    bodies = {
        "/send": {"room": room, "peer_id": "Ada", "text": "x"},
        "/join": {"room": room, "session": author.session, "name": "Ada", "token": poller.token},
        "/join/challenge": {"room": room},
        "/poll": {"after": None, "wait": 0, "frames": [], "room": "unknown fields are ignored"},
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {poller.token}"}
    for path, good in bodies.items():
        assert (await http.post(node.base + path, json=good, headers=headers)).status_code == 200, path
        async with asyncio.timeout(1):
            bad = await http.post(node.base + path, content=hostile_json(good)[what], headers=headers)
        refused(bad, 400, "bad_request")
    assert await head_of(http, node, room) == 1


async def test_nonsense_behind_a_request_that_is_still_answered(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    body = json.dumps({"after": poller.after, "wait": 1}).encode()
    extra = {"Content_Type": "application/json", "Authorization": f"Bearer {poller.token}"}
    for behind in (b"nonsense\r\n\r\n", b"\x00" * 100):
        async with wire(node.http) as line:
            await line.send(request("POST", "/poll", body, **extra) + behind)
            refused(await line.answer(), 400, "bad_request")
            await line.ended()
