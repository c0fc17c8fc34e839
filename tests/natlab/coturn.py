"""What the node's coturn itself counted, read from its log; the node gives it none, so a starter on the PATH adds one."""

import re
import shutil
from pathlib import Path

_USAGE = re.compile(r"usage: realm=<\S*>, username=<\S*>, rp=(\d+), rb=(\d+), sp=(\d+), sb=(\d+)")

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

    def text(self) -> str:
        """The log so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""
