"""Which origins and addresses a request counts as (docs/security.md S6, S15): pure rules over its headers."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

import msgspec

from services.kernel.model import mac
from services.kernel.run.settings import Public

_V6_SITE = 64  # what one household or machine is given: its addresses within are free to choose
_DEFAULT_PORT = {"http": 80, "https": 443, "ws": 80, "wss": 443}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Door(msgspec.Struct, frozen=True):
    """How clients may come in: ports of this node, further origins, proxies that are believed."""

    ports: frozenset[int]
    origins: frozenset[str]
    proxies: tuple[Network, ...]

    @classmethod
    def of(cls, public: Public) -> "Door":
        """From the settings."""
        ports = {public.http_port, public.ws_port}
        if public.public_base:
            ports.add(_port(public.public_base) or 0)
        networks = tuple(ipaddress.ip_network(text, strict=False) for text in public.trusted_proxies)
        return cls(frozenset(ports), frozenset(public.allowed_origins), networks)

    def allows(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may use a node that was asked for as `host` (the Host header)."""
        if origin in self.origins:
            return True
        theirs = _split(origin)
        if (
            theirs is None
            or theirs.scheme not in ("http", "https")
            or not theirs.hostname
            or origin != _canonical(origin)
        ):
            return False
        ours = _split(f"{theirs.scheme}://{host}")
        if ours is None or theirs.hostname != ours.hostname:
            return False
        port = _port(origin)
        return port is not None and port in self.ports | {_port(f"{theirs.scheme}://{host}")}

    def address(self, socket_address: str, forwarded_for: str | None) -> str:
        """The client's address: the socket's, or the first untrusted of X-Forwarded-For behind our proxies.

        Empty for loopback: whoever is on this machine counts per peer.
        """
        hops = [part.strip() for part in (forwarded_for or "").split(",") if part.strip()]
        address = _ip(socket_address)
        while address is not None and hops and any(address in network for network in self.proxies):
            address = _ip(hops.pop())
        return "" if address is None or address.is_loopback else str(address)


class Tags:
    """Keyed tags of addresses, so that none is stored or shared in the clear."""

    def __init__(self, secret: bytes) -> None:
        self._key = mac.subkey(secret, "address")

    def of(self, address: str) -> bytes:
        """The tag of an address that `Door.address` found, IPv6 by its /64; empty for loopback."""
        if not address:
            return b""
        found = ipaddress.ip_address(address)
        if found.version == 6:
            found = ipaddress.ip_network((found, _V6_SITE), strict=False).network_address
        return mac.tag(self._key, str(found).encode())[:8]


def signed_for(origin: str, origin_header: str | None, host: str) -> bool:
    """Whether the origin a peer signed is where its request came from.

    A page's is its Origin header; a program signs the URL it dialled, which must name the Host.
    """
    if origin_header is not None:
        return origin == origin_header
    signed = _split(origin)
    return signed is not None and signed.netloc == host and bool(host)


def _split(url: str) -> SplitResult | None:
    """The parts of a URL, None for text that is none (a bracket left open, characters that fold to / or ?)."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _canonical(origin: str) -> str:
    parts = urlsplit(origin)
    return f"{parts.scheme}://{parts.netloc}"


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    try:
        return parts.port or _DEFAULT_PORT.get(parts.scheme)
    except ValueError:
        return None


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
