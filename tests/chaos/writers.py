"""Writers with an outbox, as real clients have one: every message goes out again, on any rung, until it is acked."""

import asyncio
import contextlib
import json
import random
import time
from typing import Any

from tests.chaos.ledger import Key, Ledger
from tests.chaos.node import ProxiedNode
from tests.chaos.ways import Shut, Web, dialled
from tests.support.clients import Author, Frame, Socket

_NO_ACK_S = 4.0
_STORM = 20
_MOST_WAITING = 40


class Writer:
    """One author in one room. It ends when told to stop and its outbox is empty."""

    def __init__(
        self, node: ProxiedNode, web: Web, ledger: Ledger, room: str, author: Author, chance: random.Random
    ) -> None:
        self.node, self.web, self.ledger, self.room, self.author = node, web, ledger, room, author
        self.outbox: dict[str, Frame] = {}
        self.stop = asyncio.Event()
        self._chance = chance
        self._tried: set[str] = set()
        self._written = 0

    async def run(self) -> None:
        """One rung after the other until everything is acked."""
        while not self.stop.is_set() or self.outbox:
            rung = self._chance.choice((self._by_socket, self._by_socket, self._by_poll, self._by_send))
            with contextlib.suppress(Shut):
                await rung(time.monotonic() + self._chance.uniform(1, 6))
            await asyncio.sleep(self._chance.uniform(0.02, 0.3))

    def _going_on(self, until: float) -> bool:
        return time.monotonic() < until and not (self.stop.is_set() and not self.outbox)

    def _write(self, most: int = 4) -> list[str]:
        """The ids of a few new messages, unless it is time to stop or too many wait."""
        if self.stop.is_set() or len(self.outbox) > _MOST_WAITING:
            return []
        fresh: list[str] = []
        for _ in range(self._chance.randint(1, most)):
            self._written += 1
            size = 8_000 if self._chance.random() < 0.03 else self._chance.randint(1, 200)
            frame = self.author.write(self.room, f"{self._written} {'x' * size}")
            fresh.append(json.loads(frame["env"])["id"])
            self.outbox[fresh[-1]] = frame
        return fresh

    def _heard(self, frame: Frame) -> None:
        """An ack ends a message's stay in the outbox; a fault leaves it there."""
        if frame["type"] == "ack":
            self._acked(frame["id"], frame)
        elif frame["type"] == "fault" and frame["code"] == "unavailable":
            self.ledger.counts["refused"] += 1
        elif frame["type"] == "fault":
            self.ledger.broken("status", f"{self.author.name} was told {json.dumps(frame)}")

    def _acked(self, message_id: str, where: Frame) -> None:
        self.outbox.pop(message_id, None)
        key = Key(self.room, self.author.peer, message_id)
        self.ledger.ack(key, where["seq"], where["log_id"])

    def _first_tries(self, ids: list[str]) -> list[str]:
        """Those that leave for the first time now."""
        found = [each for each in ids if each not in self._tried]
        self._tried.update(ids)
        return found

    async def _by_socket(self, until: float) -> None:
        url = self._chance.choice(self.node.doors)
        first: list[str] = []
        try:
            async with dialled(url, self.room, self.author, self.ledger) as socket:
                await self._send_all(socket, list(self.outbox), first)
                while self._going_on(until):
                    await self._send_all(socket, self._write(), first)
                    if self._chance.random() < 0.02:
                        await self._storm()
                    await self._listen(socket, self._chance.uniform(0.05, 0.3), first)
        finally:
            self.ledger.in_order(self.author.name, first, self.room, self.author.peer)

    async def _send_all(self, socket: Socket, ids: list[str], first: list[str]) -> None:
        first += self._first_tries(ids)
        async with asyncio.timeout(_NO_ACK_S):
            for each in ids:
                await socket.send(self.outbox[each])

    async def _listen(self, socket: Socket, seconds: float, first: list[str]) -> None:
        """Takes what comes for so long; sends again what was refused; raises Shut when acks stay away."""
        oldest, began = next(iter(self.outbox), None), time.monotonic()
        while True:
            refused: list[str] = []
            for frame in await socket.during(seconds):
                self._heard(frame)
                if frame["type"] == "fault" and frame.get("id") in self.outbox:
                    refused.append(frame["id"])
            socket.seen.clear()
            for each in refused:
                if each in first:
                    first.remove(each)
            await self._send_all(socket, refused, [])
            if oldest not in self.outbox:
                return
            if time.monotonic() - began > _NO_ACK_S:
                raise Shut("no ack")

    async def _by_poll(self, until: float) -> None:
        base, first = self._chance.choice(self.node.bases), list[str]()
        await self.web.join(base, self.room, self.author)
        try:
            while self._going_on(until):
                self._write()
                ids = list(self.outbox)[:100]
                fresh = self._first_tries(ids)
                answer = await self._post(f"{base}/poll", {"frames": [self.outbox[each] for each in ids]})
                for frame in answer["frames"]:
                    self._heard(frame)
                first += [each for each in fresh if each not in self.outbox]
                await asyncio.sleep(self._chance.uniform(0.05, 0.4))
        finally:
            self.ledger.in_order(self.author.name, first, self.room, self.author.peer)

    async def _by_send(self, until: float) -> None:
        base = self._chance.choice(self.node.bases)
        await self.web.join(base, self.room, self.author)
        while self._going_on(until):
            self._write()
            for each in list(self.outbox):
                self._tried.add(each)
                self._acked(each, await self._post(f"{base}/send", self._sent_as(each)))
            await asyncio.sleep(self._chance.uniform(0.05, 0.4))

    def _sent_as(self, message_id: str) -> Frame:
        """The body of `POST /send`: a guest uses the reference form half of the time."""
        frame = self.outbox[message_id]
        if self.author.key is None and self._chance.random() < 0.5:
            text = json.loads(frame["env"])["body"]["text"]
            return {"room": self.room, "peer_id": self.author.name, "text": text, "id": message_id}
        return {name: frame[name] for name in ("env", "sig") if name in frame}

    async def _post(self, url: str, body: Frame) -> Any:
        headers = {"Authorization": f"Bearer {self.author.tokens[self.room]}"}
        answer = await self.web.ask("POST", url, json=body, headers=headers)
        if answer.status_code != 200:
            raise Shut(answer.text)
        return answer.json()

    async def _storm(self) -> None:
        """One message twenty times at once, by sockets at both replicas and by both gateways."""
        for each in self._write(1):
            self._tried.add(each)
            frame, body = self.outbox[each], self._sent_as(each)
            self.ledger.counts["storms"] += 1
            ways = [self._storm_socket(url, frame, _STORM // 4) for url in self.node.doors[:2]]
            for number in range(_STORM // 2):
                ways.append(self._storm_post(self.node.bases[number % 2], each, body))
            for problem in await asyncio.gather(*ways, return_exceptions=True):
                if problem is not None and not isinstance(problem, Shut):
                    raise problem

    async def _storm_socket(self, url: str, frame: Frame, count: int) -> None:
        async with dialled(url, self.room, self.author.elsewhere(), self.ledger) as socket:
            for _ in range(count):
                await socket.send(frame)
            for _ in range(count):
                self._heard(await socket.of_type("ack", "fault"))

    async def _storm_post(self, base: str, message_id: str, body: Frame) -> None:
        self._acked(message_id, await self._post(f"{base}/send", body))
