"""Frames to bytes and back; what came from outside passes `strict.check` first."""

import msgspec

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.wire import strict
from services.kernel.wire.frames import Down, FaultFrame, Message, Up
from services.kernel.wire.rows import Row

_up: msgspec.json.Decoder[Up] = msgspec.json.Decoder(Up)
_encoder = msgspec.json.Encoder()


def decode_up(text: str) -> Up:
    """The frame a client sent; raises Fault(BAD_REQUEST)."""
    strict.check(text)
    try:
        return _up.decode(text)
    except msgspec.DecodeError as problem:
        raise Fault(ErrorCode.BAD_REQUEST, str(problem)) from None


def encode(frame: Down) -> bytes:
    """The JSON of a frame."""
    return _encoder.encode(frame)


def message(row: Row) -> Message:
    """A row as its readers get it; `env` keeps the bytes of its author."""
    return Message(row.seq, row.at, row.env, row.sig, row.pk)


def fault_frame(fault: Fault, message_id: str | None = None, now_ms: int | None = None) -> FaultFrame:
    """A refusal as a frame; `now` goes along with code `clock` only."""
    now = now_ms if fault.code is ErrorCode.CLOCK else None
    return FaultFrame(fault.code, fault.detail, fault.retry, message_id, now)
