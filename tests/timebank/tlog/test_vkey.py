"""Verifier keys and the encodings under them: one spelling each, everything else refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.timebank.tlog.refusals import assert_refuses, damaged, only_refusals
from tests.timebank.tlog.worked_example import LOG_VKEY, ORIGIN, WITNESS_VKEY
from timebank.tlog.encoding import (
    decode_base64,
    decode_decimal,
    decode_hash,
    encode_base64,
    encode_utf8,
)
from timebank.tlog.vkey import (
    COSIGNATURE_V1,
    ED25519,
    NAME_BYTES_MAX,
    VKEY_CHARACTERS_MAX,
    VerifierKey,
    check_name,
    format_vkey,
    parse_vkey,
)

NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1).filter(
    lambda name: "+" not in name and len(name.encode()) <= NAME_BYTES_MAX
)


@given(
    name=NAMES,
    key_type=st.sampled_from([ED25519, COSIGNATURE_V1]),
    public=st.binary(min_size=32, max_size=32),
)
def test_a_verifier_key_reads_back_as_it_was_written(
    name: str, key_type: int, public: bytes
) -> None:
    key = VerifierKey(name, key_type, public)

    assert parse_vkey(format_vkey(key)) == key


def test_the_base64_of_a_key_may_hold_a_plus() -> None:
    key = VerifierKey("log.example", ED25519, b"\xfb" * 32)

    assert format_vkey(key).count("+") > 2
    assert parse_vkey(format_vkey(key)) == key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a text like"),
        ("name", "expected a text like"),
        ("name+a0f5c1f0", "expected a text like"),
        (LOG_VKEY + "\n", "base64"),
        (" " + LOG_VKEY, "no space"),
        (LOG_VKEY.replace("ledger", "ledgers"), "expected id"),
        (LOG_VKEY.replace("a0f5c1f0", "A0F5C1F0"), "expected id"),
        (LOG_VKEY.replace("a0f5c1f0", "a0f5c1f1"), "expected id"),
        (LOG_VKEY.replace("AYqI", "AYqJ"), "expected id"),
        (LOG_VKEY[:-4], "32 bytes"),
        (LOG_VKEY.replace("+AYqI", "+BoqI"), "type 0x01 or 0x04"),
        (f"{ORIGIN}+a0f5c1f0+", "got nothing"),
        ("x" * (VKEY_CHARACTERS_MAX + 1), "at most"),
    ],
)
def test_a_verifier_key_that_does_not_agree_is_refused(text: str, words: str) -> None:
    assert_refuses(lambda: parse_vkey(text), words)


@pytest.mark.parametrize("key_type", [0, 2, 3, 5, 6, 255])
def test_other_types_of_key_are_refused(key_type: int) -> None:
    assert_refuses(lambda: VerifierKey("log.example", key_type, bytes(32)), "type 0x01 or 0x04")


def test_a_private_key_in_place_of_a_public_one_is_refused_and_not_repeated() -> None:
    secret = encode_base64(b"\x01" + b"s" * 32)
    for text in (f"PRIVATE+KEY+log.example+00000000+{secret}", secret, f"log.example+{secret}"):
        with pytest.raises(Exception, match=r"verifier key|key of|key name") as caught:
            parse_vkey(text)
        assert secret[:8] not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a+b",
        "a\tb",
        "a\nb",
        "a\x00b",
        "a\x1bb",
        "a\u00a0b",
        "a\u2003b",
        "a\u2028b",
        "a\x85b",
        "\ud800",
    ],
)
def test_a_name_with_space_plus_or_control_character_is_refused(name: str) -> None:
    assert_refuses(lambda: check_name(name), "key name")


def test_a_name_is_limited_in_bytes_not_characters() -> None:
    check_name("行" * (NAME_BYTES_MAX // 3))
    assert_refuses(lambda: check_name("行" * (NAME_BYTES_MAX // 3 + 1)), "at most")


@given(data=st.binary(max_size=100))
def test_base64_reads_back_as_it_was_written(data: bytes) -> None:
    assert decode_base64(encode_base64(data), "data") == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AAA",
        "AA==A",
        "AA=",
        "=AAA",
        "A===",
        "AA==\n",
        " AA==",
        "AA==AA==",
        "AB==",
        "AAB=",
        "A-_A",
        "äAAA",
        "AA\nAA",
        "\ud800AAA",
    ],
)
def test_base64_in_another_spelling_is_refused(text: str) -> None:
    assert_refuses(lambda: decode_base64(text, "data"), "data")


@given(number=st.integers(0, 2**63 - 1))
def test_a_number_reads_back_as_it_was_written(number: int) -> None:
    assert decode_decimal(str(number), "number") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "01",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "0x1",
        "1.0",
        "٣",
        "²",
        str(2**63),
        "9" * 5000,
    ],
)
def test_a_number_in_another_spelling_or_too_large_is_refused(text: str) -> None:
    assert_refuses(lambda: decode_decimal(text, "number"), "number")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_hash_of_another_length_is_refused(length: int) -> None:
    assert_refuses(lambda: decode_hash(encode_base64(bytes(length)), "root"), f"got {length}")


def test_half_a_surrogate_pair_is_no_utf8() -> None:
    assert_refuses(lambda: encode_utf8("\udfff", "text"), "valid UTF-8")


@given(text=st.one_of(st.text(), damaged(LOG_VKEY), damaged(WITNESS_VKEY)))
def test_hostile_verifier_keys_are_only_ever_refused(text: str) -> None:
    only_refusals(lambda: parse_vkey(text))
