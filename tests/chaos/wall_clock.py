"""Wall clocks that a test sets while processes run: libfaketime, told by a file for each process."""

import os
from pathlib import Path

DAY_S = 86_400


def _library() -> Path:
    for folder in (Path("/usr/lib"), Path("/usr/local/lib")):
        for found in folder.glob("**/faketime/libfaketime.so.1"):
            return found
    raise AssertionError("libfaketime is not here; scripts/setup-tests.sh brings it")


class WallClock:
    """What one process takes for the time of day; its monotonic clock stays true."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.off = 0
        self.set(0)

    def set(self, seconds: int) -> None:
        """From now on it is off by so much."""
        self.off = seconds
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        os.replace(fresh, self._file)

    @property
    def env(self) -> dict[str, str]:
        """What its process has in its environment."""
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
