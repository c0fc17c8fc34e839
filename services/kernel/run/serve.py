"""The life of a service process: settings, signals, one TaskGroup, readiness, drain, exit code."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from services.kernel.bus.tasks import owned
from services.kernel.run import log as logs
from services.kernel.run.health import Health
from services.kernel.run.settings import StartError

_GRACE_S = 5

LAST_WORD_S = 4
"""After so long in a drain what still waits for another service is answered that it is unavailable."""

log = structlog.get_logger()

S = TypeVar("S")
Parts = Callable[[asyncio.TaskGroup, Health], AbstractAsyncContextManager[None]]
"""A service: entered it runs, left it has drained."""


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def http(
    app: ASGIApp, sock: socket.socket, group: asyncio.TaskGroup, **options: object
) -> AsyncIterator[None]:
    """Serves the application on the socket for the length of the block; waits for open requests at the end."""
    config = uvicorn.Config(
        app, lifespan="off", access_log=False, log_config=None, server_header=False, date_header=False,
        timeout_graceful_shutdown=_GRACE_S, **{"ws": "none", **options},  # type: ignore[arg-type]
    )  # fmt: skip
    server = _Server(config)
    finished = asyncio.Event()

    async def run() -> None:
        try:
            await server.serve(sockets=[sock])
        finally:
            finished.set()

    async with owned(group, run()):
        try:
            yield
        finally:
            server.should_exit = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_S + 1):
                    await finished.wait()


async def _main(parts: Parts) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    health = Health()
    async with asyncio.TaskGroup() as group, parts(group, health):
        log.info("service.started")
        await stop.wait()
        health.draining.set()
        log.info("service.draining")
    log.info("service.stopped")


def serve(service: str, level: str, parts: Parts) -> int:
    """Runs the service until SIGTERM or SIGINT; returns the exit code (2: could not start, 1: it broke)."""
    logs.set_up(service, level)
    code = 0
    try:
        uvloop.run(_main(parts))
    except* StartError as group:
        for problem in group.exceptions:
            refuse(service, problem)
        code = 2
    except* Exception:
        log.exception("service.broke")
        code = 1
    return code


def refuse(service: str, problem: Exception) -> None:
    """Says in one line why a process does not start."""
    print(f"{service}: {problem}", file=sys.stderr)  # noqa: T201 - a person reads this, not a log


def run(service: str, load: Callable[[], S], level: Callable[[S], str], parts: Callable[[S], Parts]) -> int:
    """A service's `main`: settings, `--check`, then `serve`. Returns the exit code."""
    try:
        settings = load()
    except StartError as problem:
        refuse(service, problem)
        return 2
    if "--check" in sys.argv[1:]:
        return 0
    return serve(service, level(settings), parts(settings))
