"""One `egoat up` under test: what it printed, its children, requests to it."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.support.node import ROOT, free_ports


class Up:
    """One `egoat up` (or `make run`) and what it printed."""

    def __init__(self, argv: list[str], env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def line(self, pattern: str, within: float = 30) -> str:
        """The first line that matches."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            for line in list(self.lines):
                if re.search(pattern, line):
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no line like {pattern!r} in:\n" + "\n".join(self.lines[-30:]))

    def children(self) -> list[psutil.Process]:
        """Every process below this one."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, word: str) -> list[psutil.Process]:
        """The children whose command line has the word."""
        found = []
        for each in self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(word in part for part in each.cmdline()):
                    found.append(each)
        return found

    def wait(self, within: float) -> int:
        """Its exit code, with everything it printed read."""
        code = self.process.wait(within)
        self._reader.join(5)
        return code


class Ports:
    """Ports and file of one node."""

    def __init__(self, folder: Path) -> None:
        self.http, self.ws = free_ports(2)
        self.db = folder / "chat.db"

    @property
    def argv(self) -> list[str]:
        """`egoat up` with these."""
        return [sys.executable, "-m", "egoat", "up", *self.flags]

    @property
    def flags(self) -> list[str]:
        """The flags alone."""
        return ["--http-port", str(self.http), "--ws-port", str(self.ws), "--db", str(self.db)]

    def call(self, path: str, body: object = None) -> Any:
        """JSON of a request to the gateway."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@contextlib.contextmanager
def started(argv: list[str], env: Mapping[str, str] | None = None) -> Iterator[Up]:
    """A node that is ready; gone at the end of the block with all its children."""
    up = Up(argv, env)
    children: list[psutil.Process] = []
    try:
        up.line("E-Goat is ready")
        children = up.children()
        yield up
    finally:
        up.process.terminate()
        try:
            up.wait(15)
        except subprocess.TimeoutExpired:
            up.process.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
