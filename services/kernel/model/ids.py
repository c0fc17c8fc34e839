"""Names and numbers of the domain, parsed once at the edge and trusted after that."""

import re
import unicodedata
from typing import NamedTuple, NewType, Self

from services.kernel.model.errors import ErrorCode, Fault

RoomId = NewType("RoomId", str)
PeerId = NewType("PeerId", str)
MessageId = NewType("MessageId", str)
SessionId = NewType("SessionId", str)
LogId = NewType("LogId", str)
Seq = NewType("Seq", int)

GUEST_PREFIX = "guest:"
RESERVED_LABELS = frozenset({"guest", "node", "system", "server", "owner", "admin", "egoat"})

_KEY_HASH = re.compile(r"[a-z2-7]{26}")
_RESERVED_ROOM = re.compile(r"[a-z2-7]{32}")
_HEX64 = re.compile(r"[0-9a-f]{16}")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CURSOR = re.compile(r"([0-9a-f]{16})\.([0-9]{1,16})")
_DIGITS = re.compile(r"[0-9]{1,16}")
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)  # letters and marks that Unicode calls Default_Ignorable: nobody sees them
_MAX_NAME = 64
_MAX_INT = 2**53


class Cursor(NamedTuple):
    """A place in one room of one log: everything with a higher seq comes after it."""

    log_id: LogId
    seq: Seq

    def __str__(self) -> str:
        return f"{self.log_id}.{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The cursor that `<log_id>.<seq>` names; raises Fault(BAD_REQUEST) on any other text."""
        found = _CURSOR.fullmatch(text)
        if not found or int(found[2]) > _MAX_INT:
            raise _bad("a cursor is <log_id>.<seq>")
        return cls(LogId(found[1]), Seq(int(found[2])))


def _bad(detail: str) -> Fault:
    return Fault(ErrorCode.BAD_REQUEST, detail)


def _plain_name(text: str, what: str, *, spaces: bool) -> str:
    """Letters and digits of any script plus `_ - .`, NFC, 1–64 characters (docs/security.md S14)."""
    if not 1 <= len(text) <= _MAX_NAME:
        raise _bad(f"a {what} has 1 to {_MAX_NAME} characters")
    if not all(_name_char(char, spaces) for char in text):
        raise _bad(f"a {what} has letters, digits, _ - ." + (" and single spaces" if spaces else ""))
    if unicodedata.normalize("NFC", text) != text:
        raise _bad(f"a {what} must be in Unicode form NFC")
    if spaces and (text != text.strip(" ") or "  " in text):
        raise _bad(f"a {what} has single spaces, none at its ends")
    return text


def _name_char(char: str, spaces: bool) -> bool:
    if char in "_-." or (spaces and char == " "):
        return True
    return unicodedata.category(char)[0] in "LMN" and not _INVISIBLE.fullmatch(char)


def parse_room(text: str) -> RoomId:
    """A room's name; raises Fault: 400 for bad characters, 403 for the form reserved for encrypted rooms."""
    name = _plain_name(text, "room name", spaces=False)
    if name in {".", ".."}:
        raise _bad("a room name is not . or ..")
    if _RESERVED_ROOM.fullmatch(name):
        raise Fault(ErrorCode.FORBIDDEN, "room names of this form are reserved for encrypted rooms")
    return RoomId(name)


def parse_name(text: str) -> str:
    """A shown name; raises Fault(BAD_REQUEST) where it breaks the label rule."""
    return _plain_name(text, "name", spaces=True)


def parse_label(text: str) -> str:
    """A guest's label: a name that is neither reserved nor looks like a key's hash (docs/security.md S6a)."""
    label = parse_name(text)
    folded = fold(label)
    if folded in RESERVED_LABELS or looks_like_key(folded):
        raise Fault(ErrorCode.FORBIDDEN, "this name is reserved")
    return label


def fold(name: str) -> str:
    """The form in which two names that look alike are equal (NFKC, case-folded)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def looks_like_key(peer: str) -> bool:
    """Whether the text has the form of a verified peer's id."""
    return _KEY_HASH.fullmatch(peer) is not None


def guest(label: str) -> PeerId:
    """The id under which a guest's messages are stored."""
    return PeerId(GUEST_PREFIX + label)


def reference_name(peer: str) -> str:
    """A peer's id as reference clients see it: guests without their prefix."""
    return peer.removeprefix(GUEST_PREFIX)


def parse_message_id(text: str) -> MessageId:
    """A message's id, `[A-Za-z0-9_-]{1,64}`; raises Fault(BAD_REQUEST)."""
    if not _MESSAGE_ID.fullmatch(text):
        raise _bad("an id has 1 to 64 of A-Z a-z 0-9 _ -")
    return MessageId(text)


def parse_session(text: str) -> SessionId:
    """A session: 64 random bits as 16 lower-case hex digits; raises Fault(BAD_REQUEST)."""
    if not _HEX64.fullmatch(text):
        raise _bad("a session is 16 hex digits")
    return SessionId(text)


def parse_log_id(text: str) -> LogId:
    """A log's id: 64 random bits as 16 lower-case hex digits; raises Fault(BAD_REQUEST)."""
    if not _HEX64.fullmatch(text):
        raise _bad("a log_id is 16 hex digits")
    return LogId(text)


def parse_count(text: str, what: str) -> int:
    """A non-negative integer in ASCII digits, at most 2**53; raises Fault(BAD_REQUEST)."""
    if not _DIGITS.fullmatch(text) or int(text) > _MAX_INT:
        raise _bad(f"{what} is a whole number from 0 to 2^53")
    return int(text)
