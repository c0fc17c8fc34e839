"""Hands out credentials for the relay: what `turn.py` makes, charged to who gets it."""

from services.kernel.model.clock import Clock
from services.kernel.model.errors import Fault
from services.kernel.run.limits import Budgets, Payer
from services.kernel.run.turn import Relay, user_of
from services.kernel.wire.frames import Turn


class TurnDesk:
    """One process's hand-out of credentials; without a relay it has none to give."""

    def __init__(self, relay: Relay | None, budgets: Budgets, clock: Clock) -> None:
        self._relay, self._budgets, self._clock = relay, budgets, clock

    def urls(self, host_header: str) -> list[str]:
        """The TURN URLs for a client that asked for this Host."""
        return self._relay.urls_for(host_header) if self._relay else []

    def give(self, payer: Payer, host_header: str) -> Turn | None:
        """Fresh credentials, None without TURN; raises Fault(TOO_MANY)."""
        if self._relay is None or not self._relay.urls_for(host_header):
            return None
        self._budgets.turn(payer)
        return self._relay.issue(user_of(payer), host_header, self._clock.wall_ms())

    def offer(self, payer: Payer, host_header: str) -> Turn | None:
        """The same as part of a join, which does not fail for it: None when there were too many."""
        try:
            return self.give(payer, host_header)
        except Fault:
            return None
