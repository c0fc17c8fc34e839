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

STRATEGIES = ("auto", "p2p-only", "webrtc-stun", "relay-safe", "websocket-only", "http-only")
"""The strategies a page can follow (lan-only is for links between nodes)."""

_TURN_URL = re.compile(
    r"turns?:(\{host\}|[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:[0-9]{1,5})?(\?transport=(udp|tcp))?"
)

_STUN_URL = re.compile(r"stun:(\{host\}|[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:[0-9]{1,5})?")

Port = Annotated[int, Meta(ge=0, le=65535)]
HostName = Annotated[str, Meta(pattern=r"^([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])?$")]


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

    strategies: Annotated[
        tuple[str, ...],
        Meta(description="Which path strategies people may choose; the first is the default."),
    ] = STRATEGIES
    receipts: Annotated[
        str,
        Meta(description="on or off: whether pages tell each other what they hold and have read.",
             pattern="^(on|off)$"),
    ] = "on"  # fmt: skip

    def __post_init__(self) -> None:
        unknown = [name for name in self.strategies if name not in STRATEGIES]
        if unknown or not self.strategies:
            raise ValueError(f"NODE_STRATEGIES: {unknown} is none of {', '.join(STRATEGIES)}")
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
    turns: Annotated[int, Meta(description="TURN credentials per hour and verified peer.", ge=0)] = 120
    guest_turns: Annotated[
        int, Meta(description="TURN credentials per hour for guests of an address.", ge=0)
    ] = 60


class TurnServers(msgspec.Struct, frozen=True):
    """The TURN servers of the node; without URLs it has none."""

    urls: Annotated[
        tuple[str, ...], Meta(description="turn:{host}:3478?transport=udp and the like, comma-separated.")
    ] = ()
    stun_urls: Annotated[
        tuple[str, ...],
        Meta(description="Further STUN servers: stun:{host}:3479 and the like, comma-separated."),
    ] = ()
    host: Annotated[
        HostName, Meta(description="What stands for {host}; empty: the host a client asked for.")
    ] = ""
    secret: Annotated[str, Meta(description="The secret shared with the TURN servers.")] = ""
    secret_file: Annotated[str, Meta(description="File with that secret, instead.")] = ""
    ttl_s: Annotated[int, Meta(description="Seconds that credentials are good for.", ge=600, le=3600)] = 3600

    def __post_init__(self) -> None:
        for url in self.urls:
            if not _TURN_URL.fullmatch(url):
                raise ValueError(f"TURN_URLS: {url!r} is not turn:HOST:PORT or turn:HOST:PORT?transport=udp")
        for url in self.stun_urls:
            if not _STUN_URL.fullmatch(url):
                raise ValueError(f"TURN_STUN_URLS: {url!r} is not stun:HOST:PORT")
        if self.urls and not (self.secret or self.secret_file):
            raise ValueError("TURN_URLS needs TURN_SECRET or TURN_SECRET_FILE")


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


def read_turn_secret(turn: TurnServers) -> str:
    """The secret shared with the TURN servers; raises StartError when its file cannot be read or is empty."""
    if turn.secret:
        return turn.secret
    try:
        text = Path(turn.secret_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise StartError(f"the TURN secret cannot be read: {problem}") from None
    if not text:
        raise StartError(f"{turn.secret_file} holds no secret")
    return text
