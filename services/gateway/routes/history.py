"""`GET /history` in its three forms: since (reference), after and before (cursors that lose nothing)."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.gateway.edge import Json
from services.gateway.node import Node
from services.gateway.routes.query import one, required
from services.kernel.model import envelope
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import (
    GUEST_PREFIX,
    Cursor,
    RoomId,
    Seq,
    parse_count,
    parse_room,
    reference_name,
)
from services.kernel.wire.limits import HISTORY_DEFAULT, HISTORY_PAGE, REFERENCE_ROWS
from services.kernel.wire.rows import Page, Row, Span


class Item(msgspec.Struct, omit_defaults=True):
    """One message in the cursor forms. `at` is the receive time in Unix ms, `timestamp` in seconds.

    `text` is null for kinds other than text; `env`, `sig`, `pk` come with `full=1`.
    """

    id: str
    seq: int
    peer_id: str
    name: str | None
    text: str | None
    kind: str
    timestamp: int
    at: int
    verified: bool
    env: str | None = None
    sig: str | None = None
    pk: str | None = None


class ResetInfo(msgspec.Struct):
    """Why a cursor could not be used, and where the log stands."""

    reason: str
    floor: int
    head: int
    log_id: str


class HistoryPage(msgspec.Struct, omit_defaults=True):
    """Answer to the cursor forms; `next` continues in the same direction."""

    log_id: str
    items: list[Item]
    next: str
    head: int
    more: bool
    floor: int
    reset: ResetInfo | None = None


class ReferenceItem(msgspec.Struct):
    """One message in the reference form."""

    peer_id: str
    text: str
    timestamp: int
    id: str
    seq: int
    at: int


async def history(request: Request) -> Response:
    """`GET /history`."""
    node: Node = request.app.state.node
    room = parse_room(required(request, "room"))
    since, after, before = one(request, "since"), one(request, "after"), one(request, "before")
    if sum(part is not None for part in (since, after, before)) > 1:
        raise Fault(ErrorCode.BAD_REQUEST, "since, after and before exclude each other")
    if after is not None or before is not None:
        return await _by_cursor(request, node, room, after, before)
    second = parse_count(since, "since") if since is not None else 0
    return await _since(node, room, second)


async def _by_cursor(
    request: Request, node: Node, room: RoomId, after: str | None, before: str | None
) -> Response:
    text = one(request, "limit")
    limit = parse_count(text, "limit") if text is not None else HISTORY_DEFAULT
    if not limit >= 1:
        raise Fault(ErrorCode.BAD_REQUEST, "limit is at least 1")
    limit, full = min(limit, HISTORY_PAGE), one(request, "full") == "1"
    cursor = Cursor.parse(after or before or "") if after or before else None
    if after is not None:
        page = await node.storage.after(room, cursor, limit)
        last = page.rows[-1].seq if page.rows else (cursor.seq if cursor else page.floor)
        more = last < page.head
    else:
        page = await node.storage.before(room, cursor, limit)
        last = Seq(page.rows[-1].seq - 1) if page.rows else page.floor
        more = last > page.floor
    return Json(_page(page, last, more, full))


def _page(page: Page, last: Seq, more: bool, full: bool) -> HistoryPage:
    if page.reset is not None:
        info = ResetInfo(page.reset, page.floor, page.head, page.log_id)
        place = str(Cursor(page.log_id, page.head))
        return HistoryPage(page.log_id, [], place, page.head, False, page.floor, info)
    items = [_item(row, full) for row in page.rows]
    return HistoryPage(page.log_id, items, str(Cursor(page.log_id, last)), page.head, more, page.floor)


def _item(row: Row, full: bool) -> Item:
    body = envelope.parse(row.env).text_body() if row.kind == "text" else None
    item = Item(
        id=row.id,
        seq=row.seq,
        peer_id=row.sender,
        name=body.name if body else None,
        text=body.text if body else None,
        kind=row.kind,
        timestamp=row.at // 1000,
        at=row.at,
        verified=not row.sender.startswith(GUEST_PREFIX),
    )
    if full:
        item.env, item.sig, item.pk = row.env, row.sig, row.pk
    return item


async def _since(node: Node, room: RoomId, second: int) -> Response:
    """The reference's array: rows strictly newer than the second, at most 10,000, never cut inside a second.

    Seconds cannot tell messages of one second apart; `after` can.
    """
    span = await node.storage.since(room, second, REFERENCE_ROWS)
    headers = {}
    if span.next_since is not None:
        headers["Link"] = f'</history?room={quote(room, safe="")}&since={span.next_since}>; rel="next"'
    if span.upto - span.after <= HISTORY_PAGE:
        chunks = [chunk async for chunk in _array(node, room, span)]
        return Response(b"".join(chunks), media_type="application/json", headers=headers)
    return StreamingResponse(_array(node, room, span), media_type="application/json", headers=headers)


async def _array(node: Node, room: RoomId, span: Span) -> AsyncIterator[bytes]:
    """The JSON array of a span, page by page so that memory stays flat."""
    place, lead = Cursor(span.log_id, span.after), b"["
    while place.seq < span.upto:
        page = await node.storage.after(room, place, HISTORY_PAGE)
        if page.reset is not None or not page.rows:
            raise Fault(ErrorCode.UNAVAILABLE, "the log changed while it was read", retry=1)
        for row in page.rows:
            if row.seq <= span.upto and row.kind == "text":
                yield lead + msgspec.json.encode(_reference(row))
                lead = b","
        place = Cursor(span.log_id, page.rows[-1].seq)
    yield b"[]" if lead == b"[" else b"]"


def _reference(row: Row) -> ReferenceItem:
    body = envelope.parse(row.env).text_body()
    return ReferenceItem(reference_name(row.sender), body.text, row.at // 1000, row.id, row.seq, row.at)
