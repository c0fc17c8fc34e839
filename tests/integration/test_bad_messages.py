"""Hostile messages: envelopes that are none, texts and names at their limits, forged senders, one id many times."""

import asyncio
import json
import secrets

import httpx
import pytest

from tests.support.clients import Author, Poller, Socket
from tests.support.node import RunningNode
from tests.support.refusals import head_of, hostile_json, refused, send

pytestmark = pytest.mark.usefixtures("survives")


@pytest.mark.parametrize("what", sorted(set(hostile_json({})) - {"invalid UTF-8", "overlong UTF-8",
                                        "surrogate in UTF-8", "UTF-16", "BOM"}))  # fmt: skip
async def test_envelopes_that_are_no_json_are_refused_at_every_door(
    node: RunningNode, http: httpx.AsyncClient, room: str, what: str
) -> None:
    author = Author("Ada")
    poller = Poller(http, node.base, room, author)
    await poller.join()
    good = json.loads(author.write(room, "x")["env"])
    env = hostile_json(good)[what].decode()[:60_000]
    frame = {"type": "send", "env": env}
    headers = {"Authorization": f"Bearer {poller.token}"}
    if len(json.dumps({"env": env})) < 65_000:
        refused(await http.post(f"{node.base}/send", json={"env": env}, headers=headers), 400, "bad_request")
        (fault,) = (await poller.poll(frames=[frame]))["frames"]
        assert (fault["type"], fault["code"]) == ("fault", "bad_request")
        async with Socket(node.socket_url(0), room, Author("Bob")) as socket:
            await socket.send(frame)
            assert (await socket.of_type("fault", within=1))["code"] == "bad_request"
    assert await head_of(http, node, room) == 0


# 12–14: what a message says, and who says it


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        (" \t\n\u2003", 400),
        ("a\0b", 400),
        ("x", 200),
        ("x" * 16_384, 200),
        ("x" * 16_385, 413),
        ("é" * 8_192, 200),
        ("é" * 8_193, 413),
        ("👩‍💻" * 1_489, 200),
        ("e" + "\u0301" * 8_191, 200),
        ("e" + "\u0301" * 30_000, 413),
        ("\\" * 16_384, 200),
        ('"' * 16_384, 200),
        ("\x01" * 10_000, 200),
        ("\x1b[31mred\x1b[0m \x07", 200),
        ("\u202e\u2066bidi", 200),
        ("<img src=x onerror=alert(1)>", 200),
        ("\u2028\u2029\ufeff\uffff\U0010ffff", 200),
    ],
)
async def test_texts_at_their_limits(
    node: RunningNode, http: httpx.AsyncClient, room: str, text: str, status: int
) -> None:
    sent = json.dumps({"room": room, "peer_id": "Ada", "text": text}, ensure_ascii=False).encode()
    kind = {"Content-Type": "application/json"}
    async with Socket(node.socket_url(1), room, Author("Reader")) as reader:
        answer = await http.post(f"{node.base}/send", content=sent, headers=kind)
        if status != 200:
            refused(answer, status, {400: "bad_request", 413: "too_large"}[status])
            assert await head_of(http, node, room) == 0
            return
        assert answer.status_code == 200, answer.text
        live = json.loads((await reader.of_type("message"))["env"])["body"]["text"]
    page = (await http.get(f"{node.base}/history", params={"room": room, "after": ""})).json()
    array = (await http.get(f"{node.base}/history", params={"room": room, "since": "0"})).json()
    assert live == page["items"][0]["text"] == array[0]["text"] == text


@pytest.mark.parametrize(
    ("label", "status"),
    [
        ("", 400),
        ("a" * 64, 200),
        ("a" * 65, 400),
        ("\x1b[31mred", 400),
        ("a\u202eb", 400),
        ("a\u200bb", 400),
        ("a\nb", 400),
        ("a\0", 400),
        (" a", 400),
        ("a  b", 400),
        ("<b>", 400),
        ("guest:Ada", 400),
        ("../x", 400),
        ("e\u0301", 400),
        ("\U0001f468", 400),
        ("Ünï Ҫøde_-.9", 200),
        ("node", 403),
        ("Server", 403),
        ("ＳＹＳＴＥＭ", 403),
        ("ｅgoat", 403),
        ("a2b3c4d5" * 3 + "e6", 403),
        ("A2B3C4D5" * 3 + "E6", 403),
        ("ａ2b3c4d5" + "a2b3c4d5" * 2 + "e6", 403),
    ],
)
async def test_names_at_their_limits(
    node: RunningNode, http: httpx.AsyncClient, room: str, label: str, status: int
) -> None:
    code = {400: "bad_request", 403: "forbidden"}
    answer = await send(http, node, room, "x", peer_id=label)
    body = {"room": room, "session": secrets.token_hex(8), "name": label}
    joined = await http.post(f"{node.base}/join", json=body)
    if status == 200:
        assert answer.status_code == joined.status_code == 200, (answer.text, joined.text)
        return
    refused(answer, status, code[status])
    refused(joined, status, code[status])
    assert await head_of(http, node, room) == 0


async def test_nobody_posts_under_the_id_or_name_of_a_verified_peer(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    peer = Author("Grace Hopper", signed=True)
    async with Socket(node.socket_url(0), room, peer):
        for label in (peer.peer, peer.peer.upper(), peer.peer.title(), "Grace Hopper", "GRACE hopper",
                      "Ｇrace Hopper"):  # fmt: skip
            refused(await send(http, node, room, "forged", peer_id=label), 403, "forbidden")
            body = {"room": room, "session": peer.session, "name": label}
            refused(await http.post(f"{node.base}/join", json=body), 403, "forbidden")
    assert await head_of(http, node, room) == 0


async def test_an_idempotency_key_is_the_message_s_id(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    async def post(key: str | list[str], **body: str) -> httpx.Response:
        keys = [("Idempotency-Key", each) for each in ([key] if isinstance(key, str) else key)]
        reference = {"room": room, "peer_id": "Ada", "text": "x"} | body
        return await http.post(f"{node.base}/send", json=reference, headers=keys)

    first = (await post("key-1")).json()
    assert first["id"] == "key-1"
    for again in (await post('"key-1"'), await post("key-1", id="key-1"), await post("key-1")):
        assert again.json() == first
    refused(await post("key-1", text="y"), 409, "conflict")
    for key in ("", '"', '""', "a b", "x" * 65, "a;b", ["a", "b"], ["a", "a"]):
        refused(await post(key), 400, "bad_request")
    refused(await post("key-2", id="key-3"), 400, "bad_request")
    author = Author("Bob", signed=True)
    poller = Poller(http, node.base, room, author)
    await poller.join()
    frame = author.write(room, "signed", id="key-4")
    body = {"env": frame["env"], "sig": frame["sig"], "pk": frame["pk"]}
    for key, status in (("key-5", 400), ("key-4", 200), ("key-4", 200)):
        headers = {"Idempotency-Key": key, "Authorization": f"Bearer {poller.token}"}
        answer = await http.post(f"{node.base}/send", json=body, headers=headers)
        assert answer.status_code == status, answer.text
    assert await head_of(http, node, room) == 2


async def test_one_id_fifty_times_at_once_is_one_message(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    async def once(base: str) -> tuple[int, int]:
        body = {"room": room, "peer_id": "Ada", "text": "one", "id": "same"}
        answer = await http.post(f"{base}/send", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["seq"], answer.json()["at"]

    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(once(base)) for base in (node.base, node.base2) * 25]
    assert len({task.result() for task in tries}) == 1
    refused(await send(http, node, room, "two", id="same"), 409, "conflict")
    other = await send(http, node, room, "one", id="same", peer_id="Bob")
    assert (other.status_code, other.json()["seq"]) == (200, 2)
    assert await head_of(http, node, room) == 2


async def test_one_envelope_through_every_door_at_once_is_one_message(
    node: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    author = Author("Ada", signed=True)
    poller = Poller(http, node.base, room, author)
    await poller.join()
    frame = author.write(room, "everywhere")
    headers = {"Authorization": f"Bearer {poller.token}"}
    body = {"env": frame["env"], "sig": frame["sig"]}
    async with (
        Socket(node.socket_url(0), room, author.elsewhere()) as here,
        Socket(node.socket_url(1), room, author.elsewhere()) as there,
    ):

        async def by_http(base: str) -> int:
            answer = await http.post(f"{base}/send", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            return int(answer.json()["seq"])

        async def by_socket(socket: Socket) -> int:
            await socket.send(frame)
            return int((await socket.of_type("ack"))["seq"])

        async with asyncio.TaskGroup() as group:
            ways = [group.create_task(by_http(base)) for base in (node.base, node.base2) * 5]
            ways += [group.create_task(by_socket(socket)) for socket in (here, there)]
            polled = group.create_task(poller.poll(frames=[frame, frame]))
    acks = [each["seq"] for each in polled.result()["frames"] if each["type"] == "ack"]
    assert [way.result() for way in ways] + acks == [1] * 14
    assert await head_of(http, node, room) == 1
