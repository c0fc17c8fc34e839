"""`egoat secrets DIR`: the node's secret and key and the relay's secret, made once, readable by their owner only."""

import argparse
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SECRET_FILE = "node.secret"
KEY_FILE = "node.key"
TURN_FILE = "turn.secret"


def make(secret: Path, key: Path) -> None:
    """Makes the node secret (64 hex digits) and the node key (Ed25519, PKCS#8 PEM) where they are missing.

    Raises OSError when a file cannot be written.
    """
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for path, content in ((secret, secrets.token_hex(32).encode()), (key, pem)):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _once(path, content)


def make_turn(path: Path) -> None:
    """Makes the secret shared with the TURN server (64 hex digits) where it is missing; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _once(path, secrets.token_hex(32).encode())


def _once(path: Path, content: bytes) -> None:
    """Writes the file whole unless it is there; two starts at once agree on one."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    finally:
        fresh.unlink()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`DIR` and `--turn`."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="where node.secret and node.key live")
    parser.add_argument("--turn", metavar="DIR", type=Path, help="where turn.secret lives (DIR)")


def run(options: argparse.Namespace) -> int:
    """Makes what is missing."""
    make(options.folder / SECRET_FILE, options.folder / KEY_FILE)
    make_turn((options.turn or options.folder) / TURN_FILE)
    return 0
