"""What a node's transport says of its links."""

import msgspec


class RelayState(msgspec.Struct, frozen=True):
    """How the node's own try of its TURN servers went, in words for people."""

    ok: bool
    text: str


class Status(msgspec.Struct, frozen=True):
    """`peer_id` is the node's own, `connections` how many links to other nodes are up.

    `relay` is None on a node without TURN, and until it was tried.
    `available_transports` are the rungs this node can really do, `unavailable` says why not the others.
    """

    peer_id: str
    connections: int
    available_transports: list[str]
    unavailable: dict[str, str]
    relay: RelayState | None = None
