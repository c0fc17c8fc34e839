"""Settings: one frozen struct per process, read once from the environment; every bad variable in one error.

A field `port` of a struct read with prefix `GATEWAY_` is `GATEWAY_PORT`; `Meta(extra={"env": NAME})`
names another variable. Secrets come from files.
"""

import ipaddress
import os
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

S = TypeVar("S", bound=msgspec.Struct)

Port = Annotated[int, Meta(ge=0, le=65535)]


class StartError(Exception):
    """The process cannot start; the text is one clear line, the exit code 2."""


class Shared(msgspec.Struct, frozen=True):
    """What every service of a node is told."""

    secret_file: Annotated[str, Meta(description="File with the node secret: 64 hex digits.")]
    redis_url: Annotated[
        str,
        Meta(
            description="Redis: redis://[user:password@]host:port or unix:///path.",
            extra={"env": "REDIS_URL"},
        ),
    ]
    log_level: Annotated[
        str, Meta(description="debug, info, warning or error.", pattern="^(debug|info|warning|error)$",
                  extra={"env": "LOG_LEVEL"})
    ] = "info"  # fmt: skip


class Public(msgspec.Struct, frozen=True):
    """How clients reach the node; read by the two public services."""

    storage_address: Annotated[
        str,
        Meta(
            description="host:port of the storage door.",
            pattern=r"^.+:\d+$",
            extra={"env": "STORAGE_ADDRESS"},
        ),
    ]
    http_port: Annotated[Port, Meta(description="HTTP port as browsers see it.")] = 8080
    ws_port: Annotated[Port, Meta(description="Signaling port as browsers see it.")] = 9000
    public_base: Annotated[
        str,
        Meta(description="URL for invite links; empty: the page's own.", pattern=r"^(https?://[^/?#\s]+)?$"),
    ] = ""
    allowed_origins: Annotated[
        tuple[str, ...], Meta(description="Further origins, comma-separated (also the CORS list).")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Networks whose X-Forwarded-For is believed, comma-separated CIDR.")
    ] = ("127.0.0.0/8", "::1/128")

    receipts: Annotated[
        str,
        Meta(description="on or off: whether pages tell each other what they hold and have read.",
             pattern="^(on|off)$"),
    ] = "on"  # fmt: skip

    def __post_init__(self) -> None:
        for text in self.trusted_proxies:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError as problem:
                raise ValueError(f"NODE_TRUSTED_PROXIES: {problem}") from None


class Limits(msgspec.Struct, frozen=True):
    """Counts that an operator may change; 0 switches one off (docs/security.md S15)."""

    sockets: Annotated[int, Meta(description="Sockets per address and room.", ge=0)] = 100
    peers: Annotated[int, Meta(description="Peers per room.", ge=0)] = 1_000
    joins: Annotated[int, Meta(description="Joins per minute and address.", ge=0)] = 120
    sends: Annotated[int, Meta(description="Messages per second and sender, in the long run.", ge=0)] = 20
    sends_burst: Annotated[int, Meta(description="Messages a sender may send at once.", ge=1)] = 200
    room_sends: Annotated[int, Meta(description="Messages per second and room.", ge=0)] = 400
    frames: Annotated[int, Meta(description="Other frames and polls per second and peer.", ge=0)] = 100
    rooms: Annotated[int, Meta(description="Rooms created per hour and address.", ge=0)] = 60


def load(kind: type[S], prefix: str, environ: Mapping[str, str] | None = None) -> S:
    """The struct from these variables (the process's own by default); raises StartError naming all bad ones."""
    source = os.environ if environ is None else environ  # noqa: TID251 - the one place that reads it
    values: dict[str, object] = {}
    problems: list[str] = []
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        name = variable(hints[field.name], field.name, prefix)
        text = source.get(name)
        if text is None:
            if field.required:
                problems.append(f"{name} is not set")
            continue
        try:
            values[field.name] = _convert(text, field.type)
        except msgspec.ValidationError as problem:
            problems.append(f"{name}={text!r}: {str(problem)[0].lower()}{str(problem)[1:]}")
    if problems:
        raise StartError("; ".join(problems))
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as problem:  # raised by a struct's own check
        raise StartError(str(problem)) from None


def load_sections(kind: type[S], prefixes: Mapping[str, str], environ: Mapping[str, str] | None = None) -> S:
    """A struct of structs, each read with its own prefix; raises one StartError naming every bad variable."""
    sections: dict[str, msgspec.Struct] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(kind):
        try:
            sections[field.name] = load(field.type, prefixes[field.name], environ)
        except StartError as problem:
            problems.append(str(problem))
    if problems:
        raise StartError("wrong settings: " + "; ".join(problems))
    return kind(**sections)


def variable(hint: object, field: str, prefix: str) -> str:
    """The name of the variable that a field is read from."""
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.extra and "env" in meta.extra:
            return str(meta.extra["env"])
    return prefix + field.upper()


def inherited() -> dict[str, str]:
    """A copy of the process's environment, for its children."""
    return dict(os.environ)  # noqa: TID251 - the one place that reads it


def _convert(text: str, kind: object) -> object:
    plain = typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind
    if typing.get_origin(plain) is tuple:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return msgspec.convert(parts, kind)
    return msgspec.convert(text, kind, strict=False)


def read_secret(path: str) -> bytes:
    """The node secret; raises StartError when the file is missing or not 64 hex digits."""
    try:
        text = Path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise StartError(f"the node secret cannot be read: {problem}") from None
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise StartError(f"{path} does not hold 64 hex digits")
    return bytes.fromhex(text)
