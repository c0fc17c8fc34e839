"""How a client becomes a member, at the socket and over HTTP: nonces spent once, proofs checked, tokens made."""

import asyncio
import secrets

from services.kernel.bus import subjects
from services.kernel.bus.base import Away, Leases
from services.kernel.model import join
from services.kernel.model.clock import Clock
from services.kernel.model.ids import RoomId
from services.kernel.model.join import Admitted, JoinKeys, JoinRequest
from services.kernel.model.member import Member
from services.kernel.run.origin import signed_for


class Joining:
    """Judges joins. Single use of a nonce is kept in Redis, and here while Redis is away."""

    def __init__(self, keys: JoinKeys, leases: Leases, clock: Clock) -> None:
        self._keys, self._leases, self._clock = keys, leases, clock
        self._spent: dict[str, float] = {}

    def nonce(self) -> str:
        """A nonce for one join."""
        return join.make_nonce(self._keys, self._clock.wall_ms(), secrets.token_bytes(8))

    def token(self, member: Member) -> str:
        """A token that stands for this member for ten minutes."""
        return join.make_token(self._keys, member, self._clock.wall_ms())

    def by_token(self, token: str) -> tuple[Member, int]:
        """The member a token stands for and its end (Unix ms); raises Fault(UNAUTHORIZED)."""
        return join.read_token(self._keys, token, self._clock.wall_ms())

    async def admit(self, room: RoomId, asked: JoinRequest, origin: str | None, host: str) -> Admitted:
        """The member that this request proves; spends its nonce. `origin` and `host` are the headers.

        Raises Fault: BAD_REQUEST, UNAUTHORIZED, FORBIDDEN.
        """
        origin_ok = asked.origin is not None and signed_for(asked.origin, origin, host)
        admitted = join.admit(self._keys, room, asked, origin_ok, self._clock.wall_ms())
        if asked.nonce is not None and not await self._spend(asked.nonce):
            raise join.stale("the nonce was used before")
        return admitted

    async def _spend(self, nonce: str) -> bool:
        now = asyncio.get_running_loop().time()
        ttl = join.NONCE_TTL_MS / 1000 + 2
        while self._spent and next(iter(self._spent.values())) < now:  # the oldest stands first
            del self._spent[next(iter(self._spent))]
        if nonce in self._spent:
            return False
        self._spent[nonce] = now + ttl
        try:
            return await self._leases.once(subjects.nonce(nonce), ttl)
        except Away:
            return True
