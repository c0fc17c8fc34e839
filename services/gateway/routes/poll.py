"""`POST /poll`: stateless long poll by cursor, fed by the log reader; any replica can answer."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.edge import Json, body_of
from services.gateway.node import Node
from services.kernel.bus import subjects
from services.kernel.bus.base import Away
from services.kernel.log.client import conflict
from services.kernel.log.feed import Feed, Listener
from services.kernel.log.reader import Place
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import Cursor, Seq
from services.kernel.model.member import Member
from services.kernel.run.limits import Payer
from services.kernel.wire import codec
from services.kernel.wire.frames import Ack, Down, Name, Pong, ReceiptRow, Reset, RosterPeer, Send, Up
from services.kernel.wire.limits import (
    HISTORY_PAGE,
    JSON_KEYS,
    LEASE_RENEW_S,
    MAIL_COUNT,
    MAIL_S,
    POLL_FRAMES,
    POLL_WAIT_S,
    RECEIPTS_S,
)
from services.kernel.wire.receipts import Mark, later, rows_of
from services.kernel.wire.roster import POLL, Entry, Key, Signalled, peers, target_of, words
from services.kernel.wire.rows import Appended, Received, Row
from services.kernel.wire.session import Rename, judge, message_id, receipts_off

_RENEW_TOKEN_MS = 300_000
_DRAIN_LOOK_S = 1.0
_MOST_KEYS = JSON_KEYS + 8 * POLL_FRAMES  # as many as so many frames and their payloads have


class PollBody(msgspec.Struct):
    """`after`: cursor, or null to read nothing. `wait`: seconds, at most 20. `roster`, `receipts`: the tags the
    client has, "" for none, absent for what it does not want. `frames`: what it sends."""

    after: str | None = None
    wait: float = 0
    roster: str | None = None
    receipts: str | None = None
    frames: list[Up] = []


class RosterInfo(msgspec.Struct):
    """The roster and the tag that names this state of it."""

    tag: str
    peers: list[RosterPeer]


class ReceiptsInfo(msgspec.Struct):
    """How far each session is in this log, and the tag that names this state of it."""

    tag: str
    log_id: str
    rows: list[ReceiptRow]


class Polled(msgspec.Struct, omit_defaults=True):
    """Frames for the client, the cursor for its next poll, the node's time, perhaps a new token."""

    frames: list[msgspec.Raw]
    next: str | None
    now: int
    token: str | None = None
    roster: RosterInfo | None = None
    receipts: ReceiptsInfo | None = None


_decoder = msgspec.json.Decoder(PollBody)


async def poll(request: Request) -> Response:
    """`POST /poll`."""
    node: Node = request.app.state.node
    member, ends = node.member(request.headers.get("authorization"))
    body = await body_of(request, _decoder, _MOST_KEYS)
    if len(body.frames) > POLL_FRAMES or not 0 <= body.wait <= POLL_WAIT_S:
        raise Fault(ErrorCode.BAD_REQUEST, f"at most {POLL_FRAMES} frames, wait from 0 to {POLL_WAIT_S} s")
    payer = node.payer(request, member.peer, verified=member.verified)
    async with node.budgets.paced(payer):
        node.budgets.frame(payer)
    return Json(await _Poll(node, member, payer, body).answer(ends))


class _Poll:
    """One poll of one member."""

    def __init__(self, node: Node, member: Member, payer: Payer, body: PollBody) -> None:
        self._node, self._member, self._payer, self._body = node, member, payer, body
        self._after = Cursor.parse(body.after) if body.after else None
        self._reads = body.after is not None
        self._frames: list[msgspec.Raw] = []
        self._entries: dict[Key, Entry] | None = None
        self._woken = asyncio.Event()
        self._stirred = False
        self._place: Place | None = None

    async def answer(self, ends: int) -> Polled:
        """Everything that is there for the member now, or once something is, within `wait`."""
        node = self._node
        if self._reads or self._body.roster is not None or self._body.frames:
            self._entries = await node.entries(self._member.room)
        if self._reads:
            await node.present(self._member, self._entries, instead=self._body.wait > 0)
        renamed = await self._take(self._body.frames)
        if self._reads:
            await self._read()
        now = node.clock.wall_ms()
        fresh = renamed or ends - now < _RENEW_TOKEN_MS
        return Polled(
            frames=self._frames,
            next=str(self._after) if self._after else None,
            now=now,
            token=node.joining.token(self._member) if fresh else None,
            roster=self._roster(),
            receipts=self._receipts(),
        )

    def _add(self, frame: Down) -> None:
        self._frames.append(msgspec.Raw(codec.encode(frame)))

    async def _take(self, frames: Sequence[Up]) -> bool:
        """Performs what the client sent, in order; whether the member was renamed."""
        node, renamed = self._node, False
        waiting: list[tuple[Received, asyncio.Future[Appended]]] = []
        word: Mark | None = None
        for frame in frames:
            now = node.clock.wall_ms()
            try:
                await self._charge(frame)
                outcome = judge(self._member, frame, node.replica, now)
                if isinstance(outcome, Mark) and not node.takes_receipts:
                    raise receipts_off()
            except Fault as fault:
                self._add(codec.fault_frame(fault, message_id(frame), now))
                continue
            match outcome:
                case Received():
                    waiting.append((outcome, node.storage.submit(outcome)))
                case Pong():
                    self._add(outcome)
                case Signalled():
                    await self._signal(outcome)
                case Mark():
                    word = later(word, outcome) or word
                case Rename():
                    self._member = msgspec.structs.replace(self._member, name=outcome.name)
                    await node.present(self._member, self._entries)
                    renamed = True
        if word is not None:
            await node.mark(self._member, self._entries, word)
        for message, place in waiting:
            await self._ack(message, place)
        return renamed

    async def _charge(self, frame: Up) -> None:
        """Raises Fault(TOO_MANY); a socket's frames cost the same."""
        budgets = self._node.budgets
        async with budgets.paced(self._payer, cost=1):
            match frame:
                case Send():
                    await self._node.charge_send(self._payer, self._member.room)
                case Name():
                    budgets.send(self._payer, self._member.room)
                case _:
                    budgets.frame(self._payer)

    async def _ack(self, message: Received, place: "asyncio.Future[Appended]") -> None:
        try:
            stored = await place
            self._node.stored(self._payer, stored)
            if stored.conflict:
                raise conflict()
            self._add(Ack(message.id, stored.seq, stored.log_id, stored.at))
        except Fault as fault:
            self._add(codec.fault_frame(fault, message.id))

    async def _signal(self, event: Signalled) -> None:
        node, entries = self._node, list((self._entries or {}).values())
        if event.target_peer is not None:
            event = msgspec.structs.replace(event, target_peer=target_of(event.target_peer, entries))
            if not any(event.reaches(each.peer, each.session) for each in entries):
                self._add(codec.fault_frame(Fault(ErrorCode.NOT_FOUND, "nobody in this room is the target")))
                return
        letter = codec.encode(event.frame())
        with suppress(Away):
            for each in entries:
                if each.via == POLL and event.reaches(each.peer, each.session):
                    box = subjects.mailbox(self._member.room, each.peer, each.session)
                    await node.mail.post(box, [letter], MAIL_COUNT, MAIL_S)
        node.tell(self._member.room, event)  # last: it wakes polls, which then find their letter

    async def _read(self) -> None:
        """Reads the log and the mailbox, waiting for something to be there."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self._node.feeds.use(self._member.room) as feed:
            with self._listening(feed):
                while True:
                    self._woken.clear()
                    await self._rows(feed)
                    await self._mail()
                    self._place = feed.place
                    left = began + self._body.wait - clock()
                    if (
                        self._frames
                        or left <= 0
                        or self._node.draining.is_set()
                        or await self._roster_moved()
                    ):
                        return
                    early = began + RECEIPTS_S - clock()  # word of what others have is no cause to hurry
                    news = self._receipts() is not None
                    if news and early <= 0:
                        return
                    await self._pause(min(left, early if news else LEASE_RENEW_S))

    async def _pause(self, seconds: float) -> None:
        """Until something stirs in the room, the node drains, or it is time to say again who is here."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0 and not self._node.draining.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _DRAIN_LOOK_S)):
                    await self._woken.wait()
                    return
        await self._node.present(self._member, await self._node.entries(self._member.room))

    async def _roster_moved(self) -> bool:
        """Whether the client's roster is out of date, looked at only after something stirred."""
        if not self._stirred or (self._body.roster is None and self._body.receipts is None):
            return False
        self._stirred = False
        self._entries = await self._node.entries(self._member.room)
        return self._roster() is not None

    def _stir(self, _: bytes) -> None:
        self._stirred = True
        self._woken.set()

    @contextmanager
    def _listening(self, feed: Feed) -> Iterator[None]:
        listener = Listener(lambda _: self._woken.set(), lambda _: self._woken.set(), self._stir)
        feed.listeners.add(listener)
        try:
            yield
        finally:
            feed.listeners.discard(listener)

    async def _rows(self, feed: Feed) -> None:
        place, after = feed.place, self._after
        rows: Sequence[Row] | None = None
        if after is not None and after.log_id == place.log_id and after.seq <= place.last:
            rows = feed.recent(after.seq)
        if rows is None:
            page = await self._node.storage.after(self._member.room, after, HISTORY_PAGE)
            if page.reset is not None:
                self._add(Reset(page.reset, page.floor, page.head, page.log_id))
                self._after = Cursor(page.log_id, page.head)
                return
            rows = page.rows
            after = after or Cursor(page.log_id, page.floor)
        for row in rows[:HISTORY_PAGE]:
            self._add(codec.message(row))
        assert after is not None
        self._after = Cursor(after.log_id, Seq(rows[:HISTORY_PAGE][-1].seq)) if rows else after

    async def _mail(self) -> None:
        box = subjects.mailbox(self._member.room, self._member.peer, self._member.session)
        try:
            self._frames += [msgspec.Raw(letter) for letter in await self._node.mail.collect(box)]
        except Away:
            return

    def _receipts(self) -> ReceiptsInfo | None:
        wanted, place = self._body.receipts, self._place
        if wanted is None or place is None or self._entries is None or not self._node.takes_receipts:
            return None
        rows = rows_of(words(self._entries.values()), place.log_id, place.last)
        tag = hashlib.blake2b(msgspec.json.encode([place.log_id, rows]), digest_size=8).hexdigest()
        return None if tag == wanted else ReceiptsInfo(tag, place.log_id, rows)

    def _roster(self) -> RosterInfo | None:
        if self._body.roster is None or self._entries is None:
            return None
        found = peers(self._entries.values())
        tag = hashlib.blake2b(msgspec.json.encode(found), digest_size=8).hexdigest()
        return None if tag == self._body.roster else RosterInfo(tag, found)
