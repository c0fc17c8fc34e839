"""Which rungs there are, which of them a strategy allows, and the figures of the ladder's nine rules.

Twin of web/js/ladder/policy.js, held to it by tests/vectors/ladder/policy.json.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec


class Place(msgspec.Struct, frozen=True):
    """One rung of a ladder; the higher priority is the better rung."""

    name: str
    priority: int


RUNGS: Final = (
    Place("webrtc-stun", 100),
    Place("webrtc-turn", 80),
    Place("websocket-direct", 60),
    Place("http-polling", 40),
    Place("lan-broadcast", 20),
)

STRATEGIES: Final[Mapping[str, Sequence[str] | None]] = MappingProxyType(
    {
        "auto": None,
        "p2p-only": ("webrtc-stun", "webrtc-turn"),
        "webrtc-stun": ("webrtc-stun",),
        "relay-safe": ("webrtc-turn", "websocket-direct", "http-polling"),
        "websocket-only": ("websocket-direct",),
        "http-only": ("http-polling",),
        "lan-only": ("lan-broadcast",),
    }
)
"""What each strategy allows; None allows every rung, also one from outside."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one ladder. Times are milliseconds.

    `rungs` are all this ladder may ever use, in any order. `keep` (rule 4) is true for a ladder whose
    links are shared and stay, so that no spare link is hung up. `stagger` stands between the dials of
    a climb (rule 1) and before a standby is warmed (rule 4). `retry` is how long a better link that
    was put down rests (rule 3), and the longest time between two wake-ups. `standbys` links are kept
    warm beside the one in use (rule 4). A dial may take `deadline`; rests run from `rest`, the
    shortest, to `longest` (rule 5). `patience` bad samples taint a link (rule 6). `crowd` is the driver's:
    the longest time that it keeps back the end of a link which ended for many at once.
    """

    rungs: tuple[Place, ...]
    keep: bool = False
    stagger: int = 500
    retry: int = 60_000
    standbys: int = 1
    deadline: int = 30_000
    rest: int = 2_000
    longest: int = 60_000
    patience: int = 3
    crowd: int = 1_000


def allowed(strategy: str, rungs: Sequence[Place]) -> tuple[str, ...]:
    """The names among `rungs` that may carry messages under `strategy`, in the order given.

    Raises KeyError for a strategy that does not exist.
    """
    listed = STRATEGIES[strategy]
    return tuple(place.name for place in rungs if listed is None or place.name in listed)


def allowed_to_node(strategy: str, rungs: Sequence[Place]) -> tuple[str, ...]:
    """The same for the ladder of a client to its node.

    A strategy that speaks of none of its rungs (P2P, LAN) leaves all of them, because signals,
    presence and history still go that way. Whether *messages* may is not decided here.
    """
    return allowed(strategy, rungs) or tuple(place.name for place in rungs)
