"""The composed node, really run: both doors, two signaling replicas, restarts, and how it is closed in."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from socket import create_connection
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from services.transport.relay.check import attempt, ways
from tests.system.stack import Answer, Stack, run

pytestmark = pytest.mark.compose

TEXT = "a goat on every hill — ἀλήθεια"


def room_name() -> str:
    return "room-" + secrets.token_hex(8)


def receive(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of this type; others in between are passed over."""
    deadline = time.monotonic() + 10
    while True:
        frame = json.loads(socket.recv(timeout=max(0.0, deadline - time.monotonic())))
        if frame["type"] == kind:
            return dict(frame)


@contextmanager
def joined(stack: Stack, port: int, room: str, name: str) -> Iterator[ClientConnection]:
    """A guest's socket in the room."""
    with stack.signal(port) as socket:
        receive(socket, "challenge")
        hello = {"type": "hello", "v": [1], "room": room, "session": secrets.token_hex(8), "name": name}
        socket.send(json.dumps(hello))
        receive(socket, "welcome")
        yield socket


def envelope(room: str, name: str, text: str) -> str:
    now = time.time_ns() // 1_000_000
    message = {
        "id": secrets.token_hex(12),
        "room": room,
        "sender": f"guest:{name}",
        "kind": "text",
        "hlc": f"{now:012x}-0000",
        "body": {"text": text, "name": name},
    }
    return json.dumps(message)


def post(stack: Stack, room: str, name: str, text: str) -> Answer:
    return stack.request("POST", "/send", {"room": room, "peer_id": name, "text": text})


def history(stack: Stack, room: str) -> dict[str, Any]:
    answer = stack.request("GET", f"/history?room={room}&after=")
    assert answer.status == 200, answer
    return dict(answer.json())


def test_the_front_door_serves_page_configuration_and_status(stack: Stack) -> None:
    page = stack.request("GET", "/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "server" not in page.headers
    assert stack.request("GET", "/config").json()["ws_port"] == stack.ws_port
    assert stack.request("GET", "/healthz").status == 200
    assert stack.request("GET", "/readyz").status == 200
    assert stack.request("GET", "/transport/status").json()["connections"] == 0


def test_what_is_sent_is_in_the_history(stack: Stack) -> None:
    room = room_name()
    sent = post(stack, room, "anna", TEXT)
    assert sent.status == 200, sent
    assert stack.request("GET", f"/history?room={room}&since=0").json()[0]["text"] == TEXT
    item = history(stack, room)["items"][0]
    assert (item["id"], item["seq"], item["peer_id"]) == (sent.json()["id"], 1, "guest:anna")


def test_messages_reach_sockets_of_both_replicas_through_both_doors(stack: Stack) -> None:
    room = room_name()
    doors = [stack.http_port, stack.ws_port] * 3
    with ExitStack() as open_sockets:
        sockets = [
            open_sockets.enter_context(joined(stack, port, room, f"guest {number}"))
            for number, port in enumerate(doors)
        ]
        assert stack.sockets_of_replica(1) >= 2
        assert stack.sockets_of_replica(2) >= 2

        env = envelope(room, "guest 0", TEXT)
        sockets[0].send(json.dumps({"type": "send", "env": env}))
        ack = receive(sockets[0], "ack")
        assert ack["seq"] == 1
        for socket in sockets[1:]:
            message = receive(socket, "message")
            assert (message["seq"], message["env"]) == (1, env)

        over_http = post(stack, room, "bert", "over HTTP").json()
        for socket in sockets[1:]:
            message = receive(socket, "message")
            assert (message["seq"], json.loads(message["env"])["id"]) == (2, over_http["id"])


def test_reference_clients_meet_across_doors(stack: Stack) -> None:
    room = room_name()
    with (
        stack.signal(stack.http_port, f"?room={room}&peer_id=anna", ours=False) as anna,
        stack.signal(stack.ws_port, f"?room={room}&peer_id=bert", ours=False) as bert,
    ):
        assert receive(anna, "peer_joined")["peer_id"] == "bert"
        offer = {"type": "offer", "target_peer_id": "bert", "payload": {"sdp": "v=0 " + "x" * 20_000}}
        anna.send(json.dumps(offer))
        got = receive(bert, "offer")
        assert (got["peer_id"], got["payload"]) == ("anna", offer["payload"])


def test_refusals_pass_the_front_door_unchanged(stack: Stack) -> None:
    large = json.dumps({"room": "r", "peer_id": "anna", "text": "x" * 1_000_000}).encode()
    for _ in range(5):
        refused = stack.request("POST", "/send", large)
        assert (refused.status, refused.json()["code"]) == (413, "too_large")
    assert stack.request("GET", "/", **{"X-Long": "x" * 20_000}).status == 431
    assert stack.request("GET", "/history?room=..").json()["code"] == "bad_request"
    assert stack.request("GET", "/nothing-here").status == 404


def test_a_body_that_never_ends_is_answered_and_not_stored(stack: Stack) -> None:
    room = room_name()
    whole = json.dumps({"room": room, "peer_id": "anna", "text": TEXT}).encode()
    with create_connection(("127.0.0.1", stack.http_port), timeout=20) as slow:
        head = "POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        slow.sendall(f"{head}Content-Length: {len(whole)}\r\n\r\n".encode() + whole[:-1])
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert history(stack, room)["items"] == []


def test_a_killed_signaling_replica_is_passed_over(stack: Stack) -> None:
    room = room_name()
    victim = f"{stack.project}-signaling-2"
    run("docker", "kill", victim)
    try:
        for number in range(4):
            with joined(stack, stack.http_port, room, f"guest {number}"):
                pass
    finally:
        run("docker", "start", victim)


def test_only_front_door_and_relay_are_published_and_every_container_is_closed_in(stack: Stack) -> None:
    containers = stack.containers()
    assert len(containers) == 9
    for name, one in containers.items():
        host = one["HostConfig"]
        assert bool(host["PortBindings"]) == ("front-door" in name or "coturn" in name), name
        assert one["Config"]["User"] == "10001:10001", name
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name


def test_the_relay_was_tried_and_relays_from_outside_too(stack: Stack) -> None:
    deadline = time.monotonic() + 30
    while (said := stack.request("GET", "/readyz").json())["parts"]["turn"] != "up":
        assert time.monotonic() < deadline, said
        time.sleep(0.5)
    assert re.search(
        r"coturn:\d+ works over UDP \([\d.]+ ms\) and TCP \([\d.]+ ms\)$", said["details"]["turn"]
    )
    room = {"room": room_name(), "session": secrets.token_hex(8), "name": "Gus of the hill"}
    given = stack.request("POST", "/join", room).json()["turn"]
    assert given["turn"] == stack.request("GET", "/config").json()["turn_urls"]
    assert given["stun"] == [f"stun:127.0.0.1:{port}" for port in (stack.turn_port, stack.stun_port)]
    for way in ways(given["turn"]):
        tried = asyncio.run(attempt(way, given["username"], given["credential"]))
        assert tried.ms is not None, tried.problem
        refused = asyncio.run(attempt(way, given["username"], "a guess"))
        assert "refuses the credentials" in refused.problem


def test_restarted_and_then_new_containers_keep_the_history(stack: Stack) -> None:
    room = room_name()
    for number in range(3):
        assert post(stack, room, "anna", f"{number}").status == 200
    before = history(stack, room)
    stack.compose("restart", "--timeout", "10", timeout=120)
    stack.wait_ready()
    assert history(stack, room) == before
    stack.compose("down", "--timeout", "10", timeout=120)
    stack.start()
    assert history(stack, room) == before
    assert post(stack, room, "anna", "3").json()["seq"] == 4
