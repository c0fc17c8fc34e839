"""What the node's coturn itself counted, read from its log; a starter on the PATH gives it one, the node does not."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_USAGE = re.compile(r"session (\d+): usage: .*, rp=\d+, rb=(\d+), sp=\d+, sb=(\d+)")
_CLOSED = re.compile(r"session (\d+): closed .* remote ([\d.:]+), reason")
_TCP = re.compile(r"tcp or tls connected to: ([\d.:]+)")
_BUSY = 20_000
_ENDS_IN = 8.0


@dataclass(frozen=True)
class Session:
    """One allocation: bytes that came from its client and went to it, over UDP or TCP."""

    received: int
    sent: int
    way: str


_STARTER = """#!/bin/sh
umask 077
sed -e 's#^log-file=.*#log-file={log}#' -e '$a verbose' "$2" > {folder}/turnserver.conf
exec {binary} -c {folder}/turnserver.conf
"""


class Counters:
    """The log of one coturn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "turn.log"
        binary = shutil.which("turnserver")
        assert binary, "no turnserver on the PATH: scripts/setup-tests.sh brings one"
        starter = folder / "turnserver"
        starter.write_text(_STARTER.format(folder=folder, binary=binary, log=self._log))
        starter.chmod(0o755)

    def path(self) -> str:
        """The folder that belongs before the others on the PATH."""
        return str(self._folder)

    def _text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def during(self, end: Callable[[], object], expected: int = 0) -> list[Session]:
        """The sessions that carried more than checks and ended with `end`, once there are as many as expected."""
        skip = len(self._text())
        end()
        deadline = time.monotonic() + _ENDS_IN
        while len(found := self._sessions(skip)) < expected and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _sessions(self, skip: int) -> list[Session]:
        text = self._text()
        tcp, closed = set(_TCP.findall(text)), dict(_CLOSED.findall(text[skip:]))
        return [
            Session(int(rb), int(sb), "tcp" if closed[key] in tcp else "udp")
            for key, rb, sb in _USAGE.findall(text[skip:])
            if key in closed and int(rb) > _BUSY
        ]
