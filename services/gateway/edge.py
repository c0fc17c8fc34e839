"""What every HTTP answer has: request id, security headers, CORS, JSON errors, a log line; and body limits."""

import asyncio
import math
import re
import secrets
import time
from typing import TypeVar

import msgspec
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel.model.errors import HTTP_STATUS, ErrorCode, Fault
from services.kernel.run.origin import Door
from services.kernel.wire import strict
from services.kernel.wire.limits import BODY_BYTES, JSON_KEYS

_BODY_S = 10.0
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")
_QUIET = frozenset({"/healthz", "/readyz"})
_CODES = {status: code for code, status in HTTP_STATUS.items()}

B = TypeVar("B")

log = structlog.get_logger()
_json = msgspec.json.Encoder()


class Json(Response):
    """A JSON answer made by msgspec."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return _json.encode(content)


class _Error(msgspec.Struct):
    code: str
    detail: str
    retry: float | None


def refusal(fault: Fault, now_ms: int | None = None) -> Response:
    """A fault as an answer; the node's time goes along with code `clock`."""
    body: object = _Error(fault.code, fault.detail, fault.retry)
    if fault.code is ErrorCode.CLOCK and now_ms is not None:
        body = {"code": fault.code, "detail": fault.detail, "retry": fault.retry, "now": now_ms}
    headers = {} if fault.retry is None else {"Retry-After": str(max(1, math.ceil(fault.retry)))}
    return Json(body, fault.status, headers)


async def on_fault(request: Request, problem: Exception) -> Response:
    """Starlette's handler for Fault."""
    assert isinstance(problem, Fault)
    clock = request.app.state.clock
    return refusal(problem, clock.wall_ms())


async def on_http_exception(request: Request, problem: Exception) -> Response:
    """Starlette's handler for its own 404 and 405."""
    assert isinstance(problem, HTTPException)
    code = _CODES.get(problem.status_code, ErrorCode.BAD_REQUEST)
    return Json(_Error(code, problem.detail, None), problem.status_code, dict(problem.headers or {}))


class Edge:
    """The outermost ASGI layer. `door` says which origins may use the API."""

    def __init__(self, app: ASGIApp, door: Door, ws_port: int) -> None:
        self._app, self._door, self._ws_port = app, door, ws_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        request_id = secrets.token_hex(8)
        started, status = time.perf_counter(), 500
        extra = self._headers(scope, headers, request_id)

        async def send_with(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                found = MutableHeaders(scope=message)
                for name, value in extra.items():
                    found.setdefault(name, value)
            await send(message)

        structlog.contextvars.bind_contextvars(request=request_id)
        try:
            early = self._judge(scope, headers)
            if early is not None:
                await early(scope, receive, send_with)
            else:
                await self._app(scope, _Limited(receive, headers).receive, send_with)
        finally:
            if scope["path"] not in _QUIET:
                took = round((time.perf_counter() - started) * 1000, 1)
                log.info(
                    "request.finished",
                    method=scope["method"],
                    path=scope["path"][:80],
                    status=status,
                    ms=took,
                )

    def _judge(self, scope: Scope, headers: Headers) -> Response | None:
        """An answer that needs no route: a bad Host, a foreign origin, a preflight."""
        host = headers.get("host", "")
        if not _HOST.fullmatch(host):
            return refusal(Fault(ErrorCode.BAD_REQUEST, "the Host header is not a host name"))
        origin = headers.get("origin")
        if origin is None:
            return None
        if not self._door.allows(origin, host):
            if scope["method"] in ("GET", "HEAD"):
                return None  # readable by anybody, but not by a page of that origin: no CORS header is sent
            return refusal(Fault(ErrorCode.FORBIDDEN, "this origin may not use the node"))
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            return Response(status_code=204)
        return None

    def _headers(self, scope: Scope, headers: Headers, request_id: str) -> dict[str, str]:
        host, origin = headers.get("host", ""), headers.get("origin")
        found = {
            "X-Request-Id": request_id,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Content-Security-Policy": self._policy(host if _HOST.fullmatch(host) else ""),
        }
        if headers.get("x-forwarded-proto") == "https":
            found["Strict-Transport-Security"] = "max-age=31536000"
        if origin is not None and self._door.allows(origin, host):
            found |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": "Content-Type, Authorization, Idempotency-Key",
                "Access-Control-Expose-Headers": "Link, Retry-After, X-Request-Id",
                "Access-Control-Max-Age": "600",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Vary": "Origin",
            }
        return found

    def _policy(self, host: str) -> str:
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        sockets = f" ws://{name}:{self._ws_port} wss://{name}:{self._ws_port}" if host else ""
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; "
            f"connect-src 'self'{sockets}; img-src 'self' blob:; media-src 'self' blob:; "
            "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types egoat"
        )


class _Limited:
    """A request's body: at most 64 KiB, whole within ten seconds."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self._left = BODY_BYTES
        self._deadline = asyncio.get_running_loop().time() + _BODY_S
        self._done = False
        self._announced = headers.get("content-length", "")

    async def receive(self) -> Message:
        if self._done:
            return await self._receive()
        if self._announced.isdigit() and int(self._announced) > BODY_BYTES:
            raise _too_large()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise Fault(ErrorCode.TIMEOUT, "the body took longer than 10 s") from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._done = not message.get("more_body", False)
            if self._left < 0:
                raise _too_large()
        return message


def _too_large() -> Fault:
    return Fault(ErrorCode.TOO_LARGE, f"a body has at most {BODY_BYTES} bytes")


async def body_of(request: Request, decoder: msgspec.json.Decoder[B], keys: int = JSON_KEYS) -> B:
    """The JSON body as a value, after `strict.check` with at most so many keys; raises Fault."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or "content-encoding" in request.headers:
        raise Fault(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "send application/json without content encoding")
    try:
        raw = await request.body()
    except ClientDisconnect:
        raise Fault(ErrorCode.BAD_REQUEST, "the body ended early") from None
    text = strict.text_of(raw)
    strict.check(text, keys)
    try:
        return decoder.decode(text)
    except msgspec.DecodeError as problem:
        raise Fault(ErrorCode.BAD_REQUEST, str(problem)) from None
