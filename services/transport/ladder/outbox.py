"""Which own messages are not yet acked, and which of them to send now. Pure, in the author's order.

Twin of web/js/outbox.js, held to it by tests/vectors/outbox. What is sealed is not looked at here.
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

RESEND_MS: Final = 10_000
"""An ack that takes longer than this on a live link is asked for again; the id keeps the message single."""


class Message(msgspec.Struct, frozen=True):
    """An own message as it goes in; `sealed` is the envelope with its signature, `bytes` their size."""

    id: str
    hlc: str
    sealed: Mapping[str, str]
    bytes: int


class Sent(msgspec.Struct, frozen=True):
    """On which link a message was last sent, and when."""

    link: int
    at: float


class Pending(Message, frozen=True, rename="camel"):
    """A message that waits; `not_before` is the node's wish after a refusal for the moment."""

    sent: Sent | None = None
    not_before: float = 0


class Window(msgspec.Struct, frozen=True):
    """How much may be under way on a link; `alone`: one batch at a time."""

    count: int
    bytes: int
    alone: bool


Outbox = tuple[Pending, ...]

EMPTY: Final[Outbox] = ()


class Taken(NamedTuple):
    """What to send now, and the box that remembers it."""

    box: Outbox
    batch: tuple[Pending, ...]


def put(box: Outbox, message: Message) -> Outbox:
    """The box with one more message where its time puts it, or with a new sealing in the old one's place."""
    pending = Pending(message.id, message.hlc, message.sealed, message.bytes)
    if any(held.id == message.id for held in box):
        return tuple(pending if held.id == message.id else held for held in box)
    earlier = [place for place, held in enumerate(box, 1) if held.hlc <= message.hlc]
    place = earlier[-1] if earlier else 0
    return (*box[:place], pending, *box[place:])


def take(box: Outbox, link: int, now: float, window: Window) -> Taken:
    """What to send on this link now, oldest first.

    A message that must wait holds back those behind it; one sent on another link is sent again here.
    """
    under_way = [held for held in box if _is_under_way(held, link, now)]
    if window.alone and under_way:
        return Taken(box, ())
    count, size = len(under_way), sum(held.bytes for held in under_way)
    batch: list[Pending] = []
    for held in box:
        if _is_under_way(held, link, now):
            continue
        fits = count == 0 or (count < window.count and size + held.bytes <= window.bytes)
        if held.not_before > now or not fits:
            break
        count, size = count + 1, size + held.bytes
        batch.append(held)
    ids = {held.id for held in batch}
    marked = tuple(replace(held, sent=Sent(link, now)) if held.id in ids else held for held in box)
    return Taken(marked, tuple(batch))


def without(box: Outbox, message_id: str) -> Outbox:
    """The box after a message was acked, or refused for good."""
    return tuple(held for held in box if held.id != message_id)


def postpone(box: Outbox, message_id: str, until: float) -> Outbox:
    """The box after the node asked to come back later with one message."""
    return tuple(
        replace(held, sent=None, not_before=until) if held.id == message_id else held for held in box
    )


def next_try(box: Outbox, link: int) -> float:
    """When there may be something to send on this link again; infinity when only an answer can change that."""
    times = [
        held.sent.at + RESEND_MS if held.sent is not None and held.sent.link == link else held.not_before
        for held in box
    ]
    return min(times, default=math.inf)


def _is_under_way(held: Pending, link: int, now: float) -> bool:
    return held.sent is not None and held.sent.link == link and now - held.sent.at < RESEND_MS
