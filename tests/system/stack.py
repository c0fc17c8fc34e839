"""A composed node under a project name, ports and networks of its own, so that it meets no other one here."""

import http.client
import json
import random
import socket
import subprocess
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

ROOT = Path(__file__).resolve().parents[2]
_SIGNALING_PORT = f":{9000:04X}"
_ESTABLISHED = "01"


class Failed(Exception):
    """A command of Docker went wrong; the text is what it said."""


class Answer(NamedTuple):
    """One HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def run(*command: str, timeout: float = 60) -> str:
    """What the command printed; raises Failed with both its outputs."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Stack:
    """One composed node; `start` and `down` are its life."""

    project: str
    http_port: int
    ws_port: int
    turn_port: int
    stun_port: int
    front_net: str

    @classmethod
    def unused(cls) -> "Stack":
        """A stack that collides with none that runs."""
        http_port = free_port()
        net = f"10.{random.randrange(214, 254)}.{random.randrange(256)}"
        return cls(f"egoat-test-{http_port}", http_port, free_port(), free_port(), free_port(), net)

    def compose(self, *words: str, timeout: float = 60) -> str:
        """`docker compose` on this stack."""
        environment = [
            f"HTTP_PORT={self.http_port}",
            f"WS_PORT={self.ws_port}",
            f"TURN_PORT={self.turn_port}",
            f"STUN_PORT={self.stun_port}",
            f"FRONT_NET={self.front_net}",
            "PUBLIC_BASE=",
            "TURN_HOST=",
            "EXTERNAL_IP=",
            "ALLOWED_ORIGINS=",
        ]
        return run(
            "env",
            *environment,
            "docker",
            "compose",
            "--ansi",
            "never",
            "-p",
            self.project,
            *words,
            timeout=timeout,
        )

    def build(self) -> None:
        """Brings the images up to date with the tree."""
        self.compose("build", "--quiet", timeout=600)

    def start(self, signaling: int = 2) -> None:
        """Starts everything; returns when the front door passes requests to ready services."""
        self.compose("up", "-d", "--scale", f"signaling={signaling}", timeout=150)
        self.wait_ready()

    def down(self) -> None:
        """Removes containers, networks and volumes of this stack."""
        self.compose("down", "-v", "--remove-orphans", "--timeout", "5")

    def logs(self) -> str:
        """The last lines of every container."""
        return self.compose("logs", "--no-color", "--tail", "40")

    def wait_ready(self, timeout: float = 60) -> None:
        """Until `/readyz` answers 200 through the front door; raises Failed when it does not."""
        deadline = time.monotonic() + timeout
        last = "nothing"
        while time.monotonic() < deadline:
            try:
                answer = self.request("GET", "/readyz")
                if answer.status == 200:
                    return
                last = f"{answer.status} {answer.body!r}"
            except (OSError, http.client.HTTPException) as problem:
                last = repr(problem)
            time.sleep(0.5)
        raise Failed(f"/readyz says {last} after {timeout} s")

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request to the published HTTP port; a body that is not bytes goes as JSON."""
        door = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            given = {"Content-Type": "application/json"} if body is not None else {}
            door.request(method, path, data, given | headers)
            reply = door.getresponse()
            return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            door.close()

    def signal(
        self, port: int, query: str = "", *, ours: bool = True
    ) -> AbstractContextManager[ClientConnection]:
        """A WebSocket to `/signal`; `ours` asks for the subprotocol egoat.1."""
        spoken = [Subprotocol("egoat.1")] if ours else None
        url = f"ws://127.0.0.1:{port}/signal{query}"
        return connect(url, subprotocols=spoken, open_timeout=10, close_timeout=2, compression=None)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine says about every container of this stack, by name."""
        ids = self.compose("ps", "-a", "-q").split()
        return {str(one["Name"]).lstrip("/"): one for one in json.loads(run("docker", "inspect", *ids))}

    def sockets_of_replica(self, index: int) -> int:
        """How many connections clients hold to this signaling replica."""
        words = ("exec", "-T", "--index", str(index), "signaling", "cat", "/proc/net/tcp")
        rows = [line.split() for line in self.compose(*words).splitlines()[1:]]
        return sum(1 for row in rows if row[1].endswith(_SIGNALING_PORT) and row[3] == _ESTABLISHED)
