"""A disk that forgets: what files may hold after the power went, by what was written and what was synced.

What is assumed of a disk and its file system, the weakest that SQLite itself assumes of them (sqlite.org/atomiccommit
section 2, and POSIX fsync):

- What fsync or fdatasync of a file returned 0 for is there: bytes, and the size needed to reach them.
- Of everything written since, any part may be there, in any order, down to single sectors of 512 bytes; a file may
  have grown without its bytes, which are zeros then. A sector is old or new, never garbage ("powersafe overwrite").
- A name that was made or removed is sure to stay so only after a sync of its folder. The folder itself is there.
- A sync that failed has lost what it was asked for: the kernel takes those pages for clean, a later sync that
  succeeds says nothing of them, and only writing the bytes again brings them back. Readers see them all the same.
"""

from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.chaos.trace import Call

_SECTOR = 512


class _Change(NamedTuple):
    """Bytes at an offset, or with `data` None a new size; not synced."""

    offset: int
    data: bytes | None
    done: int


class _File:
    """What is safe of one file, and what is not yet."""

    def __init__(self) -> None:
        self.safe = bytearray()
        self.changes: list[_Change] = []

    def sync(self, began: int) -> None:
        """What was written before is safe."""
        for change in self.changes:
            if change.done < began:
                _apply(self.safe, change)
        self.lose(began)

    def lose(self, began: int) -> None:
        """What was written before is not waited for any more."""
        self.changes = [change for change in self.changes if change.done >= began]

    def after_cut(self, chance: Random) -> bytes:
        """One thing it may hold: everything safe, and of the rest what chance keeps."""
        kept = bytearray(self.safe)
        often = chance.random()
        for change in self.changes:
            if change.data is None or chance.random() < 0.5:
                if chance.random() < often:
                    _apply(kept, change)
            else:
                for sector in _sectors(change):
                    if chance.random() < often:
                        _apply(kept, sector)
            if change.data is not None and chance.random() < 0.1:
                _grow(kept, change.offset + len(change.data))
        return bytes(kept)


def _grow(content: bytearray, size: int) -> None:
    content.extend(bytes(max(size - len(content), 0)))


def _apply(content: bytearray, change: _Change) -> None:
    if change.data is None:
        del content[change.offset :]
        _grow(content, change.offset)
    else:
        _grow(content, change.offset)
        content[change.offset : change.offset + len(change.data)] = change.data


def _sectors(change: _Change) -> list[_Change]:
    assert change.data is not None
    start, end = change.offset, change.offset + len(change.data)
    edges = [start, *range(start - start % _SECTOR + _SECTOR, end, _SECTOR), end]
    return [
        _Change(low, change.data[low - start : high - start], change.done) for low, high in pairwise(edges)
    ]


class Disk:
    """The files of one folder, fed with system calls in the order in which they take effect."""

    def __init__(self, folder: Path, names: set[str]) -> None:
        self._folder, self._names = str(folder), names
        self._now: dict[str, _File] = {}
        self._safe: dict[str, _File] = {}
        self._renamed: list[tuple[str, _File | None]] = []

    def feed(self, call: Call) -> None:
        """One call that touches the folder or one of the files; others are passed over."""
        if call.name in ("fsync", "fdatasync") and call.target == self._folder:
            if call.value == 0:
                self._safe, self._renamed = dict(self._now), []
            return
        folder, _, name = call.target.rpartition("/")
        if folder != self._folder or name not in self._names:
            return
        if call.name == "openat":
            self._open(name, call)
        elif call.name == "unlink" and call.value == 0:
            del self._now[name]
            self._renamed.append((name, None))
        else:
            self._change(self._now[name], call)

    def _open(self, name: str, call: Call) -> None:
        if call.value >= 0 and name not in self._now:
            assert "O_CREAT" in call.flags, f"{name} was there before the trace"
            self._now[name] = _File()
            self._renamed.append((name, self._now[name]))
        assert "O_TRUNC" not in call.flags, "emptied as it is opened: not modelled"

    def _change(self, file: _File, call: Call) -> None:
        match call.name:
            case "pwrite64" if call.value > 0:
                file.changes.append(_Change(call.number, call.data[: call.value], call.done))
            case "ftruncate" if call.value == 0:
                file.changes.append(_Change(call.number, None, call.done))
            case "fsync" | "fdatasync":
                (file.sync if call.value == 0 else file.lose)(call.began)
            case "pwrite64" | "ftruncate" | "unlink":
                pass
            case other:
                raise AssertionError(f"{other} of a file of the database: not modelled")

    def cut(self, chance: Random, target: Path) -> None:
        """Writes to an empty folder what one power cut may leave."""
        names = dict(self._safe)
        for name, file in self._renamed:
            if chance.random() < 0.5:
                if file is None:
                    names.pop(name, None)
                else:
                    names[name] = file
        for name, file in names.items():
            (target / name).write_bytes(file.after_cut(chance))
