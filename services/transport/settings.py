"""What the transport service is told."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from services.kernel.run.settings import Port, Shared, load_sections


class Transport(msgspec.Struct, frozen=True):
    """Variables `TRANSPORT_*`."""

    internal_port: Annotated[
        Port, Meta(description="Port of /healthz, /readyz and the full /transport/status.")
    ]
    key_file: Annotated[
        str, Meta(description="The node's Ed25519 key, PKCS#8 PEM.", extra={"env": "NODE_KEY_FILE"})
    ]
    internal_host: Annotated[str, Meta(description="Address of the internal port.")] = "127.0.0.1"


class Settings(msgspec.Struct, frozen=True):
    """All of it."""

    shared: Shared
    transport: Transport


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """From these variables, the process's own by default; raises StartError."""
    return load_sections(Settings, {"shared": "NODE_", "transport": "TRANSPORT_"}, environ)
