"""Which stretch of a room's log is held: sorted spans of sequence numbers, so that holes can be seen. Pure.

Twin of web/js/coverage.js, held to it by tests/vectors/coverage.
"""

from collections.abc import Sequence

import msgspec


class Span(msgspec.Struct, frozen=True, rename={"after": "from", "to": "to"}):
    """Everything after `after` up to and including `to`; a span where both are one marks a place only."""

    after: int
    to: int


def cover(spans: tuple[Span, ...], after: int, to: int) -> tuple[Span, ...]:
    """The spans with one more stretch held; touching spans grow together."""
    if to < after:
        return spans
    touching = [span for span in spans if span.to >= after and span.after <= to]
    apart = [span for span in spans if span.to < after or span.after > to]
    low = min([after, *(span.after for span in touching)])
    high = max([to, *(span.to for span in touching)])
    return tuple(sorted((*apart, Span(low, high)), key=lambda span: span.after))


def first_gap(spans: Sequence[Span]) -> Span | None:
    """The oldest hole between two held stretches, or None."""
    return Span(spans[0].to, spans[1].after) if len(spans) > 1 else None


def resume_after(spans: Sequence[Span]) -> int | None:
    """Everything above this number may be missing; None while nothing is known."""
    return spans[0].to if spans else None


def read_from(spans: Sequence[Span]) -> int | None:
    """Everything at or below this number has not been read; None while nothing is known."""
    return spans[0].after if spans else None
