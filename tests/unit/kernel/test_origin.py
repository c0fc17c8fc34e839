"""Which origins may come in and which address counts (S6, S15)."""

import pytest

from services.kernel.run.origin import Door, Tags, signed_for
from services.kernel.run.settings import Public


def door(**public: object) -> Door:
    """The door of a node on 8080 and 9000."""
    return Door.of(Public(**{"storage_address": "127.0.0.1:7000"} | public))


DOOR = door()


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8080", "localhost:8080"),
        ("http://localhost:8080", "localhost:9000"),
        ("http://localhost:9000", "localhost:8080"),
        ("http://192.168.1.7:8080", "192.168.1.7:9000"),
        ("http://[::1]:8080", "[::1]:9000"),
        ("http://[2001:db8::1]:9000", "[2001:db8::1]:8080"),
        ("https://chat.example", "chat.example"),
        ("http://chat.example", "chat.example"),
        ("https://chat.example:8443", "chat.example:8443"),
        ("http://chat.example:8080", "Chat.Example:8080"),
    ],
)
def test_a_page_of_this_node_is_allowed(origin: str, host: str) -> None:
    assert DOOR.allows(origin, host)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "*",
        "http://evil.example",
        "http://evil.example:8080",
        "http://evil.example.ok.example:8080",
        "http://ok.example.evil.example:8080",
        "http://ok.example.:8080",
        "http://notok.example:8080",
        "http://ok.example:81",
        "http://ok.example",
        "https://ok.example",
        "ok.example:8080",
        "//ok.example:8080",
        "http:ok.example:8080",
        "file://ok.example",
        "ftp://ok.example:8080",
        "ws://ok.example:8080",
        "chrome-extension://ok.example:8080",
        "http://ok.example:8080/",
        "http://ok.example:8080/path",
        "http://ok.example:8080?query",
        "http://ok.example:8080#part",
        "HTTP://ok.example:8080",
        " http://ok.example:8080",
        "http://ok.example:8080 http://evil.example",
        "http://ok.example:80800",
        "http://ok.example:8080x",
        "http://ok.example:-8080",
        "http://:8080",
        "http://",
        "http://[",
        "http://[::1",
        "http://[ok.example]:8080",
        "http://ok\u2100.example:8080",
    ],
)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert not DOOR.allows(origin, "ok.example:8080")


@pytest.mark.parametrize(
    "host", ["", "[", "[::1", "ok.example:x", "evil.example:8080", "@", "ok.example@evil:8080", "\u2100"]
)
def test_a_malformed_host_opens_nothing(host: str) -> None:
    for origin in ("http://other.example:8080", "null", "http://["):
        assert not DOOR.allows(origin, host)


def test_the_port_of_the_public_base_is_a_port_of_this_node() -> None:
    for base, port in (("https://chat.example", ""), ("http://chat.example:7777", ":7777")):
        scheme = base.split(":")[0]
        assert door(public_base=base).allows(f"{scheme}://10.0.0.1{port}", "10.0.0.1:8080")
        assert not DOOR.allows(f"{scheme}://10.0.0.1{port}", "10.0.0.1:8080")


def test_an_operator_may_allow_more() -> None:
    wider = door(allowed_origins=("https://app.example", "http://other:1"))
    for origin in ("https://app.example", "http://other:1"):
        assert wider.allows(origin, "ok.example:8080")
    for origin in ("https://app.example:444", "http://app.example", "https://APP.example", "http://other:2"):
        assert not wider.allows(origin, "ok.example:8080")


def test_a_door_has_proxies_that_are_networks() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        door(trusted_proxies=("nonsense",))
    assert door(trusted_proxies=("10.1.2.3/8",)).address("10.9.9.9", "1.1.1.1") == "1.1.1.1"


@pytest.mark.parametrize("claimed", [None, "", "6.6.6.6", "127.0.0.1", "6.6.6.6, 127.0.0.1", "::1"])
def test_nobody_chooses_an_address_by_a_header(claimed: str | None) -> None:
    assert DOOR.address("203.0.113.9", claimed) == "203.0.113.9"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.0.0.2, 127.0.0.1", "203.0.113.9"),
        (" 203.0.113.9 ,, ", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:DB8::9]", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("garbage, 203.0.113.9", "203.0.113.9"),
    ],
)
def test_behind_a_proxy_the_first_untrusted_hop_counts(forwarded: str, address: str) -> None:
    behind = door(trusted_proxies=("127.0.0.0/8", "::1/128", "10.0.0.0/24"))
    for socket_address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"):
        assert behind.address(socket_address, forwarded) == address


@pytest.mark.parametrize("socket_address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "", "unix"])
def test_this_machine_has_no_address(socket_address: str) -> None:
    for forwarded in (None, "", " , ", "127.0.0.1"):
        assert DOOR.address(socket_address, forwarded) == ""


def test_a_page_signs_its_origin() -> None:
    assert signed_for("http://a:1", "http://a:1", "whatever")
    for header in ("http://a", "http://a:2", "null", "", "http://a:1/", "HTTP://a:1"):
        assert not signed_for("http://a:1", header, "a:1")


@pytest.mark.parametrize("origin", ["http://a:1", "ws://a:1", "https://a:1/signal", "wss://a:1/x?y"])
def test_a_program_signs_the_address_it_dialled(origin: str) -> None:
    assert signed_for(origin, None, "a:1")
    for host in ("a", "a:2", "b:1", ""):
        assert not signed_for(origin, None, host)


@pytest.mark.parametrize(
    "origin", ["", "a:1", "a", "http://", "http://[", "http://x@a:1", "null", "http://a\u2100:1"]
)
def test_what_no_program_dials(origin: str) -> None:
    for host in ("a:1", "", "["):
        assert not signed_for(origin, None, host)


def test_an_address_has_a_tag_under_the_secret_and_loopback_has_none() -> None:
    tags = Tags(bytes(32))
    assert tags.of("") == b""
    assert len(tags.of("192.0.2.1")) == 8
    assert tags.of("192.0.2.1") == Tags(bytes(32)).of("192.0.2.1") != Tags(b"\1" * 32).of("192.0.2.1")
    assert tags.of("192.0.2.1") != tags.of("192.0.2.2")


def test_ipv6_addresses_of_one_site_are_one() -> None:
    tags = Tags(bytes(32))
    assert tags.of("2001:db8:1:2::1") == tags.of("2001:db8:1:2:ffff::9") != tags.of("2001:db8:1:3::1")
    assert tags.of("fe80::1%eth0") == tags.of("fe80::2%eth0")
