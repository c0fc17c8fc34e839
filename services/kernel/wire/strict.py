"""JSON as this protocol takes it: one object, no doubled key, bounded depth and key count, real Unicode.

msgspec decodes fast but accepts doubled keys and any depth it can recurse into; what is stored and
signed must mean the same to every reader, so text from outside passes here first (docs/security.md S14).
"""

import json
import re

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.wire.limits import JSON_DEPTH, JSON_KEYS

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89abAB]|\\u[dD][c-fC-F]")


def _bad(detail: str) -> Fault:
    return Fault(ErrorCode.BAD_REQUEST, detail)


def _refuse_constant(name: str) -> object:
    raise _bad(f"{name} is not JSON")


class _Pairs:
    """Counts keys over a whole text and refuses doubled ones."""

    def __init__(self, most: int) -> None:
        self.keys, self._most = 0, most

    def __call__(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        self.keys += len(pairs)
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _bad("a key stands twice in one object")
        if self.keys > self._most:
            raise _bad(f"more than {self._most} keys")
        return found


def text_of(raw: bytes) -> str:
    """The UTF-8 text of these bytes; raises Fault(BAD_REQUEST)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("not UTF-8") from None


def check(text: str, keys: int = JSON_KEYS) -> None:
    """Raises Fault(BAD_REQUEST) unless the text is one JSON object within the limits; `keys` over the whole text."""
    try:
        found = json.loads(text, object_pairs_hook=_Pairs(keys), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _bad("not JSON") from None
    if not isinstance(found, dict):
        raise _bad("not a JSON object")
    _check_depth(text)  # after the parser: the time it takes is only bounded on text whose strings end
    if _SURROGATE.search(text):
        _check_surrogates(found)


def _check_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= JSON_DEPTH:
        return
    depth = 0
    for char in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if char in "[{" else -1
        if depth > JSON_DEPTH:
            raise _bad(f"nested deeper than {JSON_DEPTH}")


def _check_surrogates(found: dict[str, object]) -> None:
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _bad("half a surrogate pair is not text") from None
