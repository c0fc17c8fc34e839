"""uvicorn's HTTP protocol with the limits it lacks: request line, headers and a deadline for both (S14).

ASGI is called after the headers are complete, too late for these.
"""

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LINE_BYTES = 4 * 1024
_HEAD_BYTES = 8 * 1024
_HEAD_S = 5.0
_LINGER_S = 2.0  # what still comes after a refusal is dropped, so that its answer is not lost to a reset
_BODY_S = 15.0  # the application refuses after ten; the rest is read and dropped, so that its answer arrives

_ANSWERS = {
    400: ("Bad Request", "bad_request", "not a valid HTTP request"),
    408: ("Request Timeout", "timeout", "the headers took longer than 5 s"),
    414: ("URI Too Long", "bad_request", "the request line is longer than 4 KiB"),
    431: ("Request Header Fields Too Large", "bad_request", "the headers are larger than 8 KiB"),
}


class _Body(msgspec.Struct):
    code: str
    detail: str
    retry: float | None = None


def answer(status: int, reason: str, code: str, detail: str, retry: float | None = None) -> bytes:
    """A whole HTTP/1.1 answer that closes its connection, for where no application runs."""
    body = msgspec.json.encode(_Body(code, detail, retry))
    again = f"retry-after: {int(retry)}\r\n" if retry is not None else ""
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{again}connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


class _Refused(Exception):
    """Raised inside a parser callback; the parser turns it into a parse error."""


class LimitedHttp(HttpToolsProtocol):
    """One HTTP connection whose requests must have arrived, headers whole, within 5 s and 8 KiB."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._status = 400
        self._in_head = True
        self._refused = False
        self._unparsed = 0
        self._header_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()  # line ends before a request count as its beginning
        if self._in_head:
            self._unparsed += len(data)
        super().data_received(data)
        if self._in_head and self._unparsed > _LINE_BYTES + _HEAD_BYTES and not self._refused:
            self._refuse(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > _LINE_BYTES:
            self._status = 414
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > _HEAD_BYTES:
            self._status = 431
            raise _Refused

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        if not self.parser.should_upgrade():
            self._deadline = asyncio.get_running_loop().call_later(_BODY_S, self.transport.close)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this for every parse error."""
        self._refuse(self._status)

    def _refuse(self, status: int) -> None:
        self._disarm()
        self._refused = True
        self.transport.write(answer(status, *_ANSWERS[status]))
        self._deadline = asyncio.get_running_loop().call_later(_LINGER_S, self.transport.close)

    def _await_head(self) -> None:
        self._in_head, self._unparsed, self._header_bytes = True, 0, 0
        self._disarm()
        self._deadline = asyncio.get_running_loop().call_later(_HEAD_S, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        if not self.transport.is_closing():
            self._refuse(408)
