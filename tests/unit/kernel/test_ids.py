"""Names and numbers as S14 and S6a allow them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.model import ids
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import Cursor, LogId, Seq
from tests.unit.expect import refused

BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
INVISIBLE = [
    0x00,
    0x07,
    0x09,
    0x0A,
    0x0D,
    0x1B,
    0x7F,
    0x85,
    0xA0,
    0xAD,
    0x200B,
    0x200C,
    0x200D,
    0x2028,
    0x2029,
]
INVISIBLE += [0x2060, 0x3000, 0xE000, 0xFEFF, 0xFFFE, 0xE0001, 0x10FFFF, 0xD800]
SIGNS = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~§€©→\U0001f410"
GOOD = [
    "a",
    "A",
    "7",
    "_",
    "-",
    ".a",
    "a.b",
    "..a",
    "...",
    "комната",
    "部屋",
    "غرفة",
    "כיתה",
    "é",
    "कमरा",
    "١٢",
    "x" * 64,
]


@pytest.mark.parametrize("name", GOOD)
def test_letters_and_digits_of_any_script_make_a_name(name: str) -> None:
    assert ids.parse_room(name) == name
    assert ids.parse_name(name) == name
    assert ids.parse_label(name) == name


@pytest.mark.parametrize("bad", [*map(chr, BIDI + INVISIBLE), *SIGNS], ids=lambda char: f"U+{ord(char):04X}")
def test_control_bidi_and_other_signs_do_not(bad: str) -> None:
    for text in (bad, f"a{bad}b", f"{bad}a", f"a{bad}"):
        for parse in (ids.parse_room, ids.parse_name, ids.parse_label):
            with refused(ErrorCode.BAD_REQUEST):
                parse(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "é" * 65, "../", "a/b", "..", "."])
def test_what_is_no_room(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST):
        ids.parse_room(text)


def test_length_is_counted_in_characters() -> None:
    assert ids.parse_room("部" * 64)
    assert ids.parse_name("\U00020000" * 64)
    for parse in (ids.parse_room, ids.parse_name, ids.parse_label):
        for text in ("", "部" * 65):
            with refused(ErrorCode.BAD_REQUEST, "1 to 64"):
                parse(text)


@pytest.mark.parametrize("twin", ["e\u0301", "A\u030a", "\u1112\u1161\u11ab", "\u212b", "\u0958"])
def test_only_form_nfc_is_taken(twin: str) -> None:
    assert unicodedata.normalize("NFC", twin) != twin
    for parse in (ids.parse_room, ids.parse_name, ids.parse_label):
        with refused(ErrorCode.BAD_REQUEST, "NFC"):
            parse(twin)


def test_a_label_has_single_spaces_inside_and_a_room_none() -> None:
    assert ids.parse_name("Amber Fox of Ålesund") == "Amber Fox of Ålesund"
    for text in (" a", "a ", "a  b", " ", "  "):
        for parse in (ids.parse_name, ids.parse_label):
            with refused(ErrorCode.BAD_REQUEST, "single spaces"):
                parse(text)
    with refused(ErrorCode.BAD_REQUEST, "letters, digits, _ - ."):
        ids.parse_room("a b")


def test_rooms_of_the_encrypted_form_are_reserved() -> None:
    for name in ("a" * 32, "abcdefghijklmnopqrstuvwxyz234567"):
        with refused(ErrorCode.FORBIDDEN, "reserved"):
            ids.parse_room(name)
    for name in ("a" * 31, "a" * 33, "A" + "a" * 31, "1" + "a" * 31, "8" * 32, "a" * 26):
        assert ids.parse_room(name) == name


RESERVED = ["guest", "node", "system", "server", "owner", "admin", "egoat"]
KEY = "abcdefghijklmnopqrstuvwx27"


@pytest.mark.parametrize(
    "label", [*RESERVED, "Admin", "EGOAT", "ｎｏｄｅ", "ﬁ".replace("ﬁ", "ſystem"), KEY, KEY.upper()]
)
def test_reserved_labels_are_refused_however_they_are_written(label: str) -> None:
    with refused(ErrorCode.FORBIDDEN, "reserved"):
        ids.parse_label(label)
    assert ids.parse_name(label) == label


@pytest.mark.parametrize(
    "label", ["guests", "a admin", "admin.", KEY[:-1], KEY + "a", KEY[:-1] + "1", "gu est"]
)
def test_labels_near_the_reserved_ones_are_not(label: str) -> None:
    assert ids.parse_label(label) == label


def test_names_that_look_alike_fold_alike() -> None:
    for one, other in (
        ("Ann", "aNN"),
        ("Ａnn", "ann"),
        ("straße", "STRASSE"),
        ("ﬁ", "FI"),
        ("é", "É"),
        ("K", "k"),
    ):
        assert ids.fold(one) == ids.fold(other)
    assert ids.fold("Ann") != ids.fold("Anna")


@given(st.text(max_size=70))
def test_whatever_is_taken_is_clean(text: str) -> None:
    for parse in (ids.parse_room, ids.parse_name, ids.parse_label):
        try:
            name: str = parse(text)
        except Fault as fault:
            assert fault.code in (ErrorCode.BAD_REQUEST, ErrorCode.FORBIDDEN)
            continue
        assert name == text == unicodedata.normalize("NFC", text)
        assert 1 <= len(text) <= 64
        assert name.encode()
        assert not any(unicodedata.category(char)[0] in "CSZ" and char != " " for char in name)


def test_a_guest_has_a_prefix_that_reference_clients_do_not_see() -> None:
    assert ids.guest("Ann") == "guest:Ann"
    assert ids.reference_name("guest:Ann") == "Ann"
    assert ids.reference_name("guest:guest:") == "guest:"
    assert ids.reference_name(KEY) == KEY
    assert ids.looks_like_key(KEY)
    assert not ids.looks_like_key("guest:" + KEY)
    assert not ids.looks_like_key(KEY + "\n")


@pytest.mark.parametrize("text", ["a", "Z", "0", "_", "-", "x" * 64, "0199c82c-c000-7000-8000-000000000001"])
def test_message_ids(text: str) -> None:
    assert ids.parse_message_id(text) == text


@pytest.mark.parametrize("text", ["", "x" * 65, "a b", "a\n", "é", "١", "a.b", "a:b", "a\0", "%"])
def test_what_is_no_message_id(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "an id has"):
        ids.parse_message_id(text)


def test_sessions_are_16_lower_hex_digits() -> None:
    assert ids.parse_session("0123456789abcdef") == "0123456789abcdef"
    for text in (
        "",
        "0" * 15,
        "0" * 17,
        "0123456789ABCDEF",
        "0123456789abcdeg",
        "0123456789abcde\n",
        "٠" * 16,
    ):
        with refused(ErrorCode.BAD_REQUEST, "a session is"):
            ids.parse_session(text)


NO_COUNTS = [
    "",
    " ",
    "abc",
    "-1",
    "+1",
    "1.5",
    "1e3",
    "١٢",
    "1_0",
    "0x10",
    " 1",
    "1\n",
    "9007199254740993",
    "9" * 5_000,
]


@pytest.mark.parametrize("text", [*NO_COUNTS, "9223372036854775808", "１"], ids=lambda text: repr(text[:20]))
def test_what_is_no_count(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "since is a whole number"):
        ids.parse_count(text, "since")


def test_counts_are_ascii_digits_up_to_2_to_the_53() -> None:
    for text, number in (("0", 0), ("007", 7), ("9007199254740992", 2**53), ("1760000000", 1_760_000_000)):
        assert ids.parse_count(text, "since") == number


def test_a_cursor_is_read_as_it_is_written() -> None:
    for seq in (0, 1, 2**53):
        cursor = Cursor(LogId("0123456789abcdef"), Seq(seq))
        assert Cursor.parse(str(cursor)) == cursor
    assert str(Cursor(LogId("0123456789abcdef"), Seq(17))) == "0123456789abcdef.17"


LOG = "0123456789abcdef"
NO_CURSORS = [
    "",
    ".",
    LOG,
    f"{LOG}.",
    ".5",
    f"{LOG}.-1",
    f"{LOG}.+1",
    f"{LOG}.1.5",
    f"{LOG}.1 ",
    f" {LOG}.1",
    f"{LOG}.١",
]


@pytest.mark.parametrize(
    "text",
    [
        *NO_CURSORS,
        f"{LOG}.9007199254740993",
        f"{LOG}.{'9' * 5_000}",
        f"{LOG.upper()}.1",
        f"{LOG[1:]}.1",
        f"{LOG}.1\n",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_is_no_cursor(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "a cursor is"):
        Cursor.parse(text)
