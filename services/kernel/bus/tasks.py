"""Background work with an owner: tasks whose life is a block, and connections that are kept up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import structlog

from services.kernel.model.errors import Fault

_RETRY_FIRST, _RETRY_MOST = 0.05, 1.0

log = structlog.get_logger()


@asynccontextmanager
async def owned(group: asyncio.TaskGroup, work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs the work in the group for the length of the block; its failure fails the group."""
    task = group.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def keep(hold: Callable[[], Awaitable[None]], what: str) -> None:
    """Calls `hold` (connect and stay) again and again until cancelled, 0.05 s doubling to 1 s apart.

    A hold that stood for two seconds starts the pause anew. One log line per outage.
    """
    loop = asyncio.get_running_loop()
    pause, told = _RETRY_FIRST, False
    while True:
        started = loop.time()
        problem: Exception | None = None
        try:
            await hold()
        except (OSError, TimeoutError, Fault) as found:
            problem = found
        stood = loop.time() - started > 2 * _RETRY_MOST
        if stood or not told:
            log.warning("link.away", to=what, problem=str(problem or "closed"))
            told = True
        pause = _RETRY_FIRST if stood else min(pause * 2, _RETRY_MOST)
        await asyncio.sleep(pause)
