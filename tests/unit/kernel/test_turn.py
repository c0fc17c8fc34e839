"""Credentials for the relay: what coturn will check, under which name, at which address, and who gets how many."""

from pathlib import Path

import pytest

from services.kernel.model.errors import ErrorCode
from services.kernel.model.ids import PeerId
from services.kernel.run.limits import Budgets, Payer
from services.kernel.run.relaying import TurnDesk
from services.kernel.run.settings import Limits, StartError, TurnServers, load
from services.kernel.run.turn import Relay, credential, host_of, stun_urls, user_of
from services.kernel.wire.frames import Turn
from tests.fakes.manual_clock import ManualClock
from tests.fakes.memory_leases import MemoryLeases
from tests.unit.expect import refused

URLS = ("turn:{host}:3478?transport=udp", "turn:{host}:3478?transport=tcp")
HERE, THERE = b"\x01" * 8, b"\x02" * 8
ANN = Payer(PeerId("mfrggzdfmztwq2lknnwg23tpob"), True, HERE)
NOW_MS = 1_767_222_000_999


def guest(label: str, address: bytes = HERE) -> Payer:
    """Somebody with a label."""
    return Payer(PeerId(f"guest:{label}"), False, address)


# echo -n NAME | openssl dgst -sha1 -hmac SECRET -binary | base64
@pytest.mark.parametrize(
    ("secret", "username", "expected"),
    [
        ("north", f"1767225600:{ANN.peer}", "WOyQgc4QJS/9ADirLnaAvflF1R0="),
        ("00ff" * 16, "1767225600:guest:0123456789abcdef", "YnCsVgzp1fWvPb+n5JUiDsmv0Yc="),
    ],
)
def test_the_credential_is_what_openssl_makes(secret: str, username: str, expected: str) -> None:
    assert credential(secret, username) == expected


def test_what_a_peer_is_given() -> None:
    relay = Relay(URLS, "north", "", 3600)
    assert relay.issue(user_of(ANN), "chat.example:8080", NOW_MS) == Turn(
        stun=["stun:chat.example:3478"],
        turn=["turn:chat.example:3478?transport=udp", "turn:chat.example:3478?transport=tcp"],
        username=f"1767225600:{ANN.peer}",
        credential="WOyQgc4QJS/9ADirLnaAvflF1R0=",
        ttl=3600,
    )


def test_guests_of_one_address_are_one_user_whatever_their_label() -> None:
    users = {user_of(guest(label)) for label in ("Gus", "a b", "Ζωή")}
    assert len(users) == 1
    assert users != {user_of(guest("Gus", THERE))}
    assert user_of(guest("Gus", b"")) != user_of(guest("Zoe", b""))
    for user in (*users, user_of(guest("a b", b""))):
        assert user.startswith("guest:") and user.isascii() and " " not in user
        assert user not in (ANN.peer, user_of(ANN))


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("chat.example", "chat.example"),
        ("chat.example:8080", "chat.example"),
        ("localhost:8080", "localhost"),
        ("192.0.2.7:80", "192.0.2.7"),
        ("[fd00::2]:8080", "[fd00::2]"),
        ("[::1]", "[::1]"),
        ("", ""),
        ("a b", ""),
        ("a?transport=tcp", ""),
        ("evil,turn:other", ""),
        ("fd00::2", ""),
        ("a:port", ""),
        ("a" * 254, ""),
        ("a\r\nb", ""),
    ],
)
def test_the_host_that_a_client_asked_for(header: str, host: str) -> None:
    assert host_of(header) == host


def test_a_fixed_host_stands_before_what_the_client_asked_for() -> None:
    relay = Relay(URLS, "s", "turn.example", 600)
    assert relay.urls_for("chat.example")[0] == "turn:turn.example:3478?transport=udp"
    assert relay.urls_for("")[0] == "turn:turn.example:3478?transport=udp"


def test_a_client_without_a_host_gets_only_urls_that_need_none() -> None:
    assert Relay(URLS, "s", "", 600).issue("u", "", NOW_MS) is None
    fixed = Relay((*URLS, "turns:t.example:443"), "s", "", 600).issue("u", "bad host", NOW_MS)
    assert fixed is not None
    assert (fixed.turn, fixed.stun) == (["turns:t.example:443"], [])


def test_further_stun_servers_come_after_those_that_turn_servers_are() -> None:
    relay = Relay(URLS, "s", "", 600, ("stun:{host}:3479", "stun:other:1"))
    found = relay.issue("u", "chat.example:8080", NOW_MS)
    assert found is not None
    assert found.stun == ["stun:chat.example:3478", "stun:chat.example:3479", "stun:other:1"]
    read = load(
        TurnServers, "TURN_", {"TURN_URLS": URLS[0], "TURN_SECRET": "s", "TURN_STUN_URLS": "stun:{host}:3479"}
    )
    made = Relay.of(read)
    assert made is not None
    assert made.stun == ("stun:{host}:3479",)


def test_stun_is_asked_where_turn_speaks_udp() -> None:
    urls = ["turn:a:1?transport=udp", "turn:a:1?transport=tcp", "turn:b", "turns:c:443?transport=tcp"]
    assert stun_urls(urls) == ["stun:a:1", "stun:b"]


def desk(relay: Relay | None, **limits: int) -> TurnDesk:
    """A process that gives credentials."""
    clock = ManualClock()
    return TurnDesk(relay, Budgets(Limits(**limits), MemoryLeases(clock), clock), clock)


def test_guests_of_an_address_share_a_smaller_quota() -> None:
    here = desk(Relay(URLS, "s", "", 600), turns=3, guest_turns=2)
    for _ in range(3):
        assert here.give(ANN, "h")
    for label in "ab":
        assert here.offer(guest(label), "h")
    with refused(ErrorCode.TOO_MANY, "2 credentials"):
        here.give(guest("c"), "h")
    assert here.offer(guest("c"), "h") is None
    assert here.give(guest("c", THERE), "h")
    with refused(ErrorCode.TOO_MANY, "3 credentials"):
        here.give(ANN, "h")


def test_nothing_is_charged_where_nothing_is_given() -> None:
    here = desk(None, guest_turns=1)
    assert [here.give(guest("a"), "h") for _ in range(3)] == [None] * 3
    assert here.urls("h") == []
    there = desk(Relay(URLS, "s", "", 600), guest_turns=1)
    assert there.give(guest("a"), "no host") is None
    assert there.give(guest("a"), "h")


def test_settings_without_urls_are_no_relay() -> None:
    assert Relay.of(load(TurnServers, "TURN_", {})) is None
    assert Relay.of(load(TurnServers, "TURN_", {"TURN_SECRET": "s", "TURN_URLS": ""})) is None


def test_settings_with_a_secret_or_its_file(tmp_path: Path) -> None:
    urls = {"TURN_URLS": ", ".join(URLS)}
    (tmp_path / "secret").write_text("north\n")
    from_file = load(TurnServers, "TURN_", urls | {"TURN_SECRET_FILE": str(tmp_path / "secret")})
    given = load(TurnServers, "TURN_", urls | {"TURN_SECRET": "north", "TURN_TTL_S": "600"})
    assert Relay.of(from_file) == Relay(URLS, "north", "", 3600)
    assert Relay.of(given) == Relay(URLS, "north", "", 600)
    for bad in ("missing", "empty", "bytes"):
        (tmp_path / "empty").write_text("\n")
        (tmp_path / "bytes").write_bytes(b"\xff")
        broken = load(TurnServers, "TURN_", urls | {"TURN_SECRET_FILE": str(tmp_path / bad)})
        with pytest.raises(StartError, match="secret"):
            Relay.of(broken)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TURN_URLS", "stun:h:1"),
        ("TURN_URLS", "turn:"),
        ("TURN_URLS", "turn:h:1?transport=sctp"),
        ("TURN_URLS", "turn:h:1/x"),
        ("TURN_URLS", "turn:{name}:1"),
        ("TURN_STUN_URLS", "turn:h:1"),
        ("TURN_STUN_URLS", "stun:h:1?transport=udp"),
        ("TURN_TTL_S", "599"),
        ("TURN_TTL_S", "3601"),
        ("TURN_HOST", "a b"),
        ("TURN_HOST", "h:1"),
        ("TURN_SECRET", ""),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    good = {"TURN_URLS": URLS[0], "TURN_SECRET": "s"}
    with pytest.raises(StartError, match=name):
        load(TurnServers, "TURN_", good | {name: value})
