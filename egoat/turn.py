"""The relay of `egoat up`: coturn as one more process, where it is installed, without root."""

import argparse
import asyncio
import ipaddress
import re
import shutil
import socket
from pathlib import Path

import msgspec

from egoat import coturn
from egoat.supervisor import Ready, Spec, asked
from services.kernel.run.settings import StartError, inherited

_PORTS_LOOKED_AT = 50
_BINDING = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"egoat up? ok"
_ANSWERED = b"\x01\x01"
_ALL = ("", "0.0.0.0", "::")

MISSING = (
    "No TURN server here (turnserver is not installed): people in one network connect directly, others go through "
    "this node. For direct paths across networks (webrtc-stun) and relayed ones (webrtc-turn) install coturn "
    "(Debian: apt install coturn) and start again."
)


class Wanted(msgspec.Struct, frozen=True):
    """What the person asked for. `port` None: the first free one from 3478 on, 0: no relay."""

    port: int | None
    relay_ports: tuple[int, int]
    external: str


class Relay(msgspec.Struct, frozen=True):
    """The process, and what the services are told of it."""

    spec: Spec
    env: dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The relay's flags."""
    default = coturn.DEFAULT_RELAY_PORTS
    parser.add_argument(
        "--turn-port", default="", help="port of STUN and TURN (3478, or the next free; 0: none)"
    )
    parser.add_argument(
        "--turn-relay-ports", default=default, help=f"UDP ports of relayed traffic ({default})"
    )
    parser.add_argument(
        "--turn-external-ip", default="", help="public IPv4 address: the relay reaches the world, too"
    )


def check(given: argparse.Namespace) -> Wanted:
    """The flags as values; raises StartError naming the first that is wrong."""
    port = given.turn_port
    if port and not (re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= 65535):
        raise StartError(f"--turn-port {port!r} is not a port (1 to 65535; 0: no relay)")
    try:
        ports = coturn.parse_ports(given.turn_relay_ports)
    except ValueError as problem:
        raise StartError(f"--turn-relay-ports {problem}") from None
    external = given.turn_external_ip
    try:
        ipaddress.IPv4Address(external or "127.0.0.1")
    except ValueError:
        raise StartError(f"--turn-external-ip {external!r} is not an IPv4 address") from None
    return Wanted(int(port) if port else None, ports, external)


def prepare(wanted: Wanted, host: str, others: set[int], secret: Path, folder: Path) -> Relay | None:
    """A relay for a node that listens on `host` and on the ports `others`.

    None when none is wanted, when there are servers of one's own (TURN_URLS), and without coturn.
    Raises StartError when the wanted port is taken. Without coturn one line says what that means.
    """
    if wanted.port == 0 or inherited().get("TURN_URLS"):
        return None
    binary = shutil.which("turnserver")
    if binary is None:
        print(MISSING, flush=True)  # noqa: T201 - a person reads this, not a log
        return None
    listen = () if host in _ALL else _addresses(host)
    port = _port(wanted.port, listen, others)
    stun = port + 1 if _both(port, listen, others) else 0
    server = coturn.Coturn(
        port=port,
        listen=listen,
        relay=_outward() if wanted.external else coturn.own_relay(port),
        relay_ports=wanted.relay_ports,
        secret=secret.read_text("ascii").strip(),
        folder=str(folder),
        external=wanted.external,
        stun_port=stun,
    )
    path = coturn.write(server)
    near = listen[0] if listen else "127.0.0.1"
    spec = Spec("turn", [binary, "-c", str(path)], inherited(), _ready(near, port), vital=False, quiet=True)
    return Relay(spec, _told(port, stun, near, secret))


def _outward() -> str:
    address = coturn.own_address()
    if not address:
        raise StartError("--turn-external-ip: this machine has no IPv4 route to the world")
    return address


def _told(port: int, stun: int, near: str, secret: Path) -> dict[str, str]:
    urls = [f"turn:{{host}}:{port}?transport={way}" for way in ("udp", "tcp")]
    return {
        "TURN_URLS": ",".join(urls),
        "TURN_STUN_URLS": f"stun:{{host}}:{stun}" if stun else "",
        "TURN_SECRET_FILE": str(secret),
        "TRANSPORT_TURN_HOST": f"[{near}]" if ":" in near else near,
    }


def _ready(host: str, port: int) -> Ready:
    async def ready() -> bool:
        return await asked(asyncio.open_connection(host, port), _BINDING, _ANSWERED)

    return ready


def _addresses(host: str) -> tuple[str, ...]:
    """The addresses of a host name; raises StartError when it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as problem:
        raise StartError(f"--host {host!r}: {problem}") from None
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _port(wanted: int | None, listen: tuple[str, ...], others: set[int]) -> int:
    """The wanted port, else the first that is free with the one after it, which is STUN's second.

    Asked beforehand because two coturns would share one in silence.
    """
    if wanted is not None:
        if wanted in others or not _free(wanted, listen):
            raise StartError(f"cannot listen on port {wanted} (--turn-port): Address already in use")
        return wanted
    for port in range(coturn.DEFAULT_PORT, coturn.DEFAULT_PORT + _PORTS_LOOKED_AT):
        if port not in others and _free(port, listen) and _both(port, listen, others):
            return port
    raise StartError(
        f"no two free ports from {coturn.DEFAULT_PORT} on for STUN and TURN; give one with --turn-port"
    )


def _both(port: int, listen: tuple[str, ...], others: set[int]) -> bool:
    """Whether the port after this one can be STUN's second."""
    return port < 65535 and port + 1 not in others and _free(port + 1, listen)


def _free(port: int, listen: tuple[str, ...]) -> bool:
    """Whether nobody has the port on these addresses (none: all), neither over UDP nor over TCP."""
    everywhere = ("::", "0.0.0.0") if socket.has_dualstack_ipv6() else ("0.0.0.0",)
    for address in listen or everywhere:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(
                        socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
                    )  # closed connections hold nothing
                try:
                    probe.bind((address, port))
                except OSError:
                    return False
    return True
