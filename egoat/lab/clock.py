"""Virtual time: what is due happens in its order, at once, and nothing waits."""

import heapq
from collections.abc import Callable

Act = Callable[[], object]


class Timer:
    """One thing that is to happen; `cancel` it while it has not."""

    __slots__ = ("act", "when")

    def __init__(self, when: int, act: Act) -> None:
        self.when = when
        self.act: Act | None = act

    def cancel(self) -> None:
        """It does not happen."""
        self.act = None


class Clock:
    """Milliseconds since the run began. Things due at one time happen in the order they were asked for."""

    def __init__(self) -> None:
        self.now = 0
        self.done = 0
        self._asked = 0
        self._due: list[tuple[int, int, Timer]] = []

    def after(self, pause: int, act: Act) -> Timer:
        """Has `act` done in `pause` milliseconds, and never before what is being done now is over."""
        self._asked += 1
        timer = Timer(self.now + max(0, pause), act)
        heapq.heappush(self._due, (timer.when, self._asked, timer))
        return timer

    def run(self, until: int) -> None:
        """Does everything that is due up to and including `until`, which is the time afterwards."""
        while self._due and self._due[0][0] <= until:
            when, _, timer = heapq.heappop(self._due)
            act = timer.act
            if act is not None:
                self.now = when
                self.done += 1
                timer.act = None
                act()
        self.now = until
