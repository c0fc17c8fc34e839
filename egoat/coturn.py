"""coturn as a node runs it: its configuration (pure) from very few facts. Standard library only, for its container.

It relays for who shows credentials of this node, over UDP and IPv4. Two relayed peers meet at the relay's own
address; nothing else is reached, unless the operator names the public address: then public addresses are, too.
"""

import argparse
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

DEFAULT_PORT = 3478
DEFAULT_RELAY_PORTS = "50000-50999"

_USER_QUOTA, _TOTAL_QUOTA = 100, 1_000
_SESSION_BYTES_S = 1_250_000

# Everything special (RFC 6890) but the ranges for documentation, which nobody routes; multicast and above.
_SPECIAL = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
)
_ALL_IPV4 = ("0.0.0.0/0",)
# Not from `::` on: coturn 4.6 takes a range that begins at an unspecified address to hold all of IPv4, too.
_ALL_IPV6 = "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

_FIXED = (
    "realm=egoat",
    "use-auth-secret",
    "fingerprint",
    "stale-nonce=600",
    "no-cli",
    "no-tls",
    "no-dtls",
    "no-tcp-relay",
    "no-multicast-peers",
    "no-rfc5780",
    "no-software-attribute",
    "simple-log",
    f"user-quota={_USER_QUOTA}",
    f"total-quota={_TOTAL_QUOTA}",
    # No bps-capacity: coturn takes each session's max-bps off it at once, so that 25 MB/s let twenty in and no more.
    f"max-bps={_SESSION_BYTES_S}",
)


class Coturn(NamedTuple):
    """One server. `listen` empty: every address of the machine.

    `external`: the public address under which `relay` is reached; empty: relays reach relays only.
    `stun_port`: a second port; what two ports see of one socket tells how a NAT behaves (RFC 4787). 0: none.
    """

    port: int
    listen: Sequence[str]
    relay: str
    relay_ports: tuple[int, int]
    secret: str
    folder: str
    log: str = "/dev/null"
    external: str = ""
    stun_port: int = 0


def parse_ports(text: str) -> tuple[int, int]:
    """`50000-50999` as a pair; raises ValueError."""
    first, dash, last = text.partition("-")
    if not (dash and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise ValueError(f"{text!r} is not a range of ports like {DEFAULT_RELAY_PORTS}")
    low, high = int(first), int(last)
    if not 1024 <= low <= high <= 65535:
        raise ValueError(f"{text!r} is not within 1024-65535")
    return low, high


def config(server: Coturn) -> str:
    """The text of turnserver.conf; it holds the secret."""
    lines = [*_FIXED, f"static-auth-secret={server.secret}"]
    lines += [f"listening-port={server.port}", *(f"listening-ip={address}" for address in server.listen)]
    if server.stun_port:
        lines += [f"aux-server={_at(address, server.stun_port)}" for address in server.listen or ("0.0.0.0",)]
    lines += [f"relay-ip={server.relay}"]
    lines += [f"min-port={server.relay_ports[0]}", f"max-port={server.relay_ports[1]}"]
    denied = map(ipaddress.ip_network, _SPECIAL if server.external else _ALL_IPV4)
    lines += [f"denied-peer-ip={network[0]}-{network[-1]}" for network in denied]
    lines += [f"denied-peer-ip={_ALL_IPV6}", f"allowed-peer-ip={server.relay}"]
    if server.external:
        lines += [f"external-ip={server.external}/{server.relay}"]
    if ipaddress.ip_address(server.relay).is_loopback:
        lines += ["allow-loopback-peers"]
    lines += [
        f"log-file={server.log}",
        f"pidfile={server.folder}/turn.pid",
        f"userdb={server.folder}/turn.db",
    ]
    return "\n".join(lines) + "\n"


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def own_relay(port: int, platform: str = sys.platform) -> str:
    """An address at which relays of this machine meet, whatever network the machine moves to.

    On Linux, where all of 127.0.0.0/8 is local, it is one that no service listens on, and another for each `port`.
    """
    return f"127.86.{port >> 8}.{port & 255}" if platform == "linux" else "127.0.0.1"


def own_address() -> str:
    """The IPv4 address that this machine uses towards the world, empty when it has none. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def write(server: Coturn) -> Path:
    """The configuration as a file in the server's folder that only its owner can read."""
    path = Path(server.folder) / "turnserver.conf"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(config(server))
    return path


def main() -> None:
    """Becomes the server of a container that has one network, whose address no other service has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stun-port", type=int, default=0)
    parser.add_argument("--relay-ports", type=parse_ports, required=True)
    parser.add_argument("--external", default="")
    parser.add_argument("--secret-file", type=Path, required=True)
    given = parser.parse_args()
    own = socket.gethostbyname(socket.gethostname())
    secret = given.secret_file.read_text("ascii").strip()
    ports = given.relay_ports
    listen = ("127.0.0.1", own)
    server = Coturn(given.port, listen, own, ports, secret, "/tmp", "stdout", given.external, given.stun_port)
    os.execvp("turnserver", ["turnserver", "-c", str(write(server))])


if __name__ == "__main__":
    main()
