"""Keeps a set of processes alive: starts, watches, restarts with growing pauses, stops them in order.

Children run in sessions of their own, so that Ctrl-C reaches only the supervisor; the kernel ends them
when the supervisor dies (PR_SET_PDEATHSIG, Linux).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

import msgspec
import structlog

_PAUSE_FIRST, _PAUSE_MOST = 0.5, 30.0
_HEALTHY_AFTER = 10.0
_LOOK_EVERY = 0.05
_WAIT_FOR_OTHERS_S = 5.0
_ASK_S = 1.0
_PR_SET_PDEATHSIG = 1

log = structlog.get_logger()

Ready = Callable[[], Awaitable[bool]]


class Spec(msgspec.Struct, frozen=True):
    """One process: its name in logs, what to run, how to see that it is ready.

    `last` processes are stopped only after all others have ended, the higher the later. A node does not fail for
    one that is not `vital`. What a `quiet` one prints is dropped.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Ready
    last: int = 0
    vital: bool = True
    quiet: bool = False


class FailedToStart(Exception):
    """A process ended with exit code 2 before the node was ready: it has said why."""


class Child:
    """One process and its successors."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.process: asyncio.subprocess.Process | None = None
        self.ended = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self, node_ready: asyncio.Event) -> None:
        """Until stopped; raises FailedToStart for exit code 2 during the first start."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        try:
            while not self._stopping.is_set():
                started = loop.time()
                self.process = await _spawn(self.spec)
                code = await self.process.wait()
                if self._stopping.is_set():
                    return
                if code == 2 and self.spec.vital and not node_ready.is_set():
                    raise FailedToStart(self.spec.name)
                if loop.time() - started >= _HEALTHY_AFTER:
                    pause = 0.0
                log.error("service.died", name=self.spec.name, code=code, restart_in_s=pause)
                await self._rest(pause)
                pause = min(max(_PAUSE_FIRST, pause * 2), _PAUSE_MOST)
        finally:
            self.ended.set()

    async def _rest(self, seconds: float) -> None:
        """Waits, but not on when the node stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Asks the process to end and lets no successor start."""
        self._stopping.set()
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """All processes of a node."""

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.children = [Child(spec) for spec in specs]
        self.ready = asyncio.Event()

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None], start_within: float) -> None:
        """Starts all, calls `on_ready` once all are ready, returns when `stop` was set and all have ended.

        Raises FailedToStart, or TimeoutError when not all were ready in time; then too nothing is left.
        """
        runs = [asyncio.ensure_future(child.run(self.ready)) for child in self.children]  # noqa: TID251
        watch = [*runs, asyncio.ensure_future(stop.wait())]  # noqa: TID251
        waiting = asyncio.ensure_future(self._all_ready(start_within))  # noqa: TID251
        try:
            await asyncio.wait([*watch, waiting], return_when=asyncio.FIRST_COMPLETED)
            _raise_of(runs)
            if waiting.done() and not stop.is_set():
                waiting.result()
                self.ready.set()
                on_ready()
                await asyncio.wait(watch, return_when=asyncio.FIRST_COMPLETED)
                _raise_of(runs)
        finally:
            waiting.cancel()
            watch[-1].cancel()
            await self._stop_all()
            await asyncio.gather(*runs, return_exceptions=True)

    async def _all_ready(self, within: float) -> None:
        async with asyncio.timeout(within):
            await _all([child.spec for child in self.children if child.spec.vital])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WAIT_FOR_OTHERS_S):
                    await _all([child.spec for child in self.children if not child.spec.vital])

    async def _stop_all(self) -> None:
        """Stage by stage, each with its share of nine seconds; whoever is left is killed."""
        stages = sorted({child.spec.last for child in self.children})
        for stage, share in zip(stages, _shares(len(stages)), strict=True):
            children = [child for child in self.children if child.spec.last == stage]
            for child in children:
                child.stop()
            waits = [asyncio.ensure_future(child.ended.wait()) for child in children]  # noqa: TID251
            _, late = await asyncio.wait(waits, timeout=share)
            for each in late:
                each.cancel()
            for child in children:
                if not child.ended.is_set():
                    log.error("service.killed", name=child.spec.name)
                    child.stop(signal.SIGKILL)


async def _all(specs: Sequence[Spec]) -> None:
    """Until all are ready."""
    for spec in specs:
        while not await spec.ready():  # noqa: ASYNC110 - another process has no Event to wait for
            await asyncio.sleep(_LOOK_EVERY)


def _shares(stages: int) -> list[float]:
    return [6.0, *[1.5] * (stages - 1)]


def _raise_of(runs: Sequence["asyncio.Future[None]"]) -> None:
    for run in runs:
        if run.done():
            run.result()


async def _spawn(spec: Spec) -> asyncio.subprocess.Process:
    parent = os.getpid()

    def in_child() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    return await asyncio.create_subprocess_exec(
        *spec.argv,
        env=dict(spec.env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL if spec.quiet else None,
        stderr=asyncio.subprocess.DEVNULL if spec.quiet else None,
        start_new_session=True,
        preexec_fn=in_child,
    )


async def asked(
    dial: Coroutine[None, None, tuple[asyncio.StreamReader, asyncio.StreamWriter]],
    question: bytes,
    expected: bytes,
) -> bool:
    """Whether a server answers the question as expected."""
    try:
        async with asyncio.timeout(_ASK_S):
            reader, writer = await dial
            try:
                writer.write(question)
                return (await reader.read(64)).startswith(expected)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
