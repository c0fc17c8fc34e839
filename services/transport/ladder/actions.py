"""What a ladder tells its driver."""

import msgspec


class Dial(msgspec.Struct, frozen=True, tag="dial"):
    """Open a link on this rung; answered by one `Opened` or one `Failed`."""

    rung: str


class HangUp(msgspec.Struct, frozen=True, tag="hang_up"):
    """End this rung's dial or link, whichever there is; no event about it follows."""

    rung: str


class Use(msgspec.Struct, frozen=True, tag="use"):
    """Send on this rung from now on, or on none."""

    rung: str | None


Action = Dial | HangUp | Use
