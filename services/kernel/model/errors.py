"""Faults: what a service refuses, in one vocabulary for HTTP, sockets and logs."""

from enum import IntEnum, StrEnum


class ErrorCode(StrEnum):
    """Why something was refused; the value travels as `code`."""

    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    CLOCK = "clock"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.TIMEOUT: 408,
    ErrorCode.CONFLICT: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.CLOCK: 422,
    ErrorCode.TOO_MANY: 429,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.INTERNAL: 500,
}


class CloseCode(IntEnum):
    """Why a socket was closed; RFC 6455 section 7.4 and our own 4xxx."""

    GOING_AWAY = 1001
    PROTOCOL = 1002
    POLICY = 1008
    TOO_LARGE = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    REPLACED = 4001
    HELLO_LATE = 4002
    LABEL_IN_USE = 4003
    SLOW = 4008
    JOIN_STALE = 4401


COME_BACK: frozenset[int] = frozenset({1001, 1006, 1012, 1013, 4002, 4008, 4401})
"""Close codes after which a client dials again; after the others it does not."""


class Fault(Exception):
    """A refusal that the other side is told: code, a sentence, and seconds until a retry makes sense.

    `retry` is None when the same request will never be accepted.
    """

    def __init__(self, code: ErrorCode, detail: str, retry: float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry = retry

    @property
    def status(self) -> int:
        """The HTTP status that stands for this fault."""
        return HTTP_STATUS[self.code]


def unavailable(detail: str) -> Fault:
    """Something behind this service is away for the moment: come back in a second."""
    return Fault(ErrorCode.UNAVAILABLE, detail, retry=1)
