"""The figures of a run, as one table at its end."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.natlab.people import Person


@dataclass(frozen=True)
class Row:
    """What one case came to. Times are seconds from the opening of the second page's link."""

    case: str
    rung: str
    pairs: str
    first: float
    left: float
    direct: float | None
    talk: float
    copies: str


class Figures:
    """Rows of a session."""

    def __init__(self) -> None:
        self._cases: list[list[str]] = []
        self._outages: list[list[str]] = []

    def add(self, row: Row) -> None:
        """One more case."""
        times = [
            f"{row.first:.2f} s",
            f"{row.left:.2f} s",
            "–" if row.direct is None else f"{row.direct:.2f} s",
        ]
        self._cases.append([row.case, row.rung, row.pairs, *times, f"{row.talk:.1f} s", row.copies])

    def outage(
        self, case: str, noticed: Sequence[float], slowest: Sequence[float], again: Sequence[float]
    ) -> None:
        """One more outage."""
        shown = [" / ".join(f"{each:.1f}" for each in column) + " s" for column in (noticed, slowest, again)]
        self._outages.append([case, *shown])

    def text(self) -> list[str]:
        """The tables."""
        return [*_table(_CASES, self._cases), *_table(_OUTAGES, self._outages)]


_CASES = ["Ann / Bob", "wins", "pair in use", "first in", "first out", "P2P", "200 said in", "first copies"]
_OUTAGES = ["outage", "noticed", "slowest message to Ann / Bob", "back on the best path"]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def measured(case: str, people: tuple[Person, Person], talk: float) -> Row:
    """The row of a case that has just been talked through."""
    diary = people[1].diary()
    opened = diary["opened"]
    direct = [at for at, path in diary["paths"] if path == people[1].path and path.startswith("webrtc-")]
    counts = [person.copies() for person in people]
    return Row(
        case,
        str(people[1].path),
        " / ".join(pair_of(person) for person in people),
        (diary["texts"]["first of Ann"] - opened) / 1000,
        (diary["left"]["first of Bob"] - opened) / 1000,
        (direct[0] - opened) / 1000 if direct else None,
        talk,
        " / ".join(str(count[str(people[1].path)]) for count in counts),
    )


def pair_of(person: Person) -> str:
    """The kinds of the candidates in use, and the protocol."""
    relayed = person.path == "webrtc-turn"
    found = [
        f"{local}–{remote} {way}"
        for local, remote, way in person.channel()["pairs"]
        if (local == "relay") == relayed
    ]
    return found[0] if found and str(person.path).startswith("webrtc-") else "-"
