"""The opening handshake of a socket: headers that stand once, the guest of a query string, answers that are not 101."""

import secrets
from http import HTTPStatus
from urllib.parse import parse_qs

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import SessionId, guest, parse_label, parse_room
from services.kernel.model.member import Member

SUBPROTOCOL = Subprotocol("egoat.1")
VERSION = "13"


def one_header(request: Request, name: str) -> str | None:
    """The header's value, None when it is not there; raises Fault(BAD_REQUEST) when it stands twice."""
    found = request.headers.get_all(name)
    if len(found) > 1:
        raise Fault(ErrorCode.BAD_REQUEST, f"{name} stands more than once")
    return found[0] if found else None


def reference_member(path: str) -> Member:
    """The guest that a reference client's query string names; raises Fault."""
    query = parse_qs(path.partition("?")[2], keep_blank_values=True)
    rooms, labels = query.get("room", []), query.get("peer_id", [])
    if len(rooms) != 1 or len(labels) != 1:
        raise Fault(ErrorCode.BAD_REQUEST, "a client without egoat.1 gives ?room= and &peer_id=, once each")
    label = parse_label(labels[0])
    return Member(parse_room(rooms[0]), guest(label), SessionId(secrets.token_hex(8)), label)


def another_version(connection: ServerConnection) -> Response:
    """The answer that names the version of WebSocket that is spoken here (RFC 6455 section 4.4)."""
    response = refusal(connection, Fault(ErrorCode.BAD_REQUEST, f"WebSocket has version {VERSION} here"))
    response.status_code, response.reason_phrase = 426, "Upgrade Required"
    response.headers["Sec-WebSocket-Version"] = VERSION
    return response


class _Refusal(msgspec.Struct):
    code: str
    detail: str
    retry: float | None


def refusal(connection: ServerConnection, fault: Fault) -> Response:
    """A handshake answer that is not 101, as JSON."""
    body = msgspec.json.encode(_Refusal(fault.code, fault.detail, fault.retry)).decode()
    response = connection.respond(HTTPStatus(fault.status), body)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
