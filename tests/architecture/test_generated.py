"""What is generated is up to date, and what is documented is complete."""

import typing

import msgspec
import pytest

from egoat import protocol
from services.gateway.settings import Gateway
from services.kernel.run.settings import Limits, Public, Shared, TurnServers, variable
from services.signaling.settings import Signaling
from services.storage.settings import Storage
from services.transport.settings import Transport

SECTIONS = [
    (Shared, "NODE_"),
    (Public, "NODE_"),
    (Limits, "LIMIT_"),
    (TurnServers, "TURN_"),
    (Gateway, "GATEWAY_"),
    (Signaling, "SIGNALING_"),
    (Storage, "STORAGE_"),
    (Transport, "TRANSPORT_"),
]


def variables() -> list[str]:
    """Every variable that a service reads."""
    found = []
    for kind, prefix in SECTIONS:
        hints = typing.get_type_hints(kind, include_extras=True)
        found += [variable(hints[field.name], field.name, prefix) for field in msgspec.structs.fields(kind)]
    return found


@pytest.mark.parametrize("path", protocol.generated(), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path: protocol.Path) -> None:
    assert path.read_text("utf-8") == protocol.generated()[path], "run `make protocol`"


@pytest.mark.parametrize("name", variables())
def test_every_setting_is_in_the_operations_page(name: str) -> None:
    assert f"`{name}`" in (protocol.ROOT / "docs" / "operations.md").read_text("utf-8")
