"""What is said about the relay: which ways its URLs name, and one sentence for each server."""

import pytest

from services.kernel.wire.status import RelayState
from services.transport.relay.check import Tried, Way, told, ways
from services.transport.relay.stun import Address

HERE = Address("h", 3478)
UDP, TCP = Way("udp", HERE), Way("tcp", HERE)


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("turn:h:3478?transport=udp", UDP),
        ("turn:h:3478?transport=tcp", TCP),
        ("turn:h", UDP),
        ("turns:h", Way("tls", Address("h", 5349))),
        ("turns:h:443?transport=tcp", Way("tls", Address("h", 443))),
        ("turn:[fd00::2]:1", Way("udp", Address("fd00::2", 1))),
    ],
)
def test_a_url_names_a_way(url: str, way: Way) -> None:
    assert ways([url, url]) == [way]


def test_what_cannot_be_tried_is_left_out() -> None:
    assert ways(["turns:h:443?transport=udp"]) == []


@pytest.mark.parametrize(
    ("tried", "ok", "text"),
    [
        ([Tried(UDP, 0.44), Tried(TCP, 12.0)], True, "works over UDP (0.4 ms) and TCP (12.0 ms)"),
        (
            [Tried(UDP, None, "does not answer on UDP 3478"), Tried(TCP, 1)],
            False,
            "works over TCP (1.0 ms), but does not answer on UDP 3478",
        ),
        ([Tried(UDP, None, "one"), Tried(TCP, None, "two")], False, "one and two"),
    ],
)
def test_a_server_has_one_sentence(tried: list[Tried], ok: bool, text: str) -> None:
    assert told(tried) == RelayState(ok, f"TURN relay at h:3478 {text}")


def test_servers_are_told_apart() -> None:
    other = Way("udp", Address("fd00::2", 1))
    found = told([Tried(UDP, 1), Tried(other, None, "does not answer on UDP 1")])
    assert found == RelayState(
        False,
        "TURN relay at h:3478 works over UDP (1.0 ms); TURN relay at [fd00::2]:1 does not answer on UDP 1",
    )
