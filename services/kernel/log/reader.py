"""Pure: hints and pages of one room in, contiguous rows or the wish to read out (docs/architecture.md)."""

from collections.abc import Sequence

import msgspec

from services.kernel.model.ids import Cursor, LogId, Seq
from services.kernel.wire.rows import Hint, Page, Row


class Place(msgspec.Struct, frozen=True):
    """How far one reader of one room has come: everything up to `last` was given out."""

    log_id: LogId
    last: Seq

    @property
    def cursor(self) -> Cursor:
        """The place as a cursor."""
        return Cursor(self.log_id, self.last)


class Step(msgspec.Struct, frozen=True):
    """What follows from one hint or page: the new place, rows to give out in order, whether to read on.

    `reset` names why the log was changed under the reader; then `rows` is empty and `place` is the
    head of the new log.
    """

    place: Place
    rows: Sequence[Row] = ()
    read: bool = False
    reset: str | None = None


def on_hint(place: Place, hint: Hint | None) -> Step:
    """A hint came; None stands for one that cannot be believed, or for a gap in the subscription."""
    if hint is None or hint.log_id != place.log_id:
        return Step(place, read=True)
    if hint.seq <= place.last:
        return Step(place)
    if hint.prev > place.last or hint.rows is None:
        return Step(place, read=True)
    return _take(place, hint.rows, hint.seq)


def on_page(place: Place, page: Page) -> Step:
    """A page read after some earlier place of this reader came."""
    if page.reset == "below_floor" and page.log_id == place.log_id and place.last >= page.floor:
        return Step(place, read=place.last < page.head)  # the page is older than the place
    if page.reset is not None:
        return Step(Place(page.log_id, page.head), reset=page.reset)
    return _take(place, page.rows, page.head)


def _take(place: Place, rows: Sequence[Row], head: Seq) -> Step:
    """Gives out the rows that continue the place; reads on when they end before the head."""
    out: list[Row] = []
    last = place.last
    for row in rows:
        if row.seq == last + 1:
            out.append(row)
            last = row.seq
        elif row.seq > last:
            break
    return Step(Place(place.log_id, last), out, read=last < head)
