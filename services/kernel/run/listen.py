"""Listening sockets, made before anything else so that a taken port is one clear line."""

import os
import socket

from services.kernel.run.settings import StartError

BACKLOG = 1024
"""Who asks asyncio to serve says it again: it listens anew, with 100 unless told."""


def listen(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A bound, listening TCP socket; an empty host means all interfaces, IPv6 too where there is one.

    With `reuse_port` several processes share the port and the kernel spreads connections
    (SO_REUSEPORT). Raises StartError when the address cannot be had.
    """
    dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual or ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=BACKLOG, reuse_port=reuse_port, dualstack_ipv6=dual
        )
    except OSError as problem:
        where = f"{host or 'all interfaces'} port {port}"
        raise StartError(f"cannot listen on {where}: {os.strerror(problem.errno or 0)}") from None


def host_port(address: str) -> tuple[str, int]:
    """Host and port of `host:port`, brackets of IPv6 taken off."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
