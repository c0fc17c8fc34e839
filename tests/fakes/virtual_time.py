"""An event loop whose time jumps to the next timer as soon as nothing else is to do: sleeps cost nothing."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


_LONGEST = 7_200.0


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: what would have been waited is added to the loop's time."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or self.elapsed > _LONGEST:
            raise RuntimeError("nothing the test waits for will ever happen in this loop")
        ready = super().select(0)
        if not ready:
            self.elapsed += max(timeout, 0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time starts at 1,000 seconds."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return 1_000.0 + self._jumping.elapsed


class LoopClock:
    """A Clock that shows the time of the running loop; Unix time starts at a fixed moment."""

    def now(self) -> float:
        """See Clock.now."""
        return asyncio.get_running_loop().time()

    def wall_ms(self) -> int:
        """See Clock.wall_ms."""
        return 1_760_000_000_000 + round(self.now() * 1000)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Makes a coroutine test run in a loop of its own whose sleeps take no time. No sockets, no threads."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
