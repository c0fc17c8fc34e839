"""A Redis of the project's own image on a port of its own, that a test may kill, stop and start again."""

import contextlib
import time
from collections.abc import Iterator

import redis
from testcontainers.community.redis import RedisContainer

from tests.support.node import free_ports


class OwnRedis:
    """One container; its port stays the same over restarts."""

    def __init__(self, container: RedisContainer, port: int) -> None:
        self._container = container.get_wrapped_container()
        self.url = f"redis://127.0.0.1:{port}/0"

    def kill(self) -> None:
        """Ends Redis at once; what it knew is lost."""
        self._container.kill()

    def start(self) -> None:
        """Starts it anew, empty; returns when it answers."""
        self._container.start()
        end = time.monotonic() + 15
        while True:
            with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
                client.ping()
                return
            assert time.monotonic() < end, "Redis does not come back"
            time.sleep(0.05)

    def command(self, *words: str) -> object:
        """The answer to one command."""
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*words)


@contextlib.contextmanager
def own_redis(image: str) -> Iterator[OwnRedis]:
    """A running one for the length of the block."""
    (port,) = free_ports(1)
    with RedisContainer(image).with_bind_ports(6379, port) as container:
        yield OwnRedis(container, port)
