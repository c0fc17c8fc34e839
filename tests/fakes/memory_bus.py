"""A Bus in one process: a hub stands for Redis, and each bus on it for one service's connection."""

import asyncio

from services.kernel.bus.base import Delivery, Resumed, Sink, Subject


class MemoryHub:
    """What several buses meet on. `cut` and `mend` are the server going away and coming back."""

    def __init__(self) -> None:
        self.up = True
        self.listeners: list[MemoryListener] = []

    def cut(self) -> None:
        """From now on nothing gets through."""
        self.up = False
        for listener in self.listeners:
            listener.gap = listener.gap or listener.stands.is_set()
            listener.stands.clear()

    def mend(self) -> None:
        """The server is back: who stood before the gap is told that it was one."""
        self.up = True
        for listener in tuple(self.listeners):
            listener.stands.set()
            if listener.gap:
                listener.gap = False
                listener.hand(Resumed(listener.subject))

    def spread(self, delivery: Delivery) -> None:
        """Gives a publication to whoever listens now."""
        for listener in tuple(self.listeners):
            if listener.subject == delivery.subject and listener.stands.is_set():
                listener.hand(delivery)


class MemoryListener:
    """One sink on one subject of a MemoryBus."""

    def __init__(self, hub: MemoryHub, subject: Subject, sink: Sink) -> None:
        self._hub, self.subject, self._sink = hub, subject, sink
        self.stands, self.gap, self._open = asyncio.Event(), False, True
        if hub.up:
            self.stands.set()

    def hand(self, event: Delivery | Resumed) -> None:
        """Brings an event in a later turn of the loop, as a socket would."""
        asyncio.get_running_loop().call_soon(self._give, event)

    def _give(self, event: Delivery | Resumed) -> None:
        if self._open:
            self._sink(event)

    async def standing(self, within: float) -> bool:
        """See Subscription.standing."""
        try:
            async with asyncio.timeout(within):
                await self.stands.wait()
        except TimeoutError:
            return False
        return self._open

    def close(self) -> None:
        """See Subscription.close."""
        self._open = False
        if self in self._hub.listeners:
            self._hub.listeners.remove(self)


class MemoryBus:
    """A Bus on a hub; `published` keeps what got out, in order."""

    def __init__(self, hub: MemoryHub | None = None) -> None:
        self.hub = hub or MemoryHub()
        self.published: list[Delivery] = []

    @property
    def connected(self) -> bool:
        """See Bus.connected."""
        return self.hub.up

    def publish(self, subject: Subject, data: bytes) -> None:
        """See Bus.publish."""
        if self.hub.up:
            delivery = Delivery(subject, data)
            self.published.append(delivery)
            self.hub.spread(delivery)

    def subscribe(self, subject: Subject, sink: Sink) -> MemoryListener:
        """See Bus.subscribe."""
        listener = MemoryListener(self.hub, subject, sink)
        self.hub.listeners.append(listener)
        return listener
