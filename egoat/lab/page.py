"""One open page in the laboratory, as web/js/room.js: node ladder, timeline, sender and direct paths tied together."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from msgspec.structs import asdict

from egoat.lab.direct_rungs import Air
from egoat.lab.driver import Driver, Owner
from egoat.lab.frames import (
    Ack,
    Envelope,
    Fault,
    Frame,
    Page,
    Pong,
    Roster,
    Row,
    Signal,
    Welcome,
    Who,
)
from egoat.lab.network import Device
from egoat.lab.node import EPOCH_MS, RECENT, Answer, Node
from egoat.lab.node_rungs import HISTORY_MS, Reach, node_kinds, request
from egoat.lab.peers import Peers, Surroundings
from egoat.lab.sender import Outlets, Sender
from egoat.lab.trace import Trace
from services.kernel.model import hlc, node_clock
from services.kernel.model.coverage import first_gap, resume_after
from services.kernel.model.timeline import Logged, Message, Place, Timeline
from services.kernel.wire.limits import HISTORY_DEFAULT, HISTORY_PAGE
from services.transport.ladder.policy import RUNGS, Config

NODE_LADDER = Config(
    keep=True, rungs=tuple(place for place in RUNGS if place.name in ("websocket-direct", "http-polling"))
)
LOG_ID = "00000000000000aa"
HISTORY_AGAIN_MS = 3_000


class Setting(NamedTuple):
    """The world around a page.

    `shown(envelope, older)` hears of every copy of a message that came in, `used(peer, rung, before)` of
    every change of a link in use; the peer is None for the link to the node.
    """

    device: Device
    node: Node
    air: Air
    trace: Trace
    chance: Random
    who: Who
    signed: bool
    awake: Callable[[Who], bool]
    shown: Callable[[Envelope, bool], None]
    used: Callable[[Who | None, str | None, str | None], None]


class Tab:
    """One page of the room, from opening to closing."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.device, self.who, self.trace = setting.device, setting.who, setting.trace
        self.stopped = False
        self.timeline = Timeline()
        self.clock = node_clock.guess(EPOCH_MS + self.device.now + self.device.skew, self.device.now)
        self._loaded = self._loading = self._filling = False
        self._reach = Reach(self.device, setting.node, setting.chance, self.who, self._cursor)
        self.trace.note("timeline", self.who.session, "timeline", ({},), self._summary(None))
        self._clocked("guess", (EPOCH_MS + self.device.now + self.device.skew, self.device.now), self.clock)
        self.driver = Driver(
            self.device, setting.chance, self.trace, f"{self.who.session}>node", NODE_LADDER,
            node_kinds(self._reach), Owner(self._opened, self._received, self._used),
        )  # fmt: skip
        self.peers = Peers(
            Surroundings(
                self.device,
                self.trace,
                setting.chance,
                setting.air,
                self.who,
                setting.awake,
                self._to_node,
                self._direct,
                setting.used,
            )
        )
        outlets = Outlets(self.peers.say, self._queue, self.driver.current, self.node_now)
        self.sender = Sender(self.device, self.trace, self.who.session, outlets)

    def start(self) -> None:
        """Begins to connect and to read."""
        self.driver.start()
        self._load()

    def close(self) -> list[Envelope]:
        """The tab is closed; what the browser keeps for the next visit."""
        self.stopped = self.sender.stopped = True
        self.driver.stop()
        self.peers.stop()
        return list(self.sender.messages.values())

    def say(self, text: str) -> Envelope:
        """Says something: shown at once, sent as soon as a path is up."""
        envelope = self.sender.compose(self.who.peer, text, self.setting.signed)
        self._queue(envelope)
        self.sender.add(envelope)
        return envelope

    def adopt(self, envelope: Envelope) -> None:
        """A message of an earlier visit waits to be sent."""
        self.sender.saw(envelope.hlc)
        self._queue(envelope)
        self.sender.add(envelope)

    def wake(self) -> None:
        """This device woke, or its network is another one."""
        self.driver.network_changed()
        self.peers.network_changed()
        self._load()

    def older(self) -> None:
        """One more page of what came before."""
        start = self.timeline.older_than()
        if start is not None and self._loaded and not self._loading and not self.stopped:
            self._loading = True
            self._ask(
                partial(self.setting.node.history, start, None, HISTORY_DEFAULT), self._older, self._idle
            )

    def node_now(self) -> int:
        """The node's time as far as this page knows it."""
        return round(node_clock.node_time(self.clock, self.device.now))

    def _cursor(self) -> int | None:
        return None if self.timeline.log_id is None else resume_after(self.timeline.spans)

    def _to_node(self, frame: Frame) -> bool:
        current = self.driver.current()
        if current is not None:
            current.link.send(frame)
        return current is not None

    def _opened(self, rung: str, welcome: Welcome | None) -> None:
        if welcome is None:
            return
        now = self.device.now
        args = (welcome.now, now - 400, now)
        self._clocked("learn", args, node_clock.learn(self.clock, *args))
        self._follow(welcome.head)
        if not self.driver.is_spare(rung):
            self.peers.follow(welcome.people)

    def _follow(self, head: int) -> None:
        place = Place(LOG_ID, 0, head)
        self._told("follow", (place,), self.timeline.follow(place))
        self._fill() if self._loaded else self._load()

    def _used(self, rung: str | None, before: str | None) -> None:
        if rung is not None:
            self._load()
        self.device.after(0, self.sender.pump)
        self.setting.used(None, rung, before)

    def _received(self, _rung: str, frame: Frame) -> None:
        match frame:
            case Row():
                self._take(frame, older=False)
            case Ack(id=message_id, seq=seq, at=at):
                mine = message_id in self.sender.messages
                self.sender.settled(message_id)
                if mine:
                    key = {"sender": self.who.peer, "id": message_id, "seq": seq, "at": at}
                    self._told("acked", (key,), self.timeline.acked(self.who.peer, message_id, seq, at))
                    self._fill()
                self.peers.settled(message_id)
            case Pong(t=t, now=now) if now is not None:
                args = (now, min(self.device.now, t), self.device.now)
                self._clocked("learn", args, node_clock.learn(self.clock, *args))
            case Fault(now=now):
                offset = now - self.device.now
                learnt = node_clock.NodeClock(offset, 500, self.device.now)
                self._clocked("set", (offset, 500, self.device.now), learnt)
                self.sender.fault(frame)
            case Roster(people=people):
                self.peers.follow(people)
            case Signal():
                self.peers.signalled(frame)

    def _take(self, row: Row, older: bool) -> None:
        envelope = row.envelope
        message = Logged(**asdict(self._message(envelope)), seq=row.seq, at=row.at)
        late = older or not self._loaded
        self._told("logged", (message, late), self.timeline.logged(message, late))
        args = (row.at, self.device.now)
        self._clocked("notBefore", args, node_clock.not_before(self.clock, *args))
        self.setting.shown(envelope, late)
        self.sender.saw(envelope.hlc)
        if message.mine:
            self.sender.settled(envelope.id)
            self.peers.settled(envelope.id)
        self.peers.release(envelope)
        if not older:
            self._fill()

    def _direct(self, envelope: Envelope, _sender: Who) -> None:
        if hlc.too_far_ahead(envelope.hlc, self.node_now()):
            return
        message = self._message(envelope)
        change = self.timeline.direct(message)
        self._told("direct", (message,), change)
        self.setting.shown(envelope, False)
        if change.what != "same":
            self.peers.hold(envelope)

    def _queue(self, envelope: Envelope) -> None:
        message = self._message(envelope)
        self._told("queue", (message,), self.timeline.queue(message))

    def _message(self, envelope: Envelope) -> Message:
        sender = envelope.sender
        return Message(
            sender, envelope.id, envelope.hlc, sender, "text", envelope.text,
            envelope.signed, sender == self.who.peer,
        )  # fmt: skip

    def _load(self) -> None:
        """The newest page; asked again until it came."""
        if self._loading or self._loaded or self.stopped:
            return
        self._loading = True
        self._ask(partial(self.setting.node.history, None, None, RECENT), self._newest, self._newest_failed)

    def _newest(self, frames: tuple[Frame, ...]) -> None:
        self._loading = False
        self._loaded = True
        for page in frames:
            if isinstance(page, Page):
                self._follow(page.head)
        self._take_all(frames, older=True)
        self._fill()

    def _older(self, frames: tuple[Frame, ...]) -> None:
        self._idle()
        self._take_all(frames, older=True)

    def _idle(self) -> None:
        self._loading = False

    def _newest_failed(self) -> None:
        self._loading = False
        self.device.after(HISTORY_AGAIN_MS, self._load)

    def _fill(self) -> None:
        """Reads what is missing between two held stretches, oldest hole first."""
        gap = first_gap(self.timeline.spans)
        if gap is not None and self._loaded and not self._filling and not self.stopped:
            self._filling = True
            ask = partial(self.setting.node.history, None, gap.after, HISTORY_PAGE)
            self._ask(ask, self._filled, self._not_filled)

    def _filled(self, frames: tuple[Frame, ...]) -> None:
        before = first_gap(self.timeline.spans)
        self._take_all(frames, older=False)
        self._filling = False
        if first_gap(self.timeline.spans) != before:
            self._fill()

    def _take_all(self, frames: tuple[Frame, ...], older: bool) -> None:
        for frame in frames:
            if isinstance(frame, Page):
                for row in frame.rows:
                    self._take(row, older)

    def _not_filled(self) -> None:
        self._filling = False

    def _ask(self, ask: Callable[[Answer], None], then: Answer, failed: Callable[[], None]) -> None:
        def answered(frames: tuple[Frame, ...]) -> None:
            if not self.stopped:
                then(frames)

        request(self._reach, ask, answered, failed, HISTORY_MS)

    def _told(self, call: str, args: tuple[object, ...], result: object) -> None:
        self.trace.note("timeline", self.who.session, call, args, self._summary(result))

    def _summary(self, result: object) -> object:
        room = self.timeline
        return {"result": result, "read": room.read, "unread": room.unread, "spans": room.spans}

    def _clocked(self, call: str, args: tuple[object, ...], clock: node_clock.NodeClock) -> None:
        self.clock = clock
        self.trace.note("node_clock", self.who.session, call, args, clock)
