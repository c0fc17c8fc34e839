"""STUN messages: the vectors of RFC 5769, what is written is read, and garbage is never more than a ValueError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.transport.relay.stun import (
    Address,
    Attribute,
    Kind,
    Message,
    Method,
    body_bytes,
    decode,
    encode,
    long_term_key,
    unxored,
    xored,
)

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
XOR_MAPPED_ADDRESS = 0x0020

# RFC 5769 section 2.2: sample response over IPv4, and section 2.3: over IPv6.
IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)
# RFC 5769 section 2.4: a request with long-term authentication.
LONG_TERM = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000"
    "0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700"
    "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)
SAMPLE_TRANSACTION = bytes.fromhex("78ad3433c6ad72c029da412e")


@pytest.mark.parametrize(
    ("data", "address"),
    [(IPV4, Address("192.0.2.1", 32853)), (IPV6, Address("2001:db8:1234:5678:11:2233:4455:6677", 32853))],
)
def test_a_sample_answer_is_read(data: bytes, address: Address) -> None:
    message = decode(data)
    assert (message.method, message.kind, message.transaction) == (Method.BINDING, Kind.SUCCESS, TRANSACTION)
    value = message.attributes[XOR_MAPPED_ADDRESS]
    assert unxored(value, TRANSACTION) == address
    assert xored(address, TRANSACTION) == value
    assert message.address(Attribute.XOR_RELAYED_ADDRESS) is None
    assert message.error == (0, "")


def test_a_sample_request_with_long_term_credentials_is_written() -> None:
    user = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9"
    attributes = [
        (Attribute.USERNAME, user.encode()),
        (Attribute.NONCE, b"f//499k954d6OL34oL9FSTvy64sA"),
        (Attribute.REALM, b"example.org"),
    ]
    key = long_term_key(user, "example.org", "TheMatrIX")
    assert encode(Method.BINDING, Kind.REQUEST, SAMPLE_TRANSACTION, attributes, key) == LONG_TERM


def test_an_error_has_code_and_reason() -> None:
    value = bytes([0, 0, 4, 1]) + b"Unauthorized"
    data = encode(Method.ALLOCATE, Kind.ERROR, TRANSACTION, [(Attribute.ERROR_CODE, value)])
    assert decode(data).error == (401, "Unauthorized")
    short = encode(Method.ALLOCATE, Kind.ERROR, TRANSACTION, [(Attribute.ERROR_CODE, b"\0\0")])
    assert decode(short).error == (0, "")


@given(
    st.sampled_from(Method),
    st.sampled_from(Kind),
    st.binary(min_size=12, max_size=12),
    st.dictionaries(st.sampled_from(Attribute), st.binary(max_size=40)),
)
def test_what_is_written_is_read(
    method: Method, kind: Kind, transaction: bytes, attributes: dict[Attribute, bytes]
) -> None:
    found = decode(encode(method, kind, transaction, list(attributes.items())))
    assert found == Message(
        method, kind, transaction, {int(name): value for name, value in attributes.items()}
    )


@given(st.ip_addresses().map(str), st.integers(0, 65535), st.binary(min_size=12, max_size=12))
def test_an_address_comes_back(host: str, port: int, transaction: bytes) -> None:
    assert unxored(xored(Address(host, port), transaction), transaction) == Address(host, port)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: IPV4[:20] + rest))
def test_garbage_is_a_value_error(data: bytes) -> None:
    try:
        decode(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        IPV4[:19],
        IPV4[:-1],
        IPV4 + b"\0",
        IPV4[:4] + b"\0" + IPV4[5:],
        b"\xc1" + IPV4[1:],
        encode(Method.DATA, Kind.INDICATION, TRANSACTION)[:2] + b"\0\4" + IPV4[4:20] + b"\0\6\0\5",
        encode(Method.DATA, Kind.INDICATION, TRANSACTION)[:2] + b"\0\2" + IPV4[4:20] + b"\0\6",
    ],
)
def test_what_is_cut_off_or_foreign_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"STUN|cut off"):
        decode(data)


def test_of_an_attribute_that_stands_twice_the_first_counts() -> None:
    data = encode(Method.DATA, Kind.INDICATION, TRANSACTION, [(Attribute.DATA, b"a"), (Attribute.DATA, b"b")])
    assert decode(data).attributes[Attribute.DATA] == b"a"


@pytest.mark.parametrize("value", [b"", b"\0\1\0\0", b"\0\2" + bytes(6), b"\0\1" + bytes(18)])
def test_an_address_of_the_wrong_length_is_none(value: bytes) -> None:
    assert unxored(value, TRANSACTION) is None


def test_how_much_follows_a_header() -> None:
    assert body_bytes(IPV4[:20]) == len(IPV4) - 20
    with pytest.raises(ValueError, match="STUN"):
        body_bytes(b"GET / HTTP/1.1\r\nHost")
