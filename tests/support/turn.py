"""A real coturn with the configuration that a node makes, and users of it."""

import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from egoat import coturn
from services.kernel.run.turn import credential
from services.transport.relay.client import Allocation, connect
from services.transport.relay.stun import Address, Kind, Method, decode, encode
from tests.support.node import free_ports

_READY_S = 10.0


class RunningCoturn:
    """One server on loopback. `changes` replace lines of its configuration."""

    def __init__(
        self, folder: Path, *, relay: str = "", external: str = "", changes: dict[str, str] | None = None
    ) -> None:
        (self.port,) = free_ports(1)
        self.secret = secrets.token_hex(32)
        self.relay = relay or coturn.own_relay(self.port)
        ports = coturn.parse_ports(coturn.DEFAULT_RELAY_PORTS)
        folder.mkdir(parents=True, exist_ok=True)
        server = coturn.Coturn(
            port=self.port,
            listen=("127.0.0.1",),
            relay=self.relay,
            relay_ports=ports,
            secret=self.secret,
            folder=str(folder),
            external=external,
        )
        self.path = coturn.write(server)
        text = self.path.read_text()
        for line, instead in (changes or {}).items():
            assert f"\n{line}\n" in text
            text = text.replace(f"\n{line}\n", f"\n{instead}\n")
        self.path.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def urls(self) -> str:
        """What TURN_URLS says of it."""
        return ",".join(f"turn:{{host}}:{self.port}?transport={way}" for way in ("udp", "tcp"))

    @property
    def env(self) -> dict[str, str]:
        """What a node's services are told."""
        return {"TURN_URLS": self.urls, "TURN_SECRET": self.secret, "TRANSPORT_TURN_TRY_S": "1"}

    def start(self) -> None:
        """Starts it; returns when it answers."""
        binary = shutil.which("turnserver")
        assert binary, "no turnserver on the PATH: scripts/setup-tests.sh brings one"
        self._process = subprocess.Popen(
            [binary, "-c", str(self.path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + _READY_S
        while not self._answers():
            assert self._process.poll() is None, f"turnserver ended with {self._process.returncode}"
            assert time.monotonic() < end, "turnserver does not answer"
            time.sleep(0.05)

    def _answers(self) -> bool:
        request = encode(Method.BINDING, Kind.REQUEST, secrets.token_bytes(12))
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=1) as asking,
        ):
            asking.sendall(request)
            return decode(asking.recv(1000)).kind is Kind.SUCCESS
        return False

    def stop(self) -> None:
        """Kills it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    @contextlib.contextmanager
    def running(self) -> Iterator["RunningCoturn"]:
        """The server for the length of the block."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    @asynccontextmanager
    async def user(
        self, name: str = "ann", *, way: str = "tcp", ends_in: int = 600, password: str | None = None
    ) -> AsyncIterator[Allocation]:
        """A client that has allocated nothing yet."""
        username = f"{int(time.time()) + ends_in}:{name}"
        shown = credential(self.secret, username) if password is None else password
        async with connect(way, Address("127.0.0.1", self.port), username, shown) as allocation:
            yield allocation
