"""Traffic on every rung of a node whose wall clocks leap by a day, together and apart."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from services.kernel.model.identity import envelope_message
from tests.chaos.node import ProxiedNode
from tests.chaos.readers import HistoryReader, PollReader, Reader, SocketReader
from tests.chaos.scenario import Plan, Scenario
from tests.chaos.wall_clock import DAY_S, WallClock
from tests.chaos.ways import Shut, Web
from tests.chaos.writers import Writer
from tests.support.clients import Frame

_BETWEEN_S = 1.5
PEER_ID_SIZE = 26
ALL = ("storage", "signaling0", "signaling1", "gateway0", "gateway1", "redis")


def clocks_of(node: ProxiedNode) -> dict[str, WallClock]:
    """The clocks of its processes, by name, from their next start on."""
    clocks = {name: WallClock(node.folder / f"{name}.clock") for name in ALL}
    node.redis.env |= clocks["redis"].env
    for name, process in node.services.items():
        process.tell(**clocks[name].env)
    return clocks


# Which clocks are off by how many days from then on; the others keep what they have.
LEAPS: tuple[dict[str, int], ...] = (
    dict.fromkeys(ALL, 1),
    dict.fromkeys(ALL, 0),
    dict.fromkeys(ALL, -1),
    {"storage": 1},
    {"signaling0": 1, "gateway1": 1},
    {"redis": 1},
    {"signaling0": 0, "storage": -1},
    dict.fromkeys(ALL, 0),
)


def leap_to(clocks: dict[str, WallClock], leap: dict[str, int]) -> None:
    """Sets these clocks to so many days off."""
    for name, days in leap.items():
        clocks[name].set(days * DAY_S)


class StampingWriter(Writer):
    """Stamps anew, under the same id, what the node refused because of its stamp."""

    def _heard(self, frame: Frame) -> None:
        if frame["type"] == "fault" and frame["code"] == "clock":
            self._stamp(frame["id"], frame["now"])
        else:
            super()._heard(frame)

    def _stamp(self, message_id: str, now: int) -> None:
        if message_id not in self.outbox:
            return
        self.ledger.counts["stamped anew"] += 1
        env = json.loads(self.outbox[message_id]["env"]) | {"hlc": f"{now:012x}-0000"}
        text = json.dumps(env, ensure_ascii=False, separators=(",", ":"))
        frame: Frame = self.outbox[message_id] | {"env": text}
        if self.author.key is not None:
            frame["sig"] = self.author.sign(envelope_message(text))
        self.outbox[message_id] = frame

    async def _post(self, url: str, body: Frame) -> Any:
        headers = {"Authorization": f"Bearer {self.author.tokens[self.room]}"}
        answer = await self.web.ask(
            "POST", url, json=body, headers=headers, expected={200, 401, 408, 422, 429, 503}
        )
        if answer.status_code == 422 and answer.json()["code"] == "clock":
            self._stamp(json.loads(body["env"])["id"], answer.json()["now"])
        if answer.status_code != 200:
            raise Shut(answer.text)
        return answer.json()


class SinceReader(Reader):
    """By `GET /history?since=`: from the second before the last one it has seen, dropping what it holds."""

    _second = 0

    async def _session(self, until: float) -> None:
        while time.monotonic() < until:
            url = f"{self._chance.choice(self.node.bases)}/history"
            asked: dict[str, str | int] = {"room": self.room, "since": max(0, self._second - 1)}
            answer = await self.web.ask("GET", url, params=asked)
            if answer.status_code != 200:
                raise Shut(answer.text)
            for item in answer.json():
                if item["timestamp"] < self._second and item["seq"] > self.last:
                    self.ledger.broken(
                        "time", f"seq {item['seq']} came with an earlier second than those before"
                    )
                self._second = max(self._second, item["timestamp"])
                if item["seq"] > self.last:
                    guest = f"guest:{item['peer_id']}"
                    sender = item["peer_id"] if len(item["peer_id"]) == PEER_ID_SIZE else guest
                    self._row(item["seq"], sender, item["id"])
            await asyncio.sleep(self._chance.uniform(0.05, 0.3))


class LeapingClocks(Scenario):
    """Writers and readers of a scenario; nothing fails but clocks."""

    writer = StampingWriter
    kinds = (SocketReader, SocketReader, PollReader, HistoryReader, SinceReader)

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(Plan(seed, 0), folder)
        self.clocks = clocks_of(self.node)

    def _people(self, web: Web) -> None:
        super()._people(web)
        for reader in self.readers:
            if isinstance(reader, SinceReader):
                reader.start = 0

    async def _storm(self) -> None:
        for leap in LEAPS:
            await asyncio.sleep(_BETWEEN_S)
            leap_to(self.clocks, leap)
        await asyncio.sleep(_BETWEEN_S)
