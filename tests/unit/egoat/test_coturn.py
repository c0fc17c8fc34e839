"""coturn's configuration: who is reached, what is off, and that two nodes here do not meet."""

import ipaddress
import re
import stat
from pathlib import Path

import pytest

from egoat.coturn import Coturn, config, own_relay, parse_ports, write

SERVER = Coturn(3478, (), "127.86.13.150", (50000, 50999), "5ecret", "/run/egoat")
PUBLIC = SERVER._replace(relay="10.0.0.5", external="203.0.113.9", listen=("10.0.0.5", "fd00::2"))


def values(server: Coturn, name: str) -> list[str]:
    """What the configuration says of a name."""
    return re.findall(rf"^{name}=(.*)$", config(server), re.M)


def denied(server: Coturn, address: str) -> bool:
    """Whether a range holds the address, compared as coturn 4.6 does: between families by their number."""
    asked = ipaddress.ip_address(address)
    ranges = [tuple(map(ipaddress.ip_address, each.split("-"))) for each in values(server, "denied-peer-ip")]

    def less_or_equal(one: object, other: object) -> bool:
        assert isinstance(one, ipaddress.IPv4Address | ipaddress.IPv6Address)
        assert isinstance(other, ipaddress.IPv4Address | ipaddress.IPv6Address)
        return (one.version, int(one)) <= (other.version, int(other))

    return any(
        (int(low) == 0 or less_or_equal(low, asked)) and less_or_equal(asked, high) for low, high in ranges
    )


def test_what_is_always_on_and_off() -> None:
    lines = config(SERVER).splitlines()
    for line in ("use-auth-secret", "static-auth-secret=5ecret", "fingerprint", "no-cli", "no-tcp-relay",
                 "no-multicast-peers", "user-quota=100", "total-quota=1000", "min-port=50000", "max-port=50999",
                 "listening-port=3478", "relay-ip=127.86.13.150", "no-tls", "no-dtls"):  # fmt: skip
        assert lines.count(line) == 1, line
    assert int(values(SERVER, "max-bps")[0]) > 0
    assert values(SERVER, "listening-ip") == []
    assert values(PUBLIC, "listening-ip") == ["10.0.0.5", "fd00::2"]


def test_a_second_port_answers_where_the_first_does() -> None:
    assert values(SERVER, "aux-server") == []
    assert values(SERVER._replace(stun_port=3479), "aux-server") == ["0.0.0.0:3479"]
    assert values(PUBLIC._replace(stun_port=3479), "aux-server") == ["10.0.0.5:3479", "[fd00::2]:3479"]


def test_relays_reach_relays_and_nothing_else() -> None:
    assert values(SERVER, "allowed-peer-ip") == ["127.86.13.150"]
    assert "allow-loopback-peers" in config(SERVER)
    for address in (
        "9.9.9.9",
        "10.0.0.1",
        "127.0.0.1",
        "255.255.255.255",
        "::1",
        "2001:db8::1",
        "::ffff:9.9.9.9",
    ):
        assert denied(SERVER, address), address


def test_with_a_public_address_public_addresses_are_reached() -> None:
    assert values(PUBLIC, "external-ip") == ["203.0.113.9/10.0.0.5"]
    assert values(PUBLIC, "allowed-peer-ip") == ["10.0.0.5"]
    assert "allow-loopback-peers" not in config(PUBLIC)
    for address in ("9.9.9.9", "203.0.113.9", "100.63.255.255", "172.32.0.0"):
        assert not denied(PUBLIC, address), address
    for address in ("10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.255.255",
                    "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::1", "64:ff9b::a01:203"):  # fmt: skip
        assert denied(PUBLIC, address), address


def test_each_port_has_a_relay_address_of_its_own() -> None:
    found = {own_relay(port, "linux") for port in range(1, 65536)}
    assert len(found) == 65535
    assert all(ipaddress.ip_address(each).is_loopback for each in found)
    assert "127.0.0.1" not in found
    assert own_relay(3478, "darwin") == "127.0.0.1"


def test_a_range_of_ports() -> None:
    assert parse_ports("50000-50999") == (50000, 50999)
    assert parse_ports("1024-1024") == (1024, 1024)


@pytest.mark.parametrize(
    "text", ["", "50000", "-", "1-2", "50999-50000", "50000-65536", "a-b", "1024-²", "1024-1025-"]
)
def test_what_is_no_range_of_ports(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_ports(text)


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    server = SERVER._replace(folder=str(tmp_path))
    for _ in range(2):
        path = write(server)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() == config(server)
