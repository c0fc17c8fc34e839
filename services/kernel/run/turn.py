"""STUN and TURN for clients (pure): addresses by the name a client knows, and credentials that end by themselves.

A credential is an HMAC over a user name that begins with its end, as coturn's `use-auth-secret` checks it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable

import msgspec

from services.kernel.run.limits import Payer
from services.kernel.run.settings import TurnServers, read_turn_secret
from services.kernel.wire.frames import Turn

_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?")
_URL = re.compile(r"(turns?):([^?]+)(?:\?transport=(udp|tcp))?")


def credential(secret: str, username: str) -> str:
    """The password that belongs to the user name: base64(HMAC-SHA1(secret, username))."""
    return base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()


def user_of(payer: Payer) -> str:
    """Whose quota at the relay it is: the peer's id, or one for all guests of an address.

    A guest's label stays out of it: it is free to choose, and coturn takes no spaces.
    """
    if payer.verified:
        return payer.peer
    return "guest:" + hashlib.blake2b(payer.sender.encode(), digest_size=8).hexdigest()


def host_of(header: str) -> str:
    """The host that a Host header names, without its port; empty when it names none."""
    found = _HOST.fullmatch(header)
    return found[1] if found else ""


def stun_urls(urls: Iterable[str]) -> list[str]:
    """The STUN servers that TURN servers are too: those that speak UDP without TLS, each once."""
    found = (_URL.fullmatch(url) for url in urls)
    plain = [f"stun:{each[2]}" for each in found if each and each[1] == "turn" and each[3] != "tcp"]
    return list(dict.fromkeys(plain))


class Relay(msgspec.Struct, frozen=True):
    """The node's TURN servers. `host` is put for `{host}` in the URLs; empty: the host each client asked for.

    `stun` are STUN servers beside those that TURN servers are too.
    """

    urls: tuple[str, ...]
    secret: str
    host: str
    ttl_s: int
    stun: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: TurnServers) -> "Relay | None":
        """From the settings, None where there is no TURN; raises StartError when its secret cannot be read."""
        if not settings.urls:
            return None
        return cls(
            settings.urls, read_turn_secret(settings), settings.host, settings.ttl_s, settings.stun_urls
        )

    def urls_for(self, host_header: str) -> list[str]:
        """The TURN URLs for a client that asked for this Host; empty when it named none."""
        return self._filled(self.urls, host_header)

    def _filled(self, urls: Iterable[str], host_header: str) -> list[str]:
        host = self.host or host_of(host_header)
        return [url.replace("{host}", host) for url in urls if host or "{host}" not in url]

    def issue(self, user: str, host_header: str, now_ms: int) -> Turn | None:
        """Servers and credentials for a user, good from now on for `ttl_s` seconds; None without a server."""
        urls = self.urls_for(host_header)
        if not urls:
            return None
        username = f"{now_ms // 1000 + self.ttl_s}:{user}"
        stun = [*stun_urls(urls), *self._filled(self.stun, host_header)]
        return Turn(stun, urls, username, credential(self.secret, username), self.ttl_s)
