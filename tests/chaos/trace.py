"""What a process did to its database's files and said on its sockets, in order, as strace saw it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.node import ROOT, Process

_CALLS = "openat,write,writev,pwrite64,ftruncate,fsync,fdatasync,unlink,rename"
_LONGEST = 64 * 1024 * 1024
_TEXT = re.compile(r'"([^"]*)"')
_PATH = re.compile(r"<([^>]*)>")


class Call(NamedTuple):
    """One system call: the lines of the trace at which it began and was done.

    `target` is the path of its file, or what stands for its socket. `value` is what it returned, below zero for
    an error; a write that its process did not live to see the end of counts as done with everything it was given.
    """

    name: str
    target: str
    data: bytes
    number: int
    value: int
    flags: str
    began: int
    done: int


class Traced(Process):
    """A service under strace. Each life from start to end leaves one trace."""

    def __init__(self, like: Process, folder: Path) -> None:
        super().__init__(like.name, like._env, like._health, folder / f"{like.name}-traced.log")
        self._folder = folder
        self.traces: list[Path] = []
        self.inject: tuple[str, ...] = ()

    def start(self) -> None:
        """Starts it; returns when it is ready. `inject` are strace's words for what shall fail."""
        trace = self._folder / f"trace-{len(self.traces)}"
        strace = ["strace", "-f", "-y", "-xx", "-s", str(_LONGEST), "-e", "signal=none"]
        strace += ["-e", f"trace={_CALLS}", "-o", str(trace), "--seccomp-bpf", *self.inject]
        with self._log.open("ab") as log:
            self.popen = subprocess.Popen(
                [*strace, sys.executable, "-m", f"services.{self.name}"],
                cwd=ROOT,
                env=self._env,
                stdout=log,
                stderr=log,
            )
        self.traces.append(trace)
        self.await_ready()

    @property
    def pid(self) -> int:
        """The service itself, not strace."""
        assert self.popen is not None
        children = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        return int(children.read_text().split()[0])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it with this signal; returns when its trace is whole."""
        assert self.popen is not None
        if self.popen.poll() is None:
            os.kill(self.pid, number)
        return self.popen.wait(15)


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class _Open(NamedTuple):
    """A call that has begun."""

    name: str
    arguments: str
    began: int


def _call(begun: _Open, result: str, done: int) -> Call:
    data = b"".join(map(_plain, _TEXT.findall(begun.arguments)))
    named = begun.name in ("openat", "unlink", "rename")
    path = _PATH.search(begun.arguments.partition(",")[0])
    target = data if named else _plain(path[1]) if path else b""
    last = begun.arguments.rpartition(" ")[2]
    number = int(last) if last.isdecimal() else 0
    value = len(data) if result.startswith("?") else int(re.match(r"-?\d+", result)[0])  # type: ignore[index]
    flags = begun.arguments.partition('", ')[2] if named else ""
    return Call(begun.name, target.decode(), b"" if named else data, number, value, flags, begun.began, done)


def calls(trace: Path, wanted: str, first: int = 0) -> Iterator[Call]:
    """The calls of a trace that touch a path with `wanted` in it, and all writes, in the order of their ends.

    Lines count from `first`.
    """
    mark = "".join(f"\\x{byte:02x}" for byte in wanted.encode())
    under_way: dict[str, _Open] = {}
    at = first
    with trace.open(encoding="ascii") as lines:
        for at, line in enumerate(lines, first):
            process, _, rest = line.rstrip("\n").partition(" ")
            rest = rest.lstrip()
            if rest.startswith("<... "):
                begun = under_way.pop(process, None)
            elif mark in rest or rest.startswith("write"):
                name, _, arguments = rest.partition("(")
                begun = _Open(name, arguments.partition(" <unfinished")[0], at)
            else:
                continue
            if begun is None:
                continue
            if rest.endswith("<unfinished ...>"):
                under_way[process] = begun
                continue
            head, _, result = rest.rpartition(" = ")
            if not rest.startswith("<... "):
                begun = begun._replace(arguments=head.partition("(")[2].rstrip()[:-1])
            if not (result.startswith("?") and "sync" in begun.name):
                yield _call(begun, result, at)
    for begun in under_way.values():
        if "sync" not in begun.name:
            yield _call(begun, "?", at)
