"""What the storage service is told."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from services.kernel.run.settings import Port, Shared, load_sections


class Storage(msgspec.Struct, frozen=True):
    """Variables `STORAGE_*`."""

    url: Annotated[str, Meta(description="The store: sqlite:////path/of/chat.db.", pattern="^[a-z]+://.+$")]
    port: Annotated[Port, Meta(description="Port of the stream door.")]
    internal_port: Annotated[Port, Meta(description="Port of /healthz and /readyz.")]
    host: Annotated[str, Meta(description="Address of the stream door.")] = "127.0.0.1"
    internal_host: Annotated[str, Meta(description="Address of /healthz and /readyz.")] = "127.0.0.1"
    commit_gap: Annotated[float, Meta(description="Pacing of commits under load, seconds.", ge=0, le=1)] = (
        0.002
    )


class Settings(msgspec.Struct, frozen=True):
    """All of it."""

    shared: Shared
    storage: Storage


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """From these variables, the process's own by default; raises StartError."""
    return load_sections(Settings, {"shared": "NODE_", "storage": "STORAGE_"}, environ)
