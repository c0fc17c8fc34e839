"""What the signaling service is told."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from services.kernel.run.settings import Limits, Port, Public, Shared, TurnServers, load_sections


class Signaling(msgspec.Struct, frozen=True):
    """Variables `SIGNALING_*`."""

    port: Annotated[Port, Meta(description="Port of `ws /signal`; several processes may share it.")]
    internal_port: Annotated[Port, Meta(description="Port of /healthz and /readyz.")]
    host: Annotated[str, Meta(description="Address of `ws /signal`; empty: all interfaces.")] = ""
    internal_host: Annotated[str, Meta(description="Address of /healthz and /readyz.")] = "127.0.0.1"


class Settings(msgspec.Struct, frozen=True):
    """All of it."""

    shared: Shared
    public: Public
    limits: Limits
    turn: TurnServers
    signaling: Signaling


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """From these variables, the process's own by default; raises StartError."""
    prefixes = {"shared": "NODE_", "public": "NODE_", "limits": "LIMIT_", "turn": "TURN_"}
    return load_sections(Settings, prefixes | {"signaling": "SIGNALING_"}, environ)
