"""How tests say which refusal they expect."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.kernel.model.errors import ErrorCode, Fault


@contextmanager
def refused(code: ErrorCode, saying: str = "") -> Iterator[None]:
    """The block ends with a Fault of this code whose detail has these words."""
    with pytest.raises(Fault) as found:
        yield
    assert (found.value.code, saying in found.value.detail) == (code, True), str(found.value)
