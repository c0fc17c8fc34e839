"""What a node's transport says of its links."""

import msgspec


class Status(msgspec.Struct, frozen=True):
    """`peer_id` is the node's own, `connections` how many links to other nodes are up.

    `available_transports` are the rungs this node can really do, `unavailable` says why not the others.
    """

    peer_id: str
    connections: int
    available_transports: list[str]
    unavailable: dict[str, str]
