"""Sizes, counts and times that clients and every service agree on (docs/security.md S14, S15, S16)."""

from typing import Final

FRAME_BYTES: Final = 64 * 1024
TEXT_BYTES: Final = 16_384
BODY_BYTES: Final = 64 * 1024
NAME_CHARS: Final = 64
JSON_DEPTH: Final = 16
JSON_KEYS: Final = 256
HISTORY_PAGE: Final = 200
HISTORY_DEFAULT: Final = 100
REFERENCE_ROWS: Final = 10_000
POLL_WAIT_S: Final = 20
POLL_FRAMES: Final = 200
HINT_ROWS_BYTES: Final = 16 * 1024
HELLO_S: Final = 5.0
LEASE_S: Final = 15.0
LEASE_RENEW_S: Final = 5.0
LEAVE_GRACE_S: Final = 10.0
SWEEP_S: Final = 0.5
QUEUE_MESSAGES: Final = 256
QUEUE_BYTES: Final = 1024 * 1024
STUCK_S: Final = 10.0
RECEIPTS_S: Final = 1.0
MAIL_COUNT: Final = 64
MAIL_S: Final = 30
