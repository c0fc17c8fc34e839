"""The node of the laboratory: one room's log, its sockets, polls and roster, as docs/protocol.md has them."""

from collections.abc import Callable, Iterable
from functools import partial

from egoat.lab.clock import Clock, Timer
from egoat.lab.frames import (
    Ack,
    Envelope,
    Fault,
    Frame,
    Hello,
    Page,
    Ping,
    Pong,
    Roster,
    Row,
    Send,
    Signal,
    Welcome,
    Who,
)
from egoat.lab.network import Flow
from services.kernel.model import hlc
from services.kernel.wire.limits import LEASE_S, LEAVE_GRACE_S, MAIL_COUNT

EPOCH_MS = 1_800_000_000_000
"""The node's time when a run begins."""

SOCKET_SILENT_MS = 40_000
LOOK_MS = 1_000
COMMIT_MS = 3
RECENT = 60

Answer = Callable[[tuple[Frame, ...]], None]


class Session:
    """One session that is here: its socket if it has one, and what waits for its next poll."""

    def __init__(self, now: int) -> None:
        self.seen = now
        self.spoke = now
        self.flow: Flow[Frame] | None = None
        self.upto = 0
        self.mail: list[Frame] = []
        self.poll: tuple[int, Answer, Timer] | None = None


class Node:
    """Takes messages in, numbers them once per (sender, id), and tells everybody who is here."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.up = True
        self.log: list[Row] = []
        self._known: dict[tuple[str, str], Row] = {}
        self._sessions: dict[Who, Session] = {}
        clock.after(LOOK_MS, self._look)

    @property
    def now(self) -> int:
        """The node's time."""
        return EPOCH_MS + self.clock.now

    @property
    def people(self) -> tuple[Who, ...]:
        """Who is here."""
        return tuple(sorted(self._sessions))

    def stop(self) -> None:
        """Ends every socket with a word, forgets who was here, and keeps the log."""
        for session in self._sessions.values():
            if session.flow is not None:
                session.flow.close(1)
            if session.poll is not None:
                session.poll[2].cancel()
        self._sessions.clear()
        self.up = False

    def start(self) -> None:
        """Opens the doors again."""
        self.up = True

    def greet(self, flow: Flow[Frame], hello: Hello) -> None:
        """A socket has said who it is: it is welcomed, and gets what it lacks."""
        if not self.up:
            flow.close(1)
            return
        session = self._enter(hello.who)
        if session.flow is not None:
            session.flow.close(1)
        session.flow, session.spoke = flow, self.clock.now
        head = len(self.log)
        session.upto = head if hello.after is None else min(hello.after, head)
        flow.attach(
            1, lambda frame: self._heard(hello.who, flow, frame), lambda: self._closed(hello.who, flow)
        )
        flow.send(1, Welcome(self.now, head, self.people))
        self._feed(session)

    def join(self, who: Who, reply: Answer) -> None:
        """`POST /join`."""
        self._enter(who)
        reply((Welcome(self.now, len(self.log), self.people),))

    def poll(self, who: Who, after: int | None, wait: int, frames: Iterable[Frame], reply: Answer) -> None:
        """`POST /poll`: frames up, then rows after the cursor, at once or within `wait` milliseconds."""
        session = self._enter(who)
        answers = [answer for frame in frames for answer in self._take(who, frame)]
        if wait > 0:
            self._release(session)
        if after is not None and wait > 0 and not answers and not session.mail and after >= len(self.log):
            session.poll = (after, reply, self.clock.after(wait, lambda: self._release(session)))
            return
        rows = () if after is None else self.log[after:]
        mail, session.mail = session.mail, []
        roster = () if after is None else (Roster(self.people),)
        self.clock.after(COMMIT_MS, lambda: reply((*answers, *mail, *rows, *roster)))

    def history(self, before: int | None, after: int | None, limit: int, reply: Answer) -> None:
        """`GET /history`: the newest page, a page before a seq (inclusive), or one after a seq."""
        head = len(self.log)
        if after is not None:
            rows = self.log[after : after + limit]
        else:
            top = head if before is None else before
            rows = self.log[max(0, top - limit) : top]
        page: Frame = Page(tuple(rows), head)
        reply((page,))

    def _enter(self, who: Who) -> Session:
        session = self._sessions.get(who)
        if session is None:
            session = self._sessions[who] = Session(self.clock.now)
            self._tell_roster()
        session.seen = self.clock.now
        return session

    def _heard(self, who: Who, flow: Flow[Frame], frame: Frame) -> None:
        session = self._sessions.get(who)
        if session is None or session.flow is not flow:
            return
        session.seen = session.spoke = self.clock.now
        for answer in self._take(who, frame):
            self.clock.after(COMMIT_MS, partial(flow.send, 1, answer))

    def _take(self, who: Who, frame: Frame) -> list[Frame]:
        match frame:
            case Ping(t=t):
                return [Pong(t, self.now)]
            case Send(envelope=envelope):
                return [self._append(envelope)]
            case Signal(who=target, call=call):
                self._pass_on(target, Signal(who, call))
        return []

    def _append(self, envelope: Envelope) -> Frame:
        """One row per (sender, id); the ack of a known one is that of the first."""
        if hlc.too_far_ahead(envelope.hlc, self.now):
            return Fault(envelope.id, self.now)
        key = (envelope.sender, envelope.id)
        row = self._known.get(key)
        if row is None:
            row = self._known[key] = Row(len(self.log) + 1, self.now, envelope)
            self.log.append(row)
            self.clock.after(COMMIT_MS, self._fan_out)
        return Ack(envelope.id, row.seq, row.at)

    def _fan_out(self) -> None:
        for session in list(self._sessions.values()):
            self._feed(session)

    def _feed(self, session: Session) -> None:
        if session.flow is not None:
            for row in self.log[session.upto :]:
                session.flow.send(1, row)
            session.upto = len(self.log)
        if session.poll is not None and session.poll[0] < len(self.log):
            self._release(session)

    def _release(self, session: Session) -> None:
        if session.poll is None:
            return
        after, reply, timer = session.poll
        timer.cancel()
        session.poll = None
        mail, session.mail = session.mail, []
        reply((*mail, *self.log[after:], Roster(self.people)))

    def _pass_on(self, target: Who, signal: Signal) -> None:
        session = self._sessions.get(target)
        if session is not None and session.flow is not None:
            session.flow.send(1, signal)
        elif session is not None and len(session.mail) < MAIL_COUNT:
            session.mail.append(signal)
            self._release(session)

    def _tell_roster(self) -> None:
        for session in self._sessions.values():
            if session.flow is not None:
                session.flow.send(1, Roster(self.people))
            self._release(session)

    def _closed(self, who: Who, flow: Flow[Frame]) -> None:
        session = self._sessions.get(who)
        if session is not None and session.flow is flow:
            session.flow = None
            session.seen = min(session.seen, self.clock.now - round(LEASE_S * 1000))

    def _look(self) -> None:
        """Who is silent for too long has no socket; who has none and does not poll is gone."""
        self.clock.after(LOOK_MS, self._look)
        now, gone = self.clock.now, []
        for who, session in self._sessions.items():
            if session.flow is not None and now - session.spoke > SOCKET_SILENT_MS:
                session.flow.close(1)
                session.flow = None
            idle = session.flow is None and session.poll is None
            if idle and now - session.seen > round((LEASE_S + LEAVE_GRACE_S) * 1000):
                gone.append(who)
        for who in gone:
            del self._sessions[who]
        if gone:
            self._tell_roster()
