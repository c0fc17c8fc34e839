"""Settings: every bad variable named at once, secrets from files only."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from services.kernel.run.settings import (
    Limits,
    Port,
    Public,
    Shared,
    StartError,
    load,
    load_sections,
    read_secret,
    variable,
)


class Sample(msgspec.Struct, frozen=True):
    """One field of each sort."""

    port: Port
    host: str
    ratio: Annotated[float, Meta(ge=0, le=1)] = 0.5
    names: tuple[str, ...] = ("a",)
    level: Annotated[str, Meta(extra={"env": "LOG_LEVEL"}, pattern="^(debug|info)$")] = "info"


GOOD = {"X_PORT": "80", "X_HOST": "localhost"}


def test_what_is_set_is_read_and_the_rest_has_its_default() -> None:
    assert load(Sample, "X_", GOOD) == Sample(80, "localhost")
    more = {"X_RATIO": "0.25", "X_NAMES": " b, c ,,", "LOG_LEVEL": "debug", "OTHER": "x", "PORT": "1"}
    assert load(Sample, "X_", GOOD | more) == Sample(80, "localhost", 0.25, ("b", "c"), "debug")
    assert load(Sample, "X_", GOOD | {"X_NAMES": "", "X_HOST": ""}) == Sample(80, "", names=())


def test_every_bad_variable_is_named_at_once() -> None:
    bad = {"X_PORT": "http", "X_RATIO": "2", "LOG_LEVEL": "loud"}
    with pytest.raises(StartError) as found:
        load(Sample, "X_", bad)
    told = str(found.value)
    for word in ("X_PORT='http'", "X_HOST is not set", "X_RATIO='2'", "LOG_LEVEL='loud'"):
        assert word in told
    assert "X_NAMES" not in told
    assert "\n" not in told


@pytest.mark.parametrize("port", ["", "-1", "65536", "8o", "1_0", "١٢", " 80", "80.5", "9" * 5_000])
def test_what_is_no_port(port: str) -> None:
    with pytest.raises(StartError, match=r"^X_PORT="):
        load(Sample, "X_", GOOD | {"X_PORT": port})


@pytest.mark.parametrize("ratio", ["nan", "inf", "-0.1", "1.1", "x", ""])
def test_what_is_out_of_bounds(ratio: str) -> None:
    with pytest.raises(StartError, match=r"^X_RATIO="):
        load(Sample, "X_", GOOD | {"X_RATIO": ratio})


class Both(msgspec.Struct, frozen=True):
    """Two sections."""

    first: Sample
    limits: Limits


def test_sections_are_read_with_their_own_prefix_and_fail_as_one() -> None:
    found = load_sections(Both, {"first": "X_", "limits": "LIMIT_"}, GOOD | {"LIMIT_PEERS": "0"})
    assert found == Both(Sample(80, "localhost"), Limits(100, 0))
    with pytest.raises(StartError) as refusal:
        load_sections(Both, {"first": "X_", "limits": "LIMIT_"}, {"X_HOST": "h", "LIMIT_SOCKETS": "-1"})
    assert str(refusal.value).startswith("wrong settings: ")
    for word in ("X_PORT is not set", "LIMIT_SOCKETS='-1'"):
        assert word in str(refusal.value)


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in GOOD.items():
        monkeypatch.setenv(name, text)
    assert load(Sample, "X_") == Sample(80, "localhost")


SHARED = {"NODE_SECRET_FILE": "/s", "REDIS_URL": "redis://r"}
PUBLIC = {"STORAGE_ADDRESS": "127.0.0.1:7000"}


def test_what_every_service_is_told() -> None:
    assert load(Shared, "NODE_", SHARED) == Shared("/s", "redis://r", "info")
    assert load(Public, "NODE_", PUBLIC) == Public("127.0.0.1:7000")
    told = {"NODE_HTTP_PORT": "80", "NODE_WS_PORT": "81", "NODE_PUBLIC_BASE": "https://chat.example"}
    told |= {"NODE_ALLOWED_ORIGINS": "http://a,http://b", "NODE_TRUSTED_PROXIES": "10.0.0.0/8"}
    assert load(Public, "NODE_", PUBLIC | told) == Public(
        "127.0.0.1:7000", 80, 81, "https://chat.example", ("http://a", "http://b"), ("10.0.0.0/8",)
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("NODE_PUBLIC_BASE", "chat.example"),
        ("NODE_PUBLIC_BASE", "https://chat.example/path"),
        ("NODE_PUBLIC_BASE", "ftp://chat.example"),
        ("NODE_PUBLIC_BASE", "https://chat example"),
        ("STORAGE_ADDRESS", "localhost"),
        ("STORAGE_ADDRESS", ":7000"),
        ("NODE_HTTP_PORT", "x"),
    ],
)
def test_what_a_public_service_is_not_told(name: str, text: str) -> None:
    with pytest.raises(StartError, match=f"^{name}="):
        load(Public, "NODE_", PUBLIC | {name: text})


@pytest.mark.parametrize("text", ["loud", "10.0.0.0/33", "10.0.0.0/8, ::x"])
def test_proxies_are_networks(text: str) -> None:
    with pytest.raises(StartError, match=r"^NODE_TRUSTED_PROXIES: "):
        load(Public, "NODE_", PUBLIC | {"NODE_TRUSTED_PROXIES": text})


def test_strategies_are_known_ones() -> None:
    assert load(Public, "NODE_", PUBLIC | {"NODE_STRATEGIES": "http-only,auto"}).strategies == (
        "http-only",
        "auto",
    )
    with pytest.raises(StartError, match=r"^NODE_STRATEGIES: .*telepathy"):
        load(Public, "NODE_", PUBLIC | {"NODE_STRATEGIES": "auto,telepathy"})


def test_the_variable_of_a_field() -> None:
    assert variable(int, "port", "GATEWAY_") == "GATEWAY_PORT"
    assert variable(Annotated[int, Meta(ge=0)], "port", "GATEWAY_") == "GATEWAY_PORT"
    assert variable(Annotated[int, "note", Meta(extra={"env": "PORT"})], "port", "GATEWAY_") == "PORT"


def test_a_secret_is_64_hex_digits_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "node.secret"
    file.write_text("0123456789abcdef" * 4 + "\n")
    assert read_secret(str(file)) == bytes.fromhex("0123456789abcdef" * 4)
    for text in ("", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "0" * 32 + "\n" + "0" * 32):
        file.write_text(text)
        with pytest.raises(StartError, match="64 hex digits"):
            read_secret(str(file))


def test_a_secret_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot be read"):
        read_secret(str(tmp_path / "none"))
    (tmp_path / "binary").write_bytes(b"\xff" * 64)
    with pytest.raises(StartError, match="cannot be read"):
        read_secret(str(tmp_path / "binary"))


def test_a_refusal_does_not_tell_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "node.secret"
    file.write_text("s3cret" * 11)
    with pytest.raises(StartError) as found:
        read_secret(str(file))
    assert "s3cret" not in str(found.value)
