"""The direct paths of one page in the laboratory, as web/js/peers.js, peer.js and custody.js."""

from collections.abc import Callable, Iterable
from random import Random
from typing import NamedTuple

from egoat.lab.direct_rungs import Air, DirectLink, Parts, direct_kinds
from egoat.lab.driver import Driver, Owner
from egoat.lab.frames import Call, Direct, Envelope, Frame, Got, Send, Signal, Who
from egoat.lab.network import Device
from egoat.lab.trace import Trace
from services.transport.ladder.policy import RUNGS, Config

PEER_LADDER = Config(standbys=0, rungs=tuple(place for place in RUNGS if place.name.startswith("webrtc-")))

MISSING_MS = 3_000
SPREAD_MS = 1_000
AGAIN_MS = 5_000
LOOK_MS = 500


class Surroundings(NamedTuple):
    """What the direct side of a page stands on."""

    device: Device
    trace: Trace
    chance: Random
    air: Air
    self: Who
    awake: Callable[[Who], bool]
    to_node: Callable[[Frame], bool]
    message: Callable[[Envelope, Who], None]
    used: Callable[[Who, str | None, str | None], None]


class Peer:
    """One session of somebody else: its ladder, and the offers of theirs."""

    def __init__(self, around: Surroundings, remote: Who, attempt: Callable[[], str], owner: Owner) -> None:
        self.around, self.remote = around, remote
        self.present = True
        self._calls: dict[str, Call] = {}
        self._newest: dict[str, int] = {}
        parts = Parts(
            around.device, around.air, around.self < remote, attempt,
            lambda rung: self._calls.pop(rung, None), self._signal, lambda: around.awake(remote),
        )  # fmt: skip
        key = f"{around.self.session}>{remote.session}"
        self.driver = Driver(
            around.device, around.chance, around.trace, key, PEER_LADDER, direct_kinds(parts), owner
        )

    def signalled(self, call: Call) -> None:
        """A signal from this session."""
        held = self.driver.links.get(call.rung)
        link = held.link if held is not None and isinstance(held.link, DirectLink) else None
        if call.kind != "offer":
            if link is not None:
                link.take(call)
            return
        if self._is_stale(call):
            return
        if link is not None and link.takes(call):
            link.take(call)
            return
        self._calls[call.rung] = call
        dialled = self.driver.called(call.rung)
        self._calls.pop(call.rung, None)
        if not dialled:
            self._signal(Call("answer", call.rung, call.attempt, refused=True))

    def _is_stale(self, call: Call) -> bool:
        """An offer older than one that was seen is of a link that is over."""
        session, number = call.attempt.rsplit("-", 1)
        if session != self.remote.session:
            return False
        newest = self._newest.get(call.rung, 0)
        self._newest[call.rung] = max(newest, int(number))
        return int(number) < newest

    def _signal(self, call: Call) -> None:
        self.around.to_node(Signal(self.remote, call))


class Peers:
    """Everybody in reach, own messages out to them, theirs in, and what must still reach the log."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.held: dict[Who, Peer] = {}
        self.stopped = False
        self._own: dict[str, tuple[Envelope, set[Who]]] = {}
        self._people: tuple[Who, ...] = ()
        self._custody: dict[tuple[str, str], tuple[Envelope, int]] = {}
        self._count = 0
        around.device.after(LOOK_MS, self._look)

    def follow(self, people: Iterable[Who]) -> None:
        """The roster: a ladder begins for each session of others and ends with it, unless its link lives."""
        if self.stopped:
            return
        self._people = tuple(people)
        wanted = [who for who in self._people if who.peer != self.around.self.peer]
        for who, peer in list(self.held.items()):
            peer.present = who in wanted
            if not peer.present and peer.driver.state.active is None:
                peer.driver.stop()
                del self.held[who]
        for who in wanted:
            if who not in self.held:
                self._begin(who)

    def signalled(self, signal: Signal) -> None:
        """A signal that the node passed on."""
        peer = self.held.get(signal.who)
        if peer is None and signal.who in self._people:
            peer = self._begin(signal.who)
        if peer is not None:
            peer.signalled(signal.call)

    def say(self, envelope: Envelope) -> None:
        """An own message goes to everybody in direct reach now, and to those who come into reach in time."""
        self._own[envelope.id] = (envelope, set())
        for peer in self.held.values():
            self._send(peer, Direct(envelope))

    def settled(self, message_id: str) -> None:
        """The node has a message of this id."""
        self._own.pop(message_id, None)
        for key in [key for key in self._custody if key[1] == message_id]:
            del self._custody[key]

    def hold(self, envelope: Envelope) -> None:
        """A signed envelope that the log has not shown yet."""
        key = (envelope.sender, envelope.id)
        if envelope.signed and key not in self._custody:
            spread = self.around.chance.randrange(SPREAD_MS)
            self._custody[key] = (envelope, self.around.device.now + MISSING_MS + spread)

    def release(self, envelope: Envelope) -> None:
        """The log has it."""
        self._custody.pop((envelope.sender, envelope.id), None)

    def network_changed(self) -> None:
        """This device woke, or its network is another one."""
        for peer in self.held.values():
            peer.driver.network_changed()

    def stop(self) -> None:
        """The page goes."""
        self.stopped = True
        for peer in self.held.values():
            peer.driver.stop()

    def _begin(self, who: Who) -> Peer:
        owner = Owner(
            lambda _rung, _welcome: None,
            lambda _rung, frame: self._heard(who, frame),
            lambda rung, before: self._used(who, rung, before),
        )
        peer = self.held[who] = Peer(self.around, who, self._attempt, owner)
        peer.driver.start()
        return peer

    def _attempt(self) -> str:
        self._count += 1
        return f"{self.around.self.session}-{self._count}"

    def _send(self, peer: Peer, frame: Frame) -> None:
        current = peer.driver.current()
        if current is not None:
            current.link.send(frame)

    def _used(self, who: Who, rung: str | None, before: str | None) -> None:
        peer = self.held[who]
        if rung is not None:
            for envelope, got in self._own.values():
                if who not in got:
                    self._send(peer, Direct(envelope))
        elif not peer.present:
            self.around.device.after(0, lambda: self.follow(self._people))
        self.around.used(who, rung, before)

    def _heard(self, who: Who, frame: Frame) -> None:
        match frame:
            case Direct(envelope=envelope):
                self.around.message(envelope, who)
                self._send(self.held[who], Got((envelope.id,)))
            case Got(ids=ids):
                for message_id in ids:
                    if message_id in self._own:
                        self._own[message_id][1].add(who)

    def _look(self) -> None:
        """Custody: what the log still lacks is sent to the node by whoever holds it."""
        if self.stopped:
            return
        now = self.around.device.now
        for key, (envelope, due) in list(self._custody.items()):
            if due <= now and self.around.to_node(Send(envelope)):
                self._custody[key] = (envelope, now + AGAIN_MS)
        self.around.device.after(LOOK_MS, self._look)
