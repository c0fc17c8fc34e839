"""The faults of a scenario: a timetable made from the seed, and what each of them does to the node."""

import asyncio
import contextlib
import random
import signal
import time
from dataclasses import dataclass

from tests.chaos.ledger import Ledger, Window
from tests.chaos.node import ProxiedNode
from tests.chaos.proxy import FAIR, Weather

SERVICES = ("storage", "signaling0", "signaling1", "gateway0", "gateway1")
REDIS = "redis"
WEATHERS = {
    "latency": Weather(latency=0.02, jitter=0.2),
    "slices": Weather(slices=7),
    "bandwidth": Weather(bandwidth=30_000),
    "black hole": Weather(black_hole=True),
    "refuse": Weather(refuse=True),
}
OVERFLOW = "overflow"
SHOCKS = ("cut", "reset", "half_close", "forget")
AFTERMATH_S = 2.0
"""A fault counts as over for readers so long after the node is whole again (P5)."""
_NOTICED_S = 12.0
"""So long a part may hold on to a connection that silently died."""
_BACK_WITHIN_S = 30.0
_OVERFLOW_WITHIN_S = 5.0


@dataclass(frozen=True)
class Fault:
    """One entry of the timetable: when, what, to whom, and for how long."""

    at: float
    kind: str
    target: str
    seconds: float

    @property
    def bus(self) -> bool:
        """Whether it hurts Redis or a link to it, nothing else."""
        return self.target == REDIS or self.target.endswith("-redis")


def timetable(seed: int, seconds: float, kills_per_second: float, links: list[str]) -> list[Fault]:
    """The faults of this seed in the order of their times: kills at this rate, others at twice the rate."""
    chance = random.Random(seed)
    found: list[Fault] = []
    for rate, make in ((kills_per_second, _kill), (2 * kills_per_second, _other)):
        at = 0.5
        while rate and (at := at + chance.expovariate(rate)) < seconds:
            found.append(make(at, chance, links))
    return sorted(found, key=lambda fault: fault.at)


def _kill(at: float, chance: random.Random, links: list[str]) -> Fault:
    return Fault(at, "kill", chance.choice((*SERVICES, "storage", REDIS)), chance.uniform(0, 1.5))


def _other(at: float, chance: random.Random, links: list[str]) -> Fault:
    kind = chance.choice(
        (
            *("stop", "freeze", "freeze", OVERFLOW, "flush", "unsubscribe", "unsubscribe", "pause"),
            *WEATHERS,
            *SHOCKS,
        )
    )
    if kind in ("flush", "unsubscribe", "pause"):
        target = REDIS
    elif kind in ("stop", "freeze"):
        target = chance.choice(SERVICES if kind == "stop" else (*SERVICES, REDIS))
    elif kind == OVERFLOW:
        target = chance.choice(("signaling0", "signaling1"))
    else:
        target = chance.choice(links)
    return Fault(at, kind, target, chance.uniform(0.2, 4))


class Faults:
    """Does the faults of a timetable to a node; what is hurt already is left alone."""

    def __init__(self, node: ProxiedNode, ledger: Ledger) -> None:
        self._node, self._ledger = node, ledger
        self._hurt: set[str] = set()

    async def run(self, table: list[Fault]) -> None:
        """Returns when all are over and every process is ready again."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in table:
                await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
                group.create_task(self.perform(fault))

    async def perform(self, fault: Fault) -> None:
        """One fault from its beginning to the end of what it does."""
        if fault.target in self._hurt:
            self._ledger.faults["left out"] += 1
            return
        self._ledger.faults[fault.kind] += 1
        self._hurt.add(fault.target)
        begin = time.monotonic()
        try:
            await self._do(fault)
        finally:
            self._hurt.discard(fault.target)
            after = _NOTICED_S if fault.kind == "forget" else AFTERMATH_S
            self._ledger.windows.append(Window(begin, time.monotonic() + after, fault.bus))

    async def _do(self, fault: Fault) -> None:
        if fault.kind in WEATHERS:
            link = self._node.links[fault.target]
            link.weather = WEATHERS[fault.kind]
            await asyncio.sleep(fault.seconds)
            link.weather = FAIR
        elif fault.kind in SHOCKS:
            getattr(self._node.links[fault.target], fault.kind)()
        elif fault.target == REDIS:
            await self._redis(fault)
        else:
            await self._service(fault)

    async def _redis(self, fault: Fault) -> None:
        redis = self._node.redis
        if fault.kind == "kill":
            self._ledger.kills[REDIS] += 1
            redis.kill()
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(redis.start)
        elif fault.kind == "freeze":
            with redis.frozen():
                await asyncio.sleep(fault.seconds)
        elif fault.kind == "flush":
            await asyncio.to_thread(redis.command, "FLUSHALL")
        elif fault.kind == "unsubscribe":
            await asyncio.to_thread(redis.command, "CLIENT KILL TYPE pubsub")
        else:
            await asyncio.to_thread(redis.command, f"CLIENT PAUSE {int(fault.seconds * 1000)}")
            await asyncio.sleep(fault.seconds)

    async def _service(self, fault: Fault) -> None:
        process = self._node.services[fault.target]
        assert process.popen is not None
        if (code := process.popen.poll()) is not None:
            self._ledger.broken("ended by itself", f"{fault.target}, exit code {code}")
        elif fault.kind in ("freeze", OVERFLOW):
            process.popen.send_signal(signal.SIGSTOP)
            try:
                if fault.kind == OVERFLOW:
                    await asyncio.to_thread(self._overflow)
                await asyncio.sleep(fault.seconds)
            finally:
                process.popen.send_signal(signal.SIGCONT)
            return
        elif fault.kind == "stop":
            code = await asyncio.to_thread(process.stop, signal.SIGTERM)
            if code != 0:
                self._ledger.broken("stopped badly", f"{fault.target}, exit code {code}")
        else:
            self._ledger.kills[fault.target] += 1
            await asyncio.to_thread(process.stop, signal.SIGKILL)
        await asyncio.sleep(fault.seconds)
        await self.restart(fault.target)

    def _overflow(self) -> None:
        """Publishes what is no hint until Redis has thrown a subscriber out, or is away itself."""
        redis, until = self._node.redis, time.monotonic() + _OVERFLOW_WITHIN_S
        before, junk = redis.overflows, "x" * 16_000
        with contextlib.suppress(OSError):
            while redis.overflows == before and time.monotonic() < until:
                redis.command(f"PUBLISH room:storm-0 {junk}")

    async def restart(self, name: str) -> None:
        """Starts a service; returns when it is ready."""
        process = self._node.services[name]
        process.launch()
        end = time.monotonic() + _BACK_WITHIN_S
        while not await asyncio.to_thread(process.ready):
            assert process.popen is not None
            if process.popen.poll() is not None or time.monotonic() > end:
                self._ledger.broken(
                    "not ready", f"{name} after {_BACK_WITHIN_S:.0f} s: {process.log()[-500:]}"
                )
                return
            await asyncio.sleep(0.1)
