"""What the transport service is told."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from services.kernel.run.settings import HostName, Port, Shared, TurnServers, load_sections


class Transport(msgspec.Struct, frozen=True):
    """Variables `TRANSPORT_*`."""

    internal_port: Annotated[
        Port, Meta(description="Port of /healthz, /readyz and the full /transport/status.")
    ]
    key_file: Annotated[
        str, Meta(description="The node's Ed25519 key, PKCS#8 PEM.", extra={"env": "NODE_KEY_FILE"})
    ]
    turn_host: Annotated[
        HostName,
        Meta(description="Where this service tries the relay, for {host} in TURN_URLS; empty: TURN_HOST."),
    ] = ""
    turn_try_s: Annotated[float, Meta(description="Seconds between two tries of the relay.", ge=1)] = 300
    internal_host: Annotated[str, Meta(description="Address of the internal port.")] = "127.0.0.1"


class Settings(msgspec.Struct, frozen=True):
    """All of it."""

    shared: Shared
    turn: TurnServers
    transport: Transport


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """From these variables, the process's own by default; raises StartError."""
    prefixes = {"shared": "NODE_", "turn": "TURN_", "transport": "TRANSPORT_"}
    return load_sections(Settings, prefixes, environ)
