"""A node of real service processes for tests, each signaling replica on a port of its own."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from egoat.secrets import make

ROOT = Path(__file__).resolve().parents[2]
_READY_S = 20.0

# Most tests send and join as fast as they can under a few names: that is load, not what these limits are for.
# tests/integration/test_limits.py runs with the defaults.
RAISED = {
    "LIMIT_JOINS": "100000",
    "LIMIT_SENDS": "10000",
    "LIMIT_SENDS_BURST": "100000",
    "LIMIT_ROOM_SENDS": "100000",
    "LIMIT_FRAMES": "100000",
    "LIMIT_ROOMS": "100000",
}


_PORTS = range(
    15_000, 32_000
)  # below those that outgoing connections take: a killed service finds its own again


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody has now."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = secrets.choice(_PORTS)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found


class Process:
    """One service process, its environment and its log file. `before` is a command that its command is given to."""

    def __init__(self, name: str, env: dict[str, str], health: int, log: Path) -> None:
        self.name, self._env, self._health, self._log = name, env, health, log
        self.before: list[str] = []
        self.popen: subprocess.Popen[bytes] | None = None

    def tell(self, **env: str) -> None:
        """Changes these variables of its environment, from its next start on."""
        self._env.update(env)

    def start(self) -> None:
        """Starts it; returns when it is ready."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Starts it."""
        with self._log.open("ab") as log:
            self.popen = subprocess.Popen(
                [*self.before, sys.executable, "-m", f"services.{self.name}"],
                cwd=ROOT,
                env=self._env,
                stdout=log,
                stderr=log,
            )

    def ready(self) -> bool:
        """Whether /readyz says 200 now."""
        url = f"http://127.0.0.1:{self._health}/readyz"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
        return False

    def await_ready(self) -> None:
        """Returns when /readyz says 200; raises with the log's end when it does not in time."""
        end = time.monotonic() + _READY_S
        while time.monotonic() < end:
            if self.ready():
                return
            time.sleep(0.03)
        raise AssertionError(f"{self.name} is not ready:\n{self._log.read_text()[-2000:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it with this signal; returns its exit code."""
        assert self.popen is not None
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(15)

    def restart(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends it with this signal and starts it anew; returns when it is ready."""
        self.stop(number)
        self.start()

    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def memory(self, field: str = "VmRSS") -> float:
        """MiB resident now, or at most since `forget_peak` with `VmHWM`."""
        assert self.popen is not None
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field)) / 1024

    def forget_peak(self) -> float:
        """Starts `VmHWM` anew; returns MiB resident now."""
        assert self.popen is not None
        Path(f"/proc/{self.popen.pid}/clear_refs").write_text("5")
        return self.memory()


class RunningNode:
    """The processes of one node. `ws` are the ports of the signaling replicas, `http` that of the gateway.

    With `twin` a second gateway serves on the port `http2`. `limits` are RAISED unless given.
    """

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        *,
        replicas: int = 2,
        twin: bool = False,
        extra: dict[str, str] | None = None,
        limits: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.db = folder, folder / "chat.db"
        secret, key = folder / "node.secret", folder / "node.key"
        make(secret, key)
        self.secret = bytes.fromhex(secret.read_text())
        door, self.http, self.http2, health2, *ports = free_ports(4 + 3 + 2 * replicas)
        health, self.ws = ports[: 3 + replicas], ports[3 + replicas :]
        self.storage_address = f"127.0.0.1:{door}"
        env = (
            dict(os.environ)
            | {
                "PYTHONPATH": str(ROOT),
                "NODE_SECRET_FILE": str(secret),
                "NODE_KEY_FILE": str(key),
                "NODE_HTTP_PORT": str(self.http),
                "NODE_WS_PORT": str(self.ws[0]),
                "REDIS_URL": redis_url,
                "STORAGE_ADDRESS": self.storage_address,
                "STORAGE_URL": f"sqlite://{self.db}",
                "STORAGE_PORT": str(door),
                "GATEWAY_PORT": str(self.http),
                "GATEWAY_HOST": "127.0.0.1",
                "SIGNALING_HOST": "127.0.0.1",
                "GATEWAY_SIGNALING": f"127.0.0.1:{self.ws[0]}",
            }
            | (RAISED if limits is None else limits)
            | (extra or {})
        )
        self.storage = self._process("storage", env, health[0])
        self.gateway = self._process("gateway", env, health[1])
        self.transport = self._process("transport", env, health[2])
        self.signaling = [
            self._process("signaling", env | {"SIGNALING_PORT": str(port)}, inner)
            for port, inner in zip(self.ws, health[3:], strict=True)
        ]
        self.processes = [self.storage, *self.signaling, self.gateway, self.transport]
        if twin:
            self.gateway2 = self._process("gateway", env | {"GATEWAY_PORT": str(self.http2)}, health2)
            self.processes.append(self.gateway2)

    def _process(self, name: str, env: dict[str, str], health: int) -> Process:
        env = env | {f"{name.upper()}_INTERNAL_PORT": str(health)}
        return Process(name, env, health, self.folder / f"{name}-{health}.log")

    @property
    def base(self) -> str:
        """URL of the gateway."""
        return f"http://127.0.0.1:{self.http}"

    @property
    def base2(self) -> str:
        """URL of the second gateway."""
        return f"http://127.0.0.1:{self.http2}"

    def socket_url(self, replica: int = 0) -> str:
        """URL of `/signal` on one replica."""
        return f"ws://127.0.0.1:{self.ws[replica]}/signal"

    @contextlib.contextmanager
    def running(self) -> Iterator["RunningNode"]:
        """The node for the length of the block."""
        try:
            for process in self.processes:
                process.start()
            yield self
        finally:
            for process in reversed(self.processes):
                if process.popen is not None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.stop()
                    if process.popen.poll() is None:
                        process.popen.kill()


async def eventually(check: object, within: float = 5.0) -> None:
    """Returns when the callable is true; fails after so many seconds."""
    assert callable(check)
    end = asyncio.get_running_loop().time() + within
    while not check():
        assert asyncio.get_running_loop().time() < end, "did not come true in time"
        await asyncio.sleep(0.02)
