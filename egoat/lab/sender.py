"""Own messages in the laboratory, as web/js/sender.js: stamped in order, sent until the node has them."""

from collections.abc import Callable
from typing import NamedTuple

from egoat.lab.clock import Timer
from egoat.lab.driver import Current
from egoat.lab.frames import Envelope, Fault, Send
from egoat.lab.network import Device
from egoat.lab.trace import Trace
from services.kernel.model import hlc
from services.transport.ladder import outbox

LEAST_PAUSE_MS = 50


class Outlets(NamedTuple):
    """Whom the sender tells: a message was sealed (again), the node has it, a link is in use."""

    sealed: Callable[[Envelope], None]
    restamped: Callable[[Envelope], None]
    current: Callable[[], Current | None]
    node_now: Callable[[], int]


class Sender:
    """The outbox of one page."""

    def __init__(self, device: Device, trace: Trace, key: str, outlets: Outlets) -> None:
        self.device, self.trace, self.key, self.outlets = device, trace, key, outlets
        self.newest = hlc.ZERO
        self.taken = hlc.ZERO
        self.messages: dict[str, Envelope] = {}
        self.stopped = False
        self._n = 0
        self._count = 0
        self._box = outbox.EMPTY
        self._timer: Timer | None = None

    def compose(self, sender: str, text: str, signed: bool) -> Envelope:
        """A new message, stamped."""
        self.newest = hlc.stamp(self.newest, self.outlets.node_now())
        self._count += 1
        return self._numbered(
            Envelope(f"{self.key}-{self._count}", sender, self.key, 0, self.newest, text, signed)
        )

    def saw(self, stamp: str) -> None:
        """A message of this stamp was seen."""
        if not hlc.too_far_ahead(stamp, self.outlets.node_now()):
            self.newest = hlc.observe(self.newest, stamp)

    def add(self, envelope: Envelope) -> None:
        """Keeps sending it until the node has it."""
        self.messages[envelope.id] = envelope
        self.outlets.sealed(envelope)
        sealed = {"env": f"{envelope.id} {envelope.n} {envelope.hlc}"}
        message = outbox.Message(envelope.id, envelope.hlc, sealed, 300 + len(envelope.text))
        self._keep("put", (message,), outbox.put(self._box, message))
        self.pump()

    def pump(self) -> None:
        """Sends what is due on the link in use."""
        current = self.outlets.current()
        if self._timer is not None:
            self._timer.cancel()
        if current is None or not self._box or self.stopped:
            return
        now = self.device.now
        taken = outbox.take(self._box, current.number, now, current.window)
        batch = [held.id for held in taken.batch]
        self._keep(
            "take", (current.number, now, current.window), taken.box, {"batch": batch, "box": taken.box}
        )
        for message_id in batch:
            current.link.send(Send(self.messages[message_id]))
        following = outbox.next_try(self._box, current.number)
        self.trace.note("outbox", self.key, "nextTry", (current.number,), following)
        if following != float("inf"):
            self._timer = self.device.after(max(LEAST_PAUSE_MS, round(following - now)), self.pump)

    def settled(self, message_id: str) -> None:
        """The node has it."""
        envelope = self.messages.pop(message_id, None)
        if envelope is not None:
            self.taken = hlc.observe(self.taken, envelope.hlc)
        self._keep("without", (message_id,), outbox.without(self._box, message_id))
        self.pump()

    def fault(self, fault: Fault) -> None:
        """The node's clock is another than this page thought: what lies too far ahead is stamped again."""
        message = self.messages.get(fault.id)
        if message is None or not hlc.too_far_ahead(message.hlc, fault.now):
            return
        ahead = [held for held in self.messages.values() if hlc.too_far_ahead(held.hlc, fault.now)]
        stands = [self.taken, *(held.hlc for held in self.messages.values())]
        stands = [stamp for stamp in stands if not hlc.too_far_ahead(stamp, fault.now)]
        self.newest = max([hlc.format_stamp(fault.now, 0), *stands])
        for held in ahead:
            self._keep("without", (held.id,), outbox.without(self._box, held.id))
            self.newest = hlc.stamp(self.newest, fault.now)
            renewed = self._numbered(held._replace(hlc=self.newest))
            self.outlets.restamped(renewed)
            self.add(renewed)

    def _numbered(self, envelope: Envelope) -> Envelope:
        self._n += 1
        return envelope._replace(n=self._n)

    def _keep(self, call: str, args: tuple[object, ...], box: outbox.Outbox, out: object = None) -> None:
        self._box = box
        self.trace.note("outbox", self.key, call, args, box if out is None else out)
