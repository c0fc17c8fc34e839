"""A real Redis server on a Unix socket in a folder of the test: started, frozen, killed, started again."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from egoat.up import find_redis

_START_S = 10.0
SMALL_BUFFERS = ("--client-output-buffer-limit", "pubsub", "64kb", "32kb", "1")
"""A subscriber that takes nothing is soon a subscriber that Redis disconnects."""


class RedisServer:
    """One server process at a time; nothing survives its end."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._options = options
        self.env = dict(os.environ)
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the server answers."""
        argv = [
            find_redis(),
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--dir",
            str(self.socket.parent),
        ]
        argv += ["--save", "", "--appendonly", "no", "--loglevel", "warning", "--logfile", str(self._log)]
        argv += self._options
        self._process = subprocess.Popen(
            argv, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + _START_S
        while not self._answers():
            assert time.monotonic() < end, "the Redis server does not answer"
            time.sleep(0.005)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(1)
            try:
                asking.connect(str(self.socket))
                asking.sendall(b"PING\r\n")
                return asking.recv(64)[:1] in (b"+", b"-")
            except OSError:
                return False

    def command(self, line: str) -> bytes:
        """The first part of the answer to an inline command."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(_START_S)
            asking.connect(str(self.socket))
            asking.sendall(line.encode() + b"\r\n")
            return asking.recv(4096)

    @property
    def overflows(self) -> int:
        """How many clients it has disconnected, as it says itself, since they left too much unread."""
        return self._log.read_text().count("overcoming of output buffer limits") if self._log.exists() else 0

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None
        self.socket.unlink(missing_ok=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside the block the process is there but does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def running(self) -> Iterator["RedisServer"]:
        """A server for the length of the block."""
        self.start()
        try:
            yield self
        finally:
            if self._process is not None:
                self.kill()
