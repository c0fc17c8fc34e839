"""A file system of a few MiB that can be filled up, in a mount namespace that only a test's processes see."""

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SIZE = 16 * 1024 * 1024
_MOUNT = 'mount -t tmpfs -o size=$2 small "$1" && echo mounted && exec sleep infinity'


class SmallDisk:
    """A tmpfs at `folder`. A process started with the command `enter` before its own sees it there.

    Without root it takes a user namespace; where the kernel gives neither, it fails.
    """

    def __init__(self, folder: Path, size: int = _SIZE) -> None:
        self.folder, self._size = folder, size
        self._rooted = os.geteuid() == 0

    @contextlib.contextmanager
    def mounted(self) -> Iterator["SmallDisk"]:
        """There for the length of the block; a process of its own holds the namespace."""
        self.folder.mkdir()
        space = ["unshare", *([] if self._rooted else ["--user", "--map-root-user"]), "--mount"]
        command = [*space, "sh", "-c", _MOUNT, "sh", str(self.folder), str(self._size)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as keeper:
            try:
                assert keeper.stdout is not None
                said = keeper.stdout.readline()
                assert said == b"mounted\n", f"no file system can be mounted here: {said!r}"
                self._pid = keeper.pid
                yield self
            finally:
                keeper.kill()

    @property
    def enter(self) -> list[str]:
        """The command that gives another one this view."""
        return ["nsenter", *([] if self._rooted else ["--user", "--preserve-credentials"]),
                f"--target={self._pid}", "--mount"]  # fmt: skip

    @property
    def seen(self) -> Path:
        """The folder as everybody else can reach it."""
        return Path(f"/proc/{self._pid}/root") / self.folder.relative_to("/")

    def fill(self) -> None:
        """Puts a file there that takes all the room that is left."""
        with (self.seen / "ballast").open("ab", buffering=0) as ballast:
            for size in (1024 * 1024, 4096):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)):
                        pass
            try:
                ballast.write(bytes(4096))
            except OSError as problem:
                assert problem.errno == errno.ENOSPC
            else:
                raise AssertionError("there is room left")

    def clear(self) -> None:
        """Takes that file away."""
        (self.seen / "ballast").unlink()

    def remount(self, way: str) -> None:
        """`ro` or `rw`; the kernel refuses `ro` while a file is open for writing."""
        command = [*self.enter, "mount", "-o", f"remount,bind,{way}", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True, timeout=10)

    def copy(self, target: Path) -> None:
        """What is there now, without the ballast."""
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.seen, target, ignore=shutil.ignore_patterns("ballast", "*-shm"))
