"""A node of real processes with a fault proxy between every pair of its parts, and before every public port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.proxy import Proxy
from tests.contract.redis_server import SMALL_BUFFERS, RedisServer
from tests.support.node import Process, RunningNode

_QUOTAS = {
    "LIMIT_SOCKETS": "0",
    "LIMIT_PEERS": "0",
}  # every client here has one address, and comes again and again


class ProxiedNode(RunningNode):
    """Storage, two signaling replicas, two gateways and Redis. `links` are the proxies by name.

    `services` are the processes by name; clients use `doors` (signaling) and `bases` (gateways).
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.redis = RedisServer(folder, *SMALL_BUFFERS)
        super().__init__(folder, self.redis.url, twin=True, extra=_QUOTAS)
        self.services: dict[str, Process] = {
            "storage": self.storage,
            "signaling0": self.signaling[0],
            "signaling1": self.signaling[1],
            "gateway0": self.gateway,
            "gateway1": self.gateway2,
        }
        self.links = {name: Proxy(upstream, seed) for name, upstream in self._pairs().items()}

    def _pairs(self) -> dict[str, str | Path]:
        """What lies behind each proxy."""
        pairs: dict[str, str | Path] = {f"{name}-redis": self.redis.socket for name in self.services}
        for name in ("signaling0", "signaling1", "gateway0", "gateway1"):
            pairs[f"{name}-storage"] = self.storage_address
        for number, port in enumerate(self.ws):
            pairs[f"client-signaling{number}"] = f"127.0.0.1:{port}"
            pairs[f"gateway{number}-signaling{number}"] = f"127.0.0.1:{port}"
        for number, port in enumerate((self.http, self.http2)):
            pairs[f"client-gateway{number}"] = f"127.0.0.1:{port}"
        return pairs

    @property
    def bases(self) -> list[str]:
        """URLs of the gateways, through their proxies."""
        return [f"http://{self.links[f'client-gateway{number}'].address}" for number in range(2)]

    @property
    def doors(self) -> list[str]:
        """URLs of `/signal`: both replicas, then through both gateways."""
        direct = [f"ws://{self.links[f'client-signaling{number}'].address}/signal" for number in range(2)]
        return direct + [base.replace("http://", "ws://") + "/signal" for base in self.bases]

    @asynccontextmanager
    async def up(self) -> AsyncIterator["ProxiedNode"]:
        """The whole node, ready, for the length of the block."""
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self.redis.running())
            for proxy in self.links.values():
                await proxy.start()
                stack.push_async_callback(proxy.aclose)
            self._wire()
            stack.push_async_callback(asyncio.to_thread, self._end)
            for process in self.services.values():
                process.launch()
            for process in self.services.values():
                await asyncio.to_thread(process.await_ready)
            yield self

    def _wire(self) -> None:
        """Tells every service to go through its proxies."""
        for name, process in self.services.items():
            process.tell(REDIS_URL=f"redis://{self.links[f'{name}-redis'].address}/0")
            if name != "storage":
                process.tell(STORAGE_ADDRESS=str(self.links[f"{name}-storage"].address))
            if name.startswith("gateway"):
                link = self.links[f"{name}-signaling{name[-1]}"]
                process.tell(GATEWAY_SIGNALING=str(link.address))

    def _end(self) -> None:
        for process in self.services.values():
            if process.popen is not None and process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()
