"""Structured logs: `noun.verb` events with bound fields, JSON unless a person watches; never bodies or secrets."""

import contextlib
import io
import logging
import sys
from typing import TextIO, cast

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Output(io.TextIOBase):
    """Standard output while it takes something: a full disk or a closed pipe must not end a service."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stdout.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()


def set_up(service: str, level: str) -> None:
    """Sends the process's events, and the warnings of its libraries, to standard output."""
    human = sys.stdout.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=0) if human else structlog.processors.JSONRenderer()
    )
    tracebacks = [] if human else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *tracebacks, last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Output())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_unwrap, *tracebacks, last])
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _unwrap(
    logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, name, event)


def short(peer: str) -> str:
    """A peer's id as logs may show it: the first six characters."""
    return peer[:6] + "…" if len(peer) > 6 else peer
