"""Readers that keep a cursor, lose their connection, and write down every row that they are shown."""

import asyncio
import contextlib
import json
import random
import time
from abc import ABC, abstractmethod

from tests.chaos.ledger import Ledger, Sight
from tests.chaos.node import ProxiedNode
from tests.chaos.ways import Shut, Web, dialled
from tests.support.clients import Author, Frame, Socket

_SILENT_S = 4.0
_PING_S = 1.0


class Reader(ABC):
    """One reader of one room from the place `start` on. `rows` is what it was shown, in that order."""

    def __init__(
        self, node: ProxiedNode, web: Web, ledger: Ledger, room: str, author: Author, chance: random.Random
    ) -> None:
        self.node, self.web, self.ledger, self.room, self.author = node, web, ledger, room, author
        self.rows: list[tuple[int, str, str]] = []
        self.start: int | None = None
        self.last = 0
        self._log_id = ""
        self._chance = chance
        self._live_since = float("inf")

    @property
    def cursor(self) -> str:
        """Everything up to here was shown."""
        return f"{self._log_id}.{self.last}"

    def begin(self, log_id: str, seq: int) -> None:
        """What comes after this place is for this reader."""
        self._log_id, self.start, self.last = log_id, seq, seq

    async def run(self) -> None:
        """Reads until cancelled."""
        while True:
            with contextlib.suppress(Shut):
                await self._session(time.monotonic() + self._chance.expovariate(1 / 3))
            self._live_since = float("inf")
            await asyncio.sleep(self._chance.uniform(0.02, 0.3))

    @abstractmethod
    async def _session(self, until: float) -> None:
        """Reads on one rung until then; raises Shut when that ends earlier."""

    def _live(self) -> None:
        self._live_since = min(self._live_since, time.monotonic())

    def _take(self, frame: Frame) -> None:
        """A frame of `egoat.1`: a row, or the word that the log is another one."""
        if frame["type"] == "message":
            env = json.loads(frame["env"])
            self._row(frame["seq"], env["sender"], env["id"])
        elif frame["type"] == "reset":
            self._reset(frame)

    def _row(self, seq: int, sender: str, message_id: str) -> None:
        if seq <= self.last:
            self.ledger.broken("shown twice", f"{self.author.name} has {self.last}, was shown {seq}")
            return
        if seq > self.last + 1:
            self.ledger.broken("gap", f"{self.author.name} has {self.last}, was shown {seq}")
        self.last = seq
        self.rows.append((seq, sender, message_id))
        self.ledger.sights.append(Sight(self.room, seq, time.monotonic(), self._live_since))

    def _reset(self, told: Frame) -> None:
        """No fault of a scenario changes the log, so nobody may be told that it changed."""
        self.ledger.broken("reset", f"{self.author.name} at {self.cursor} was told {json.dumps(told)}")
        self.rows.clear()
        self.begin(told["log_id"], told["head"])


class SocketReader(Reader):
    """By a socket; pings when nothing comes, and leaves when nothing answers."""

    async def _session(self, until: float) -> None:
        url = self._chance.choice(self.node.doors)
        more = {} if self.start is None else {"after": self.cursor}
        async with dialled(url, self.room, self.author, self.ledger, **more) as socket:
            if self.start is None:
                self.begin(socket.welcome["log_id"], socket.welcome["head"])
            self._live()
            await self._read(socket, until)

    async def _read(self, socket: Socket, until: float) -> None:
        heard = time.monotonic()
        while time.monotonic() < until:
            try:
                frame = await socket.frame(_PING_S)
            except TimeoutError:
                if time.monotonic() - heard > _SILENT_S:
                    raise Shut("nothing answers") from None
                await socket.send({"type": "ping", "t": 1})
                continue
            heard = time.monotonic()
            socket.seen.clear()
            self._take(frame)


class PollReader(Reader):
    """By long polls at either gateway; sometimes it goes away before its answer comes, and asks again."""

    async def _session(self, until: float) -> None:
        joined = await self.web.join(self._chance.choice(self.node.bases), self.room, self.author)
        if self.start is None:
            self.begin(joined["log_id"], joined["head"])
        while time.monotonic() < until:
            wait = self._chance.choice((0, 0.5, 2, 5))
            patience = self._chance.uniform(0.01, 0.2) if self._chance.random() < 0.1 else wait + 4
            await self._poll(wait, patience)

    async def _poll(self, wait: float, patience: float) -> None:
        url = f"{self._chance.choice(self.node.bases)}/poll"
        headers = {"Authorization": f"Bearer {self.author.tokens[self.room]}"}
        body = {"after": self.cursor, "wait": wait, "frames": []}
        answer = await self.web.ask("POST", url, patience, json=body, headers=headers)
        if answer.status_code != 200:
            raise Shut(answer.text)
        found = answer.json()
        self.author.tokens[self.room] = found.get("token") or self.author.tokens[self.room]
        for frame in found["frames"]:
            self._take(frame)
        if found["next"] != self.cursor:
            self.ledger.broken("gap", f"{self.author.name} at {self.cursor} was sent on to {found['next']}")
            self.last = int(found["next"].split(".")[1])
        self._live()


class HistoryReader(Reader):
    """By `GET /history?after=` in pages of any size; it begins at the very first row."""

    async def _session(self, until: float) -> None:
        while time.monotonic() < until:
            url = f"{self._chance.choice(self.node.bases)}/history"
            asked = {"room": self.room, "after": self.cursor, "limit": self._chance.randint(1, 200)}
            answer = await self.web.ask("GET", url, params=asked)
            if answer.status_code != 200:
                raise Shut(answer.text)
            page = answer.json()
            if "reset" in page:
                self._reset(page["reset"])
            for item in page["items"]:
                self._row(item["seq"], item["peer_id"], item["id"])
            await asyncio.sleep(0 if page["more"] else self._chance.uniform(0.1, 0.6))
