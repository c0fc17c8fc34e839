"""What a driver tells a ladder."""

import msgspec


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Begin, with these rungs allowed."""

    allowed: tuple[str, ...]


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Time has passed."""


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """A dial has become a link."""

    rung: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A dial has failed: one word for what happened, the evidence for a person to read, and the spread of its rest."""

    rung: str
    what: str
    evidence: str
    spread: float = 0.0


class Closed(msgspec.Struct, frozen=True, tag="closed"):
    """A link has ended by itself."""

    rung: str
    evidence: str
    spread: float = 0.0


class Sampled(msgspec.Struct, frozen=True, tag="sampled"):
    """A link was measured, with this verdict (`quality.is_good`)."""

    rung: str
    good: bool


class Called(msgspec.Struct, frozen=True, tag="called"):
    """The other end dials this rung."""

    rung: str


class NetworkChanged(msgspec.Struct, frozen=True, tag="network_changed"):
    """This machine's own network has changed."""


class StrategyChanged(msgspec.Struct, frozen=True, tag="strategy_changed"):
    """The strategy or the peer's card has changed, and with it the allowed rungs."""

    allowed: tuple[str, ...]


Event = Start | Tick | Opened | Failed | Closed | Sampled | Called | NetworkChanged | StrategyChanged
