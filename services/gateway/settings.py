"""What the gateway is told."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from services.kernel.run.settings import Limits, Port, Public, Shared, TurnServers, load_sections


class Gateway(msgspec.Struct, frozen=True):
    """Variables `GATEWAY_*`."""

    port: Annotated[Port, Meta(description="Port of the page and the API.")]
    internal_port: Annotated[Port, Meta(description="Port of /healthz and /readyz.")]
    signaling: Annotated[
        str, Meta(description="host:port where /signal upgrades are passed on to.", pattern=r"^.+:\d+$")
    ]
    host: Annotated[str, Meta(description="Address of the page and the API; empty: all interfaces.")] = ""
    internal_host: Annotated[str, Meta(description="Address of /healthz and /readyz.")] = "127.0.0.1"


class Settings(msgspec.Struct, frozen=True):
    """All of it."""

    shared: Shared
    public: Public
    limits: Limits
    turn: TurnServers
    gateway: Gateway


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """From these variables, the process's own by default; raises StartError."""
    prefixes = {"shared": "NODE_", "public": "NODE_", "limits": "LIMIT_", "turn": "TURN_"}
    return load_sections(Settings, prefixes | {"gateway": "GATEWAY_"}, environ)
